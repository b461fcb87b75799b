"""A broker for `benchmarks.fanout`: answers every order after a fixed time, and notes when it came.

python -m benchmarks._fanout_broker LATENCY_SECONDS

It does as little as a broker can, so that it is not what is measured: keep-alive HTTP/1.1 on one
asyncio protocol, no parsing beyond length, account and name of the order. It remembers the names,
so that a lookup by name is answered as Dhan's would be, and names that came twice.

`/control/take` gives and forgets what came: [account, nanoseconds (UTC)] of each order.
`/control/sick` sets how many seconds the accounts of its JSON body wait, or -1: refused as over
the rate.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Final

import orjson

ACCOUNT: Final = re.compile(rb"(?i)\r\nclient-id: *([^\r]+)")
LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
NAME: Final = re.compile(rb'"correlationId": ?"([^"]+)"')
OVER_RATE: Final = -1.0
CONTROL: Final = b"/control/"
TOO_MANY: Final = (
    b'{"errorType":"Rate_Limit","errorCode":"DH-904","errorMessage":"Too many requests"}'
)
UNKNOWN: Final = b'{"errorType":"Data_Error","errorCode":"DH-907","errorMessage":"no such order"}'


class Broker:
    """What came."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.arrived: list[tuple[str, int]] = []
        self.sick: dict[bytes, float] = {}
        self.named: dict[bytes, int] = {}
        self.twice = 0

    def answer(self, method: bytes, path: bytes, head: bytes, body: bytes) -> tuple[bytes, float]:
        """The response, and after how many seconds it leaves."""
        if CONTROL in path:
            return _response(b"200 OK", self._control(path, body)), 0.0
        found = ACCOUNT.search(head)
        account = found[1] if found else b""
        wait = self.sick.get(account, self.latency)
        if method == b"POST":
            return self._place(account, body, wait)
        if b"/external/" in path:
            number = self.named.get(path.rsplit(b"/", 1)[1])
            if number is None:
                return _response(b"404 Not Found", UNKNOWN), max(wait, 0.0)
            row = b'{"orderId":"%d","correlationId":"%s","orderStatus":"PENDING"}'
            return _response(b"200 OK", row % (number, path.rsplit(b"/", 1)[1])), max(wait, 0.0)
        return _response(b"200 OK", b"[]"), max(wait, 0.0)

    def _place(self, account: bytes, body: bytes, wait: float) -> tuple[bytes, float]:
        self.arrived.append((account.decode(), time.time_ns()))
        if wait == OVER_RATE:
            return _response(b"429 Too Many Requests", TOO_MANY), self.latency
        if name := NAME.search(body):
            self.twice += name[1] in self.named
            self.named[name[1]] = len(self.named) + 1
        number = b'{"orderId":"%d","orderStatus":"TRANSIT"}' % (10**12 + len(self.named))
        return _response(b"200 OK", number), wait

    def _control(self, path: bytes, body: bytes) -> bytes:
        if path.endswith(b"/sick"):
            self.sick = {
                account.encode(): float(wait) for account, wait in orjson.loads(body).items()
            }
            return b"{}"
        arrived, self.arrived = self.arrived, []
        return orjson.dumps({"arrived": arrived, "twice": self.twice, "pid": os.getpid()})


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


class _Connection(asyncio.Protocol):
    """One client's connection; requests on it come one after the other."""

    def __init__(self, broker: Broker, later: Callable[..., object]) -> None:
        self._broker = broker
        self._later = later
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            found = LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            method, path, _ = head.split(b" ", 2)
            response, wait = self._broker.answer(method, path, head, body)
            self._later(wait, self._write, response)

    def _write(self, response: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(response)


async def main() -> None:
    loop, broker = asyncio.get_running_loop(), Broker(float(sys.argv[1]))
    gc.freeze()
    server = await loop.create_server(
        lambda: _Connection(broker, loop.call_later), "127.0.0.1", 0, backlog=4_096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
