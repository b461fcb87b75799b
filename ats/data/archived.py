"""The one-minute candles of an archived day, as bars for the catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from bus.exact import ExactRecord
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Timeframe, trading_day
from schemas.messages import Candle, Scan
from schemas.topics import CANDLES, SCANS, Topic
from simulator.market import universe
from simulator.market.bar_columns import Bar
from simulator.market.bars import MAX_BAR_VOLUME, MAX_PRICE, is_symbol
from simulator.market.dialect import MINUTE
from simulator.market.session import market_session

# only candles of a minute are decoded: of the others a day has as many again
_ONE_MINUTE: Final = f'"timeframe":"{Timeframe.M1.value}"'.encode()


class Records(Protocol):
    """What an archive is asked for; `audit.archive.stored.StoredDays` is the real one."""

    def partitions(self, topic: Topic) -> int:
        """How many partitions `topic` has."""
        ...

    def records(self, topic: Topic, partition: int) -> Iterator[ExactRecord]:
        """The records of a partition, in their order."""
        ...


@dataclass(slots=True)
class ArchivedBars:
    """What an archive holds of one-minute candles.

    Attributes:
        incomplete: Candles of which the engine had not seen the beginning: their volume is short.
        unnamed: Of each instrument that no list of the archive names, how many candles.
        unusable: Candles that cannot be read, or are no bar of a session.
    """

    bars: list[Bar] = field(default_factory=list)
    incomplete: int = 0
    unnamed: Counter[InstrumentId] = field(default_factory=Counter)
    unusable: int = 0


def bars_of(archive: Records) -> ArchivedBars:
    """The bars of all that the archive's watch lists name, and of the indices that we know.

    Raises:
        Misconfigured: a file of the archive cannot be read.
    """
    symbols, found = _symbols(archive), ArchivedBars()
    for value in _values(archive, CANDLES):
        if _ONE_MINUTE not in value:
            continue
        try:
            candle = decode(Candle, value)
        except Unreadable:
            found.unusable += 1
            continue
        _take(candle, symbols, found)
    return found


def _take(candle: Candle, symbols: dict[InstrumentId, str], found: ArchivedBars) -> None:
    symbol = symbols.get(candle.instrument)
    if symbol is None:
        found.unnamed[candle.instrument] += 1
    elif not candle.complete:
        found.incomplete += 1
    elif not _is_bar(candle):
        found.unusable += 1
    else:
        prices = candle.open, candle.high, candle.low, candle.close
        found.bars.append(Bar(0, symbol, candle.start, *prices, candle.volume))


def _is_bar(candle: Candle) -> bool:
    inside = candle.start in market_session(trading_day(candle.start))
    ends = candle.open, candle.close
    possible = 0 < candle.low <= min(ends) <= max(ends) <= candle.high <= MAX_PRICE
    whole = candle.start % MINUTE == 0 and 0 <= candle.volume <= MAX_BAR_VOLUME
    return inside and possible and whole


def _symbols(archive: Records) -> dict[InstrumentId, str]:
    found = {
        InstrumentId(Segment.IDX_I, each.security_id): each.symbol for each in universe.INDICES
    }
    for value in _values(archive, SCANS):
        try:
            entries = decode(Scan, value).entries
        except Unreadable:
            continue  # an older or a broken list; a day has several
        found |= {each.instrument: each.symbol for each in entries if is_symbol(each.symbol)}
    return found


def _values(archive: Records, topic: Topic) -> Iterator[bytes]:
    for partition in range(archive.partitions(topic)):
        for record in archive.records(topic, partition):
            if record.value is not None:
                yield record.value
