"""`ats data import --archive`: complete candles of a minute, under their symbols."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from ats.data.archived import bars_of
from bus.exact import ExactRecord
from schemas.codec import encode
from schemas.ids import InstrumentId, Segment, derive, scan_id
from schemas.market import Direction, ScanResult, Timeframe
from schemas.messages import Candle, Message, Scan, ScanEntry
from schemas.topics import CANDLES, SCANS, Topic
from schemas.units import NS_PER_MINUTE, Price, Quantity, UtcNs
from simulator.market.bar_columns import Bar
from simulator.market.session import market_session

DAY = date(2026, 11, 20)
OPEN = market_session(DAY).open
TCS, NIFTY = InstrumentId(Segment.NSE_EQ, 11536), InstrumentId(Segment.IDX_I, 13)
UNNAMED = InstrumentId(Segment.NSE_EQ, 99)


class Archive:
    """Messages where an archive has its records."""

    def __init__(self, *messages: Message | bytes | None) -> None:
        self.values = {CANDLES: list[bytes | None](), SCANS: list[bytes | None]()}
        for each in messages:
            topic = SCANS if isinstance(each, Scan) else CANDLES
            self.values[topic].append(encode(each) if isinstance(each, Message) else each)

    def partitions(self, _: Topic) -> int:
        return 1

    def records(self, topic: Topic, _: int) -> Iterator[ExactRecord]:
        for offset, value in enumerate(self.values[topic]):
            yield ExactRecord(topic.name, 0, offset, 0, b"k", value, ())


def a_candle(instrument: InstrumentId = TCS, minute: int = 0, **changes: object) -> Candle:
    start = UtcNs(OPEN + minute * NS_PER_MINUTE)
    made = Candle(
        id=derive("candles", f"{instrument} {start}"),
        event_time=UtcNs(start + NS_PER_MINUTE),
        instrument=instrument,
        timeframe=Timeframe.M1,
        start=start,
        open=Price(100),
        high=Price(103),
        low=Price(99),
        close=Price(102),
        volume=Quantity(7),
        ticks=4,
        complete=True,
    )
    return made.model_copy(update=changes)


def a_scan() -> Scan:
    entry = ScanEntry(
        scan_id=scan_id(DAY, TCS),
        instrument=TCS,
        symbol="TCS",
        result=ScanResult.SHORTLISTED,
        initial_signal=Direction.BULLISH,
        rank=1,
        features={},
    )
    return Scan(
        id=derive("scans", f"{DAY}"),
        event_time=OPEN,
        trading_date=DAY,
        origin="rules",
        entries=(entry,),
    )


def test_candles_of_a_minute_become_bars_under_the_symbol_of_the_watch_list() -> None:
    five_minutes = a_candle(timeframe=Timeframe.M5)

    found = bars_of(Archive(a_candle(), five_minutes, a_candle(NIFTY), a_scan(), None))

    prices = Price(100), Price(103), Price(99), Price(102)
    share = Bar(0, "TCS", OPEN, *prices, Quantity(7))
    assert found.bars == [share, replace(share, symbol="NIFTY")]


@pytest.mark.parametrize(
    ("candle", "counts"),
    [
        (a_candle(complete=False), (1, 0, 0)),
        (a_candle(UNNAMED), (0, 1, 0)),
        (a_candle(high=Price(101)), (0, 0, 1)),
        (a_candle(minute=375), (0, 0, 1)),
        (a_candle(volume=Quantity(2**32)), (0, 0, 1)),
        (b'{"timeframe":"1m"', (0, 0, 1)),
    ],
)
def test_a_candle_that_is_no_whole_bar_is_left_out_and_counted(
    candle: Candle | bytes, counts: tuple[int, int, int]
) -> None:
    found = bars_of(Archive(candle, a_scan()))

    assert (found.incomplete, found.unnamed.total(), found.unusable) == counts
    assert found.bars == []
