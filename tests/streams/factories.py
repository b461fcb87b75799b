"""Ticks, batches and whole markets, made by hand or by chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from bus.records import Output, Record
from schemas.binary import Rows
from schemas.codec import decode
from schemas.ids import InstrumentId, Segment
from schemas.messages import Candle, Indicators, Signal
from schemas.ticks import NO_VOLUME, TICK, Batch, encode, partition_of
from schemas.topics import CANDLES, INDICATORS, SIGNALS, TICKS
from schemas.units import IST, UtcNs
from streams.engine.engine import Engine
from streams.engine.machine import EngineMachine

DAY = date(2024, 1, 2)
NIFTY = InstrumentId(Segment.IDX_I, 13)
RELIANCE = InstrumentId(Segment.NSE_EQ, 2885)
TCS = InstrumentId(Segment.NSE_EQ, 11536)
INFY = InstrumentId(Segment.NSE_EQ, 1594)


def at(clock: str, day: date = DAY) -> UtcNs:
    """A moment on Indian clocks, such as `09:15:30`."""
    return UtcNs.from_datetime(datetime.combine(day, time.fromisoformat(clock), tzinfo=IST))


def tick(
    moment: int,
    price: int,
    volume: int = NO_VOLUME,
    *,
    of: InstrumentId = RELIANCE,
    clock: int | None = None,
) -> Rows:
    """One row, arriving at `clock` (by default at once)."""
    row = np.zeros(1, TICK)
    row["exchange_time"], row["price"], row["volume"] = moment, price, volume
    row["clock"] = moment if clock is None else clock
    row["segment"], row["security_id"], row["mode"] = of.segment.code, of.security_id, 4
    return row


def rows_of(*ticks: Rows) -> Rows:
    return np.concatenate(ticks) if ticks else np.zeros(0, TICK)


def batch_of(*ticks: Rows, clock: int | None = None) -> Batch:
    rows = rows_of(*ticks)
    return Batch(UtcNs(rows["clock"][-1] if clock is None else clock), UtcNs(0), 1, rows)


def heartbeat(clock: int) -> Batch:
    return batch_of(clock=clock)


def record(value: bytes | None, offset: int = 0, partition: int = 0) -> Record:
    return Record(TICKS.name, partition, offset, None, value, UtcNs(0))


def machine() -> EngineMachine:
    return EngineMachine(Engine())


def run(batches: Iterable[Batch], over: EngineMachine | None = None) -> list[Output]:
    engine = over or machine()
    return [output for batch in batches for output in engine.apply(record(encode(batch)))]


def candles(outputs: Sequence[Output]) -> list[Candle]:
    return [decode(Candle, output.value) for output in outputs if output.topic is CANDLES]


def indicators(outputs: Sequence[Output]) -> list[Indicators]:
    return [decode(Indicators, output.value) for output in outputs if output.topic is INDICATORS]


def signals(outputs: Sequence[Output]) -> list[Signal]:
    return [decode(Signal, output.value) for output in outputs if output.topic is SIGNALS]


def streams_of(outputs: Sequence[Output]) -> dict[str, list[tuple[bytes, bytes]]]:
    """What each topic holds, in order: what a consumer sees, whatever records caused it."""
    topics = (SIGNALS, CANDLES, INDICATORS)
    return {topic.name: [(o.key, o.value) for o in outputs if o.topic is topic] for topic in topics}


def split(rows: Rows, cuts: Iterable[int]) -> list[Batch]:
    edges = [0, *sorted(cuts), len(rows)]
    return [batch_of(rows[a:b]) for a, b in pairwise(edges) if a < b]


def shards(rows: Rows, partitions: int, every: int = 50) -> list[list[Batch]]:
    """What the gateway writes to each partition: its rows in batches, and a heartbeat to all after
    `every` rows.
    """
    clock = int(rows["clock"][0])
    written = [[heartbeat(clock)] for _ in range(partitions)]
    owner = np.array([partition_of(_instrument(row), partitions) for row in rows])
    for start in range(0, len(rows), every):
        chunk, owners = rows[start : start + every], owner[start : start + every]
        for partition, batches in enumerate(written):
            batches.append(batch_of(chunk[owners == partition], clock=int(chunk["clock"][-1])))
    return written


def _instrument(row: np.void) -> InstrumentId:
    segment = Segment.from_code(int(row["segment"]))
    assert segment
    return InstrumentId(segment, int(row["security_id"]))


def random_market(
    seed: int, count: int, *, instruments: int = 8, days: int = 1, start: str = "09:14:58"
) -> Rows:
    """A few days of ticks as a gateway would stamp them: whole seconds, some overtaken, some late,
    volumes that grow.
    """
    chance = np.random.default_rng(seed)
    parts = []
    for day in range(days):
        open_, close = at(start, date(2024, 1, 2 + day)), at("15:30:05", date(2024, 1, 2 + day))
        rows = np.zeros(count, TICK)
        moments = np.sort(chance.integers(open_ // 10**9, close // 10**9, count)) * 10**9
        delays = chance.choice([0, 0, 0, 0, 1, 2, 30], count) * 10**9
        rows["clock"] = moments
        rows["exchange_time"] = np.maximum(moments - delays, open_)
        owners = chance.integers(0, instruments, count)
        rows["segment"], rows["security_id"], rows["mode"] = (
            np.where(owners == 0, 0, 1),
            100 + owners,
            4,
        )
        rows["price"] = 100_000 + np.cumsum(chance.integers(-40, 41, count)) // 5 * 5
        for owner in range(instruments):
            mine = owners == owner
            traded = np.cumsum(chance.integers(0, 500, mine.sum()))
            rows["volume"][mine] = NO_VOLUME if owner == 0 else traded
        parts.append(rows)
    return np.concatenate(parts)


@st.composite
def markets(draw: st.DrawFn) -> Rows:
    """Any stream a gateway may write: jumps, pauses, overtaken and late ticks, falling volumes,
    several days.
    """
    count = draw(st.integers(1, 60))
    steps = draw(
        st.lists(
            st.sampled_from([0, 0, 1, 1, 2, 30, 61, 400, 18 * 3_600]),
            min_size=count,
            max_size=count,
        )
    )
    clock = at(draw(st.sampled_from(["08:59:00", "09:14:59", "09:17:30", "15:29:00"])))
    ticks = []
    for step in steps:
        clock = UtcNs(clock + step * 10**9)
        moment = clock - draw(st.sampled_from([0, 0, 0, 1, 2, 3, 61, 7_200])) * 10**9
        volume = draw(st.one_of(st.just(NO_VOLUME), st.integers(0, 1_000)))
        owner = draw(st.sampled_from([NIFTY, RELIANCE, TCS, INFY]))
        ticks.append(tick(moment, draw(st.integers(1, 500)), volume, of=owner, clock=clock))
    return rows_of(*ticks)
