"""An echo server made with `websockets`. Its one argument is JSON: { subprotocols, port, quiet }. It
prints its port, then what happens unless it is to be quiet, and ends when its standard input does."""

import asyncio
import json
import sys

from report import close, message, pairs, report
from websockets.asyncio.server import serve


async def echo_quietly(socket):
    async for data in socket:
        await socket.send(data)


async def echo(socket):
    report("request", target=socket.request.path, fields=pairs(socket.request.headers))
    # Ends without an exception when the connection does, however it does.
    try:
        async for data in socket:
            message(data)
            await socket.send(data)
    finally:
        await socket.wait_closed()
        close(socket)


async def main(subprotocols, port=0, quiet=False):
    options = {"subprotocols": subprotocols or None, "max_size": None, "ping_interval": None}
    handler = echo_quietly if quiet else echo
    async with serve(handler, "127.0.0.1", port, **options) as server:
        report("listening", port=server.sockets[0].getsockname()[1])
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main(**json.loads(sys.argv[1])))
