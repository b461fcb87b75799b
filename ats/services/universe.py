"""Decides which instruments the gateway watches, every morning anew.

They are read from the day's master, which is compared with the day before's. A master that has lost
half of what it had is taken for a broken file: the old list stays, and the log says so.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Final

import orjson
import structlog

from ats.services.context import instrument_master, symbols_of, universe_of
from ats.settings import Settings
from dhan.instruments import Master
from schemas.errors import AtsError, TryLater
from schemas.ids import InstrumentId
from schemas.market import Instrument
from schemas.units import IST, Paise, Quantity, UtcNs
from streams.feed.watchlist import Watchlist

log = structlog.get_logger(__name__)

# IST; Dhan has the day's file by then, and the pre-open begins at 09:00
READ_AT: Final = clock_time(8, 30)
AGAIN_AFTER: Final = 300.0  # seconds, when the master did not come
TOLD: Final = 20  # changes named in the log; the rest is a number


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new list changes.

    `altered` are instruments whose symbol, kind, lot size or tick size is another.
    """

    added: tuple[Instrument, ...]
    removed: tuple[Instrument, ...]
    altered: tuple[tuple[Instrument, Instrument], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.altered)


def difference(
    before: Mapping[InstrumentId, Instrument], after: Mapping[InstrumentId, Instrument]
) -> Difference:
    """Compare two lists; names people read may change without being a change."""
    both = [(before[key], after[key]) for key in after if key in before]
    return Difference(
        added=tuple(after[key] for key in after if key not in before),
        removed=tuple(before[key] for key in before if key not in after),
        altered=tuple(pair for pair in both if _identity(pair[0]) != _identity(pair[1])),
    )


def _identity(instrument: Instrument) -> tuple[str, str, int, int]:
    return instrument.symbol, instrument.kind, int(instrument.lot_size), int(instrument.tick_size)


def check_plausible(before: Mapping[InstrumentId, Instrument], found: Difference) -> None:
    """Refuse a list that has lost half of the one before.

    Raises:
        TryLater: with the remedy for a list that was meant to shrink.
    """
    if before and 2 * len(found.removed) > len(before):
        raise TryLater(
            f"{len(found.removed):,} of {len(before):,} instruments are gone from today's master: "
            "probably half a file. If they are meant to be gone, delete instruments.json in "
            "ATS_STATE_DIR and start again"
        )


class Memory:
    """The last master that was taken from `source`, in a file, so that a new start knows what the
    day before had.
    """

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source

    def read(self) -> dict[InstrumentId, Instrument]:
        """The remembered list; empty when there is none of this source, or it cannot be read, which
        is logged.
        """
        try:
            told = orjson.loads(self._path.read_bytes())
            if told["source"] != self._source:
                return {}
            instruments = [
                Instrument(InstrumentId.parse(key), symbol, name, kind, Quantity(lot), Paise(tick))
                for key, symbol, name, kind, lot, tick in told["instruments"]
            ]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError) as error:
            log.warning("instruments_forgotten", file=self._path.name, reason=str(error))
            return {}
        return {instrument.id: instrument for instrument in instruments}

    def write(self, instruments: Mapping[InstrumentId, Instrument]) -> None:
        """Replace the file as a whole: a crash leaves the old list or the new one."""
        rows = [
            (
                str(each.id),
                each.symbol,
                each.name,
                each.kind,
                int(each.lot_size),
                int(each.tick_size),
            )
            for each in instruments.values()
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_bytes(orjson.dumps({"source": self._source, "instruments": rows}))
        draft.replace(self._path)


class Universe:
    """Reads the list, remembers it, and hands a changed one to the gateway.

    Attributes:
        master: The one that was read last; None before the first.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wall: Callable[[], int] = time.time_ns,
        on_read: Callable[[tuple[Instrument, ...], Master], None] = lambda _watched, _master: None,
    ) -> None:
        """`on_read` hears of each list that was read again, before it is used."""
        self._settings = settings
        self._wall = wall
        self._on_read = on_read
        self._memory = Memory(
            settings.ats_state_dir / "instruments.json", settings.dhan_instruments_url
        )
        self._watched: dict[InstrumentId, Instrument] = {}
        self.master: Master | None = None

    async def read(self) -> tuple[Instrument, ...]:
        """Fetch, parse, compare with the day before, and select.

        Raises:
            TryLater: the master did not come, or is implausible.
            Misconfigured: the settings name what it does not have.
        """
        self.master = master = await instrument_master(self._settings)
        if self._lives:
            before = self._memory.read()
            found = difference(before, master.by_id)
            check_plausible(before, found)
            _tell(found, first=not before)
            self._memory.write(master.by_id)
        self._watched = {each.id: each for each in universe_of(master, symbols_of(self._settings))}
        return tuple(self._watched.values())

    @property
    def _lives(self) -> bool:
        """A replay's days are not ours: nothing is renewed, and there is no day before."""
        return self._settings.ats_clock == "wall"

    async def keep(self, watchlist: Watchlist) -> None:
        """Read again every morning and on SIGHUP, for ever.

        What fails is logged, and the old list stays.
        """
        asked = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        wait = self._until_morning()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await asked.wait()
            asked.clear()
            wait = self._until_morning() if await self._renewed(watchlist) else AGAIN_AFTER

    async def _renewed(self, watchlist: Watchlist) -> bool:
        before = self._watched
        try:
            instruments = await self.read()
        except (
            AtsError,
            OSError,
        ) as error:  # of the system too: a full disk must not end the renewing
            log.error("instruments_not_renewed", reason=str(error), still_watching=len(before))
            return False
        if self.master is not None:
            self._on_read(instruments, self.master)
        if difference(before, self._watched):
            watchlist.replace(instruments)
        return True

    def _until_morning(self) -> float | None:
        """Seconds to the next reading; None in a replay, whose days are not ours."""
        if not self._lives:
            return None
        now = UtcNs(self._wall()).ist()
        morning = datetime.combine(now.date(), READ_AT, tzinfo=IST)
        return (morning + timedelta(days=now >= morning) - now).total_seconds()


def report(keeper: asyncio.Task[None]) -> None:
    """For `add_done_callback`: a keeper that broke is not the gateway's end, but must be known."""
    if not keeper.cancelled() and (error := keeper.exception()):
        log.error("instruments_no_longer_renewed", exc_info=error)


def _tell(found: Difference, *, first: bool) -> None:
    if first:
        log.info("instruments_read", instruments=len(found.added))
        return
    log.info(
        "instruments_compared",
        added=len(found.added),
        removed=len(found.removed),
        altered=len(found.altered),
    )
    for instrument in found.removed[:TOLD]:
        log.warning("instrument_removed", instrument=str(instrument.id), symbol=instrument.symbol)
    for old, new in found.altered[:TOLD]:
        log.warning(
            "instrument_altered",
            instrument=str(new.id),
            before=_identity(old),
            after=_identity(new),
        )
