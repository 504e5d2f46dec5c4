"""The upstream: an echo server made with autobahn-python, which passes every case when it is asked directly.

    echo_server.py PORT ENDS

It serves until it is killed. Each connection that ends leaves a line of JSON in the file ENDS: what the
server saw of the end. The path of the connection says which case it was."""

import asyncio
import json
import sys

from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept


class Echo(WebSocketServerProtocol):
    case = None

    def onConnect(self, request):
        self.case = request.path.removeprefix("/")

    def onMessage(self, payload, isBinary):
        self.sendMessage(payload, isBinary)

    def onClose(self, wasClean, code, reason):
        if self.case is None:
            # Somebody who only wanted to know whether we listen.
            return
        end = {
            "case": self.case,
            "clean": wasClean,
            "received code": self.remoteCloseCode,
            "received reason": text(self.remoteCloseReason),
            "sent code": self.localCloseCode,
            "sent reason": text(self.localCloseReason),
            "closed first": self.closedByMe,
            "found a violation": self.failedByMe,
        }
        print(json.dumps(end), file=self.factory.ends, flush=True)


def text(reason):
    # It keeps the reason of a Close of its own as bytes.
    return reason.decode() if isinstance(reason, bytes) else reason


def accept(offers):
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None


async def main(port, ends):
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    # A violation is answered with a Close, as RFC 6455 7.1.7 wants, not with a lost connection.
    factory.setProtocolOptions(failByDrop=False, perMessageCompressionAccept=accept)
    with open(ends, "w") as factory.ends:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, "127.0.0.1", port)
        await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
