"""A stateful service for crash tests: counts, sums and chains what it sees per key.

python -m tests.bus.programs.counting BOOTSTRAP PREFIX INSTANCE
"""

import asyncio
import sys
from collections.abc import Sequence
from hashlib import blake2b

import orjson

from bus.options import ShellOptions
from bus.records import Output, Record
from bus.stateful import StatefulService, run_stateful
from schemas.errors import Unreadable
from schemas.topics import Family, PartitionPlan, Topic
from tests.bus.programs.process import kafka_at, stop_on_signal

PLAN = PartitionPlan(instrument=4, user=2)
POISON = b"poison"
BURST = b"burst"
BURST_SIZE = 10_000  # two messages for each of 5,000 instruments, as at a bar close


class Counting:
    """Writes each key's chain to `tallies`, three messages of each tenth record to `tens`, and many
    of a burst.
    """

    def __init__(
        self, topics: "Topics", keys: dict[str, tuple[int, int, str]] | None = None
    ) -> None:
        self._topics = topics
        self._keys = keys or {}

    def apply(self, record: Record) -> Sequence[Output]:
        if not record.key or record.value is None or record.value == POISON:
            raise Unreadable("poison", "value")
        name = record.key.decode()
        seen, total, digest = self._keys.get(name, (0, 0, ""))
        digest = blake2b(record.value, digest_size=8, key=digest.encode()).hexdigest()
        self._keys[name] = (seen + 1, total + record.value[0], digest)
        value = orjson.dumps([name, *self._keys[name]])
        outputs = [Output(self._topics.tallies, record.key, value)]
        if count := BURST_SIZE if record.value == BURST else 3 if record.offset % 10 == 0 else 0:
            outputs = [
                Output(self._topics.tens, record.key, value + b"%d" % nth) for nth in range(count)
            ] + outputs
        return outputs

    def dump(self) -> bytes:
        return orjson.dumps(self._keys, option=orjson.OPT_SORT_KEYS)


class Topics:
    """The topics of one test."""

    def __init__(self, prefix: str) -> None:
        self.source = Topic(f"{prefix}.source", Family.INSTRUMENT, "name")
        self.tallies = Topic(f"{prefix}.tallies", Family.INSTRUMENT, "name")
        self.tens = Topic(f"{prefix}.tens", Family.INSTRUMENT, "name")
        self.snapshots = Topic(
            f"{prefix}.snapshots", Family.INSTRUMENT, "piece", None, None, compacted=True
        )

    @property
    def all(self) -> tuple[Topic, ...]:
        return self.source, self.tallies, self.tens, self.snapshots


def counting(prefix: str) -> StatefulService:
    topics = Topics(prefix)
    return StatefulService(
        group=prefix,
        source=topics.source,
        snapshots=topics.snapshots,
        outputs=(topics.tens, topics.tallies),
        fresh=lambda _: Counting(topics),
        restore=lambda _, state: Counting(topics, orjson.loads(state)),
    )


async def main(bootstrap: str, prefix: str, instance: str) -> None:
    stop = stop_on_signal()
    options = ShellOptions(session_timeout=6, snapshot_interval=0.3)
    await run_stateful(
        counting(prefix),
        kafka_at(bootstrap),
        PLAN,
        instance=instance,
        stop=stop,
        options=options,
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
