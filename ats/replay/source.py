"""Where the record is, and the settings under which it was made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from rich.console import Console

from ats.demo.home import is_kept
from ats.demo.steps import Step
from ats.runtime.running_demo import running
from ats.services.ledger_keys import ledger_keys_of
from ats.settings import SIMULATED_CALENDAR, Settings, load
from audit.archive.installed import check_installed
from bus.connection import KafkaConnection
from bus.stored import Topics
from schemas.errors import Misconfigured

# of a demo, whoever looks at it: its market is open every day, and its clock is the market's
DEMO: Final = {"ats_calendar": SIMULATED_CALENDAR, "ats_clock": "market", "ats_news": "sample"}
MOST_NAMED: Final = 5  # days of an archive in a message


@dataclass(frozen=True, slots=True)
class Source:
    """A cluster or an archive with a record, and the settings for it.

    Attributes:
        days: Of an archive those that it holds; a cluster does not say.
    """

    connection: Topics
    settings: Settings
    days: tuple[date, ...] = ()

    def check_holds(self, first: date, last: date) -> None:
        """Raises Misconfigured where it is an archive without any of these days."""
        if self.days and not any(first <= day <= last for day in self.days):
            held = ", ".join(day.isoformat() for day in self.days[:MOST_NAMED])
            more = ", …" if len(self.days) > MOST_NAMED else ""
            wanted = f"{first}" if first == last else f"{first} to {last}"
            raise Misconfigured(f"the archive holds {held}{more} and nothing of {wanted}")

    @property
    def kafka(self) -> KafkaConnection:
        """The cluster, for what writes.

        Raises:
            Misconfigured: the record is an archive.
        """
        if not isinstance(self.connection, KafkaConnection):
            raise Misconfigured(
                "an archive is only read: `ats archive restore` puts it into a cluster first"
            )
        return self.connection


@asynccontextmanager
async def recorded_by(
    kept: Path | None, tell: Console, archive: Path | None = None
) -> AsyncIterator[Source]:
    """Where the record is, and how it was made.

    `kept` is the folder of a kept demo, `archive` that of an archive; without both it is a cluster.

    Raises:
        Misconfigured: no demo or no archive is in the folder, or no cluster is named and no demo
            runs.
    """
    settings = load()
    if archive is not None:
        if kept is not None:
            raise Misconfigured("--archive and --demo both name a record: give one")
        check_installed()
        from audit.archive.stored import open_archive  # noqa: PLC0415  # pyarrow is not everywhere

        stored = open_archive(archive)
        held = tuple(each.manifest.day for each in stored.days)
        yield Source(stored, load(**DEMO) if stored.of_demo else settings, held)
        return
    if kept is None:
        demo = None if settings.kafka_bootstrap_servers else running(settings.ats_state_dir)
        if demo is None:
            yield Source(settings.kafka(), settings)
        else:
            tell.print(f"the running demo's broker: {demo.kafka}", style="dim", highlight=False)
            yield Source(KafkaConnection(demo.kafka), load(**DEMO))
        return
    if not is_kept(kept):
        raise Misconfigured(
            f"--demo {kept}: no demo was kept there; make one with ats demo --keep {kept}"
        )
    from ats.demo.stack import Stack  # noqa: PLC0415  # with a simulator, which takes a second

    stack = Stack(kept, cache=settings.ats_cache_dir, simulator_arguments=None)
    try:
        with Step(tell, f"starting Kafka on {kept}") as step:
            await stack.kafka.start(announce=step.now)
        keys = ledger_keys_of(stack.settings())
        yield Source(KafkaConnection(stack.kafka.bootstrap_servers), load(**DEMO, **keys))
    finally:
        await stack.kafka.stop()
