"""Brings things to one connection and does to them what the script of faults says, whatever the
stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from simulator.faults import Fault, FaultKind, Faults, Place, Target
from simulator.streaming.connection import Connection, Frame
from simulator.streaming.packets import Packets, Reason


class Batch(Protocol):
    """Things on their way to a connection, in order."""

    def __len__(self) -> int: ...

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """The things from `start` to `stop`, whole, bundled as the stream bundles them."""

    def one(self, at: int) -> Frame:
        """One thing alone."""


class StreamFormat(NamedTuple):
    """How a stream says what faults need said.

    Attributes:
        name: What a thing is called in the journal.
        goodbye: The last word with a reason code; None is not said.
        strange: A thing no client knows, with a code.
        earlier: The same thing with an earlier trade time; None when the stream's things have none:
            then order is swapped.
    """

    name: Callable[[Frame], str]
    goodbye: Callable[[int], Frame | None]
    strange: Callable[[int], Frame]
    earlier: Callable[[Frame, int], Frame] | None = None


class UniformPackets:
    """Equal packets in one array; the fast way."""

    def __init__(self, packets: Packets, per_frame: int) -> None:
        self._packets = packets
        self._per_frame = per_frame

    def __len__(self) -> int:
        return len(self._packets)

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """The packets from `start` to below `stop`, several to a frame."""
        for first in range(start, stop, self._per_frame):
            yield self._packets[first : min(stop, first + self._per_frame)].tobytes()

    def one(self, at: int) -> Frame:
        """The packet at `at`, as a frame of its own."""
        packet: bytes = self._packets[at].tobytes()
        return packet


@dataclass(frozen=True, slots=True)
class MixedPackets:
    """Packets of any kinds, bundled from whole multiples of `per_frame`."""

    packets: Sequence[bytes]
    per_frame: int

    def __len__(self) -> int:
        return len(self.packets)

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """The packets from `start` to below `stop`, several to a frame."""
        while start < stop:
            end = min(stop, (start // self.per_frame + 1) * self.per_frame)
            yield b"".join(self.packets[start:end])
            start = end

    def one(self, at: int) -> Frame:
        """The packet at `at`, as a frame of its own."""
        return self.packets[at]


@dataclass(frozen=True, slots=True)
class TextMessages:
    """Messages, each a frame of its own."""

    messages: Sequence[str]

    def __len__(self) -> int:
        return len(self.messages)

    def frames(self, start: int, stop: int) -> Iterator[Frame]:
        """The messages from `start` to below `stop`, each a frame."""
        return iter(self.messages[start:stop])

    def one(self, at: int) -> Frame:
        """The message at `at`."""
        return self.messages[at]


class FaultySender:
    """Delivers the parcels of one endpoint."""

    def __init__(self, endpoint: str, faults: Faults, wording: StreamFormat) -> None:
        self._endpoint = endpoint
        self._faults = faults
        self._wording = wording

    async def deliver(self, connection: Connection, batch: Batch) -> None:
        """Send everything in order; where a fault strikes, what it makes of the thing."""
        start = 0
        while start < len(batch) and connection.listening:
            strike = self._faults.next_hit(
                Place.STREAM, self._target(connection, batch, start), len(batch) - start
            )
            stop = len(batch) if strike is None else start + strike.at
            for frame in batch.frames(start, stop):
                await self._send(connection, frame)
            if strike is not None:
                await self._apply_fault(connection, batch.one(stop), strike.fault)
            start = stop + 1

    def _target(self, connection: Connection, batch: Batch, start: int) -> Target:
        return Target(
            connection.client_id,
            self._endpoint,
            connection.number,
            thing=lambda at: self._wording.name(batch.one(start + at)),
        )

    @staticmethod
    async def _send(connection: Connection, frame: Frame) -> None:
        await connection.send(frame)
        if connection.held is not None:
            held, connection.held = connection.held, None
            await connection.send(held)

    async def _apply_fault(self, connection: Connection, thing: Frame, fault: Fault) -> None:
        if fault.kind in _ENDINGS:
            await self._end(connection, fault)
        elif fault.kind is FaultKind.STALL and fault.instrument is None:
            connection.stall(fault.delay)
        elif fault.kind is FaultKind.OUT_OF_ORDER and self._wording.earlier is None:
            connection.held = thing
        else:
            if fault.instrument is not None:
                connection.mute(fault.instrument, fault.delay)
            if fault.kind is FaultKind.LAG:
                connection.lag(fault.delay, fault.lasting)
            for frame in self._replacement(thing, fault):
                await self._send(connection, frame)

    async def _end(self, connection: Connection, fault: Fault) -> None:
        if fault.kind is FaultKind.RESET:
            await connection.settle()
            connection.reset()
        elif fault.kind is FaultKind.CLOSE:
            await connection.close(code=int(fault.code or 1000))
        else:
            await connection.close(self._wording.goodbye(int(fault.code or Reason.SERVER_ERROR)))

    def _replacement(self, thing: Frame, fault: Fault) -> list[Frame]:
        """What comes in place of `thing`."""
        match fault.kind:
            case FaultKind.LOSE:
                return []
            case FaultKind.DUPLICATE:
                return [thing] * (1 + fault.copies)
            case FaultKind.TRUNCATE:
                return [thing[: -fault.cut]]
            case FaultKind.STRANGE_PACKET:
                return [self._wording.strange(int(fault.code or 0)), thing]
            case FaultKind.OUT_OF_ORDER if self._wording.earlier is not None:
                return [self._wording.earlier(thing, fault.seconds)]
        return [thing]


_ENDINGS: Final = frozenset({FaultKind.RESET, FaultKind.CLOSE, FaultKind.DISCONNECT})
