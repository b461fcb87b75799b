"""What one viewer is sent next. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from ats.gateway.board import Board, Personal
from ats.gateway.events import Event, EventRing, Place, frame_of
from ats.gateway.views import OwnResult, Prices, json_of
from schemas.ids import InstrumentId, UserId
from schemas.units import UtcNs

CHUNK_BYTES: Final = 64 << 10  # sent at once; a slow reader holds so much, or one snapshot
AT_ONCE: Final = 512  # events looked at for one chunk
_EMPTY: Final = EventRing(1, 1)


class Chunk(NamedTuple):
    """Bytes to be sent.

    Attributes:
        data: Whole events; empty where there is nothing to tell.
        told_at: When the first record behind it was published, UTC ns; None without one.
        snapshot: It begins with one.
        more: Further events wait.
    """

    data: bytes
    told_at: UtcNs | None = None
    snapshot: bool = False
    more: bool = False


@dataclass(slots=True)
class Viewer:
    """One stream.

    Attributes:
        interest: Instruments of which prices and bars are told, besides what the user holds.
        place: Up to where they were told; None: a snapshot is due.
        change: Up to which change of prices.
        result: As it was told last.
    """

    user: UserId
    interest: frozenset[InstrumentId]
    place: Place | None = None
    change: int = -1
    result: OwnResult | None = None

    def next(self, board: Board) -> Chunk:
        """The next events of `board` for this viewer, who is then taken to have them."""
        person = board.person(self.user)
        found = self._events(board, person)
        if found is None:
            return self._snapshot(board, person)
        chunk, own_told = found
        return chunk._replace(data=chunk.data + self._figures(board, person, own_told=own_told))

    def heartbeat(self) -> bytes:
        """Tells that the stream lives, and up to where: an id without an event."""
        return b"id: %b\n\n" % str(self.place).encode() if self.place else b":\n\n"

    def _events(self, board: Board, person: Personal | None) -> tuple[Chunk, bool] | None:
        """What waits, and whether the user's own is among it; None where events were lost."""
        place = self.place
        ring = person.ring if person else _EMPTY
        if place is None or place.epoch != board.epoch:
            return None
        public, own = board.ring.after(place.public, AT_ONCE), ring.after(place.own, AT_ONCE)
        if public is None or own is None:
            return None
        wanted = self.interest.union(person.state.held) if person else self.interest
        chosen: list[Event] = []
        size = 0
        for event, step in _stepping(public, own):
            if size > CHUNK_BYTES:
                break
            place = Place(place.epoch, place.public + step[0], place.own + step[1])
            if event.instrument is None or event.instrument in wanted:
                chosen.append(event)
                size += len(event.frame)
        own_told = place.own > self.place.own if self.place else False
        self.place = place
        more = (place.public, place.own) != (board.ring.last, ring.last)
        data = b"".join(event.frame + b"\n" for event in chosen[:-1])
        if chosen:
            data += b"id: %b\n%b\n" % (str(place).encode(), chosen[-1].frame)
        told_at = min((event.told_at for event in chosen), default=None)
        return Chunk(data, told_at, more=more), own_told

    def _figures(self, board: Board, person: Personal | None, *, own_told: bool) -> bytes:
        """Last prices that changed, and the result where it did; only the newest, without an id."""
        if board.market.change == self.change and not own_told:
            return b""
        held = frozenset(person.state.held) if person else frozenset[InstrumentId]()
        prices = board.prices(self.interest | held, since=self.change)
        self.change = board.market.change
        told = b""
        if prices:
            told = frame_of("prices", json_of(Prices(prices=prices))) + b"\n"
        if person and (own_told or held.intersection(each.instrument for each in prices)):
            result = person.state.result(board.market)
            if result != self.result:
                self.result = result
                told += frame_of("result", json_of(result)) + b"\n"
        return told

    def _snapshot(self, board: Board, person: Personal | None) -> Chunk:
        today = board.today(self.user, self.interest)
        self.place = Place(board.epoch, board.ring.last, person.ring.last if person else 0)
        self.change, self.result = board.market.change, today.own.result
        frame = frame_of("snapshot", json_of(today))
        return Chunk(b"id: %b\n%b\n" % (str(self.place).encode(), frame), snapshot=True)


def _stepping(public: list[Event], own: list[Event]) -> Iterator[tuple[Event, tuple[int, int]]]:
    """Each event, and how it moves both numbers of a place on."""
    return chain(((each, (1, 0)) for each in public), ((each, (0, 1)) for each in own))
