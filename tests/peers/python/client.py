"""A client made with `websockets`. Its one argument is JSON: { url, ca, subprotocols, fields, steps }."""

import asyncio
import json
import ssl
import sys

from report import close, message, pairs, pattern, report
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus


async def main(url, ca, subprotocols, fields, steps):
    options = {
        "subprotocols": subprotocols or None,
        "additional_headers": fields,
        "max_size": None,
        # No pings of its own, no proxy from the environment.
        "ping_interval": None,
        "proxy": None,
    }
    if ca:
        options["ssl"] = ssl.create_default_context(cafile=ca)
    try:
        socket = await connect(url, **options)
    except InvalidStatus as refused:
        response = refused.response
        body = (response.body or b"").decode()
        report("refused", status=response.status_code, fields=pairs(response.headers), body=body)
        return
    except (InvalidHandshake, OSError) as error:
        report("error", message=str(error))
        return
    report("open", status=socket.response.status_code, fields=pairs(socket.response.headers))
    try:
        await play(socket, steps)
        # Whatever else comes, until the end.
        while True:
            message(await socket.recv())
    except ConnectionClosed:
        await socket.wait_closed()
    close(socket)


async def play(socket, steps):
    received = 0
    for step in steps:
        [(name, argument)] = step.items()
        if name == "text":
            await socket.send(argument)
        elif name == "binary":
            await socket.send(pattern(argument))
        elif name == "fragments":
            await socket.send(argument)
        elif name == "ping":
            await (await socket.ping(argument))
            report("pong", data=argument)
        elif name == "receive":
            while received < argument:
                message(await socket.recv())
                received += 1
        elif name == "close":
            await socket.close(*argument)
        else:
            raise ValueError(f"no such step: {name}")


asyncio.run(main(**json.loads(sys.argv[1])))
