"""A market's prints as the records of `ats.ticks` that a gateway would write: same rows, batches,
clocks and heartbeats.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bus.records import Output
from schemas import ticks
from schemas.binary import Rows
from schemas.topics import TICKS
from schemas.units import NS_PER_SECOND, UtcNs
from simulator.market.tape import Market, Prints
from streams.feed.batcher import Batcher

INDEX_SEGMENT = 0
QUOTE = 4  # the feed's response code


def records(market: Market, partitions: int, prints_a_step: int = 64) -> Iterator[Output]:
    """In the order in which they are to be written; of each partition the rows stand in order of
    arrival.
    """
    batcher = Batcher(partitions, gateway=1)
    for second, piece in market.steps(prints_a_step):
        batcher.add(_rows(market.prints[piece]))
        now = UtcNs(second * NS_PER_SECOND)
        while closed := list(batcher.due(now)):
            for partition, batch in closed:
                yield _output(partition, batch)
                batcher.acknowledged(partition)
        for partition, batch in batcher.heartbeats(now):
            yield _output(partition, batch)
            batcher.acknowledged(partition)


def _output(partition: int, batch: ticks.Batch) -> Output:
    return Output(TICKS, b"%d" % partition, ticks.encode(batch), partition)


def _rows(prints: Prints) -> Rows:
    rows = np.zeros(len(prints), ticks.TICK)
    for name in ("price", "volume", "security_id", "segment"):
        rows[name] = prints[name]
    rows["exchange_time"] = rows["received_at"] = prints["second"] * NS_PER_SECOND
    rows["volume"][rows["segment"] == INDEX_SEGMENT] = ticks.NO_VOLUME
    rows["mode"] = QUOTE
    return rows
