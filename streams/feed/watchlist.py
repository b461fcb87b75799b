"""Which instruments are watched, over which connection, and how that changes at run time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.market import Instrument


class Watchlist:
    """Hands the newest list of instruments to the gateway.

    Lists that came in between are skipped.
    """

    def __init__(self) -> None:
        self._newest: tuple[Instrument, ...] | None = None
        self._changed = asyncio.Event()

    def replace(self, instruments: tuple[Instrument, ...]) -> None:
        """Watch exactly these from now on."""
        self._newest = instruments
        self._changed.set()

    async def changes(self) -> AsyncIterator[tuple[Instrument, ...]]:
        """Each newest list, as soon as there is one; endless."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            assert self._newest is not None
            yield self._newest


def allocate(
    wanted: Sequence[Instrument], carried: Sequence[Mapping[InstrumentId, Instrument]], most: int
) -> list[list[Instrument]]:
    """Each connection's share of `wanted`, at most `most`.

    What a connection carries stays there, new ones fill the gaps.

    Raises:
        Misconfigured: there are more than all connections can carry.
    """
    if len(wanted) > most * len(carried):
        raise Misconfigured(
            f"{len(wanted):,} instruments to watch, "
            f"{len(carried)} connections carry {most:,} each: "
            "raise ATS_FEED_CONNECTIONS (Dhan allows 5) or watch fewer (ATS_UNIVERSE)"
        )
    shares = [[instrument for instrument in wanted if instrument.id in held] for held in carried]
    held_somewhere = {key for held in carried for key in held}
    new = [instrument for instrument in wanted if instrument.id not in held_somewhere]
    for share in shares:
        room = most - len(share)
        share.extend(new[:room])
        new = new[room:]
    return shares
