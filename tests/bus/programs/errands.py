"""A stateless service for crash tests: each record is an errand that says how long it takes and
whether it fails.

python -m tests.bus.programs.errands BOOTSTRAP PREFIX INSTANCE [IN_FLIGHT [OPTIONS]]
"""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from bus.options import ShellOptions
from bus.records import Output, Record
from bus.stateless import StatelessService, run_stateless
from schemas.errors import Unreadable
from schemas.topics import Family, PartitionPlan, Topic
from tests.bus.programs.process import kafka_at, stop_on_signal

PLAN = PartitionPlan(instrument=2, user=3)


@dataclass
class Topics:
    """The topics of one test. `done` belongs to the source's family, `told` does not."""

    prefix: str

    def __post_init__(self) -> None:
        self.source = Topic(f"{self.prefix}.errands", Family.INSTRUMENT, "name")
        self.done = Topic(f"{self.prefix}.done", Family.INSTRUMENT, "name")
        self.told = Topic(f"{self.prefix}.told", Family.USER, "user")

    @property
    def all(self) -> tuple[Topic, ...]:
        return self.source, self.done, self.told


class Errands:
    """Runs errands and notes how many ran at once."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._running = 0

    async def run(self, record: Record) -> Sequence[Output]:
        if record.value is None or record.value.startswith(b"garbled"):
            raise Unreadable("garbled errand", "value")
        errand = orjson.loads(record.value)
        self._running += 1
        at_once = self._running
        try:
            await asyncio.sleep(errand["seconds"])
        finally:
            self._running -= 1
        if errand.get("fails"):
            raise RuntimeError("this errand cannot be run")
        value = orjson.dumps([errand["number"], at_once])
        outputs = [Output(self._topics.done, record.key or b"", value)]
        if user := errand.get("user"):
            outputs.append(Output(self._topics.told, user.encode(), value))
        return outputs


def errands(prefix: str, in_flight: int) -> StatelessService:
    topics = Topics(prefix)
    return StatelessService(
        group=prefix,
        handlers={topics.source: Errands(topics).run},
        outputs=(topics.done, topics.told),
        in_flight=in_flight,
    )


async def main(
    bootstrap: str, prefix: str, instance: str, in_flight: str = "64", changed: str = "{}"
) -> None:
    stop = stop_on_signal()
    options = replace(ShellOptions(session_timeout=6, commit_interval=0.1), **orjson.loads(changed))
    await run_stateless(
        errands(prefix, int(in_flight)),
        kafka_at(bootstrap),
        PLAN,
        instance=instance,
        stop=stop,
        options=options,
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
