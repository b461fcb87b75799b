"""A client that shows the wire itself: TCP bytes, WebSocket opcodes, and how a connection really
ended.
"""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import orjson

from schemas.ids import InstrumentId
from simulator.config import SimulatedUser
from simulator.server import Simulator
from tests.simulator.factories import USER

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
FIN, RST = "FIN", "RST"
_MASK = b"\0\0\0\0"  # allowed by RFC 6455, and plain to read


class Wire:
    """One raw connection. It reads the socket itself: asyncio's streams forget what came before a
    reset.
    """

    def __init__(self, socket_: socket.socket) -> None:
        self.status = 0
        self._socket = socket_
        self._buffer = b""

    async def send(self, body: object) -> None:
        payload = orjson.dumps(body)
        length = (
            bytes([0x80 | len(payload)])
            if len(payload) < 126
            else b"\xfe" + len(payload).to_bytes(2, "big")
        )
        await self.write(bytes([0x80 | TEXT]) + length + _MASK + payload)

    async def write(self, raw: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, raw)

    async def subscribe(self, code: int, *instruments: InstrumentId) -> None:
        listed = [
            {"ExchangeSegment": one.segment.value, "SecurityId": str(one.security_id)}
            for one in instruments
        ]
        await self.send(
            {"RequestCode": code, "InstrumentCount": len(listed), "InstrumentList": listed}
        )

    async def greeting(self) -> None:
        """Read the answer to the upgrade."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += await self._some()
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])

    async def frame(self) -> tuple[int, bytes] | str:
        """Opcode and payload of the next frame, or FIN or RST."""
        async with asyncio.timeout(10):
            try:
                first, length = await self._exactly(2)
                if length >= 126:
                    length = int.from_bytes(await self._exactly(2 if length == 126 else 8), "big")
                return first & 0x0F, await self._exactly(length)
            except EOFError:
                return FIN
            except ConnectionResetError:
                return RST

    async def everything(self) -> list[tuple[int, bytes] | str]:
        """All frames up to the end, which is the last entry: FIN or RST."""
        found: list[tuple[int, bytes] | str] = []
        while not found or not isinstance(found[-1], str):
            found.append(await self.frame())
        return found

    async def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += await self._some()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def _some(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._socket, 1 << 16)
        if not data:
            raise EOFError
        return data

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def wire(
    simulator: Simulator, path: str = "/feed", user: SimulatedUser = USER, **changed: str
) -> AsyncIterator[Wire]:
    """Knock at `path` with good credentials, unless told otherwise."""
    query = {
        "version": "2",
        "token": user.token,
        "clientId": user.client_id,
        "authType": "2",
    } | changed
    host, port = simulator.url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    client = Wire(raw)
    try:
        key = base64.b64encode(b"0123456789abcdef").decode()
        await client.write(
            f"GET {path}?{urlencode(query)} HTTP/1.1\r\nHost: {host}\r\nUpgrade: "
            "websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await client.greeting()
        yield client
    finally:
        client.close()
