"""Valid messages and hypothesis strategies; each test changes one thing."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import numpy as np
from hypothesis import strategies as st

from schemas.ids import SEGMENT_CODES, InstrumentId, Segment, derive, scan_id
from schemas.market import Direction, ScanResult, Timeframe
from schemas.messages import Candle, Scan, ScanEntry
from schemas.ticks import NO_VOLUME, TICK, Batch
from schemas.units import Price, Quantity, UtcNs

RELIANCE = InstrumentId(Segment.NSE_EQ, 2885)


def a_candle(**changes: object) -> Candle:
    whole = {
        "id": UUID(int=1),
        "event_time": UtcNs.seconds(120),
        "instrument": RELIANCE,
        "timeframe": Timeframe.M1,
        "start": UtcNs.seconds(60),
        "open": Price(10_000),
        "high": Price(10_200),
        "low": Price(9_900),
        "close": Price(10_100),
        "volume": Quantity(500),
        "ticks": 4,
        "complete": True,
    }
    return Candle.model_validate(whole | changes)


def a_scan() -> Scan:
    day, instrument = date(2026, 11, 23), InstrumentId(Segment.NSE_EQ, 2885)
    entry = ScanEntry(
        scan_id=scan_id(day, instrument),
        instrument=instrument,
        symbol="RELIANCE",
        result=ScanResult.SHORTLISTED,
        initial_signal=Direction.BULLISH,
        rank=1,
        features={"rsi_14": 55.5},
    )
    return Scan(
        id=derive("test", "scan"),
        event_time=UtcNs(1),
        trading_date=day,
        origin="rules",
        entries=(entry,),
    )


def instruments() -> st.SearchStrategy[InstrumentId]:
    return st.builds(InstrumentId, st.sampled_from(Segment), st.integers(0, 2**32 - 1))


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Any batch a gateway can write."""
    count = draw(st.integers(0, 20))
    rows = np.zeros(count, TICK)
    clock = draw(st.integers(1, 2**62))
    for row in rows:
        clock = min(2**62, clock + draw(st.integers(0, 10**12)))
        row["clock"], row["exchange_time"] = clock, draw(st.integers(1, clock))
        row["received_at"] = draw(st.integers(0, 2**62))
        row["price"], row["volume"] = (
            draw(st.integers(1, 2**40)),
            draw(st.integers(NO_VOLUME, 2**40)),
        )
        row["security_id"] = draw(st.integers(0, 2**32 - 1))
        row["segment"], row["mode"] = (
            draw(st.sampled_from(sorted(SEGMENT_CODES.values()))),
            draw(st.sampled_from([2, 4, 8])),
        )
    return Batch(UtcNs(clock), UtcNs(draw(st.integers(0, 2**62))), draw(st.integers(0, 9)), rows)
