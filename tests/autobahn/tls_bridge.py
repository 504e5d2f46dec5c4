"""TLS for a client that speaks none: takes plain connections, and passes their bytes on over TLS.

    tls_bridge.py PORT SERVER CA

It serves until it is killed. SERVER is the port of a TLS server on localhost that offers HTTP/1.1, and CA the
PEM file that it is checked with. When one side ends its connection the bridge passes on what is on its way
and ends the other; neither peer of a WebSocket goes on after that."""

import asyncio
import ssl
import sys


async def main(port, server, ca):
    tls = ssl.create_default_context(cafile=ca)
    tls.set_alpn_protocols(["http/1.1"])

    async def bridge(client_reader, client_writer):
        server_reader, server_writer = await asyncio.open_connection("localhost", server, ssl=tls)
        directions = [
            asyncio.create_task(pass_on(client_reader, server_writer)),
            asyncio.create_task(pass_on(server_reader, client_writer)),
        ]
        await asyncio.wait(directions)

    async def pass_on(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            # Reset by either side: the end like any other.
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(bridge, "127.0.0.1", port)
    await listening.serve_forever()


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
