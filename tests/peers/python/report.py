"""What both Python scripts share: events as JSON lines on stdout, and payloads that check themselves."""

import json


def report(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


def pairs(headers):
    return [[name, value] for name, value in headers.raw_items()]


def pattern(length):
    """Byte i is i modulo 251, a prime, so that a lost or doubled buffer of any usual size shows."""
    period = bytes(range(251))
    return (period * (length // 251 + 1))[:length]


def message(data):
    if isinstance(data, str):
        report("text", data=data)
    else:
        report("binary", length=len(data), intact=data == pattern(len(data)))


def close(socket):
    """Clean is as a browser means it: both sides sent a Close."""
    protocol = socket.protocol
    clean = protocol.close_rcvd is not None and protocol.close_sent is not None
    report("close", code=socket.close_code, reason=socket.close_reason, clean=clean)
