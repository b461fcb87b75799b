"""The command: where Kafka is, what was asked for, and where the lines go."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final, TextIO

from rich.console import Console

from ats.commands.tail.entries import Entry
from ats.commands.tail.reading import Last, Reading, Start
from ats.commands.tail.show import json_line, text
from ats.commands.tail.where import conditions_of
from ats.runtime.running_demo import running
from ats.settings import load
from bus.connection import KafkaConnection
from schemas import topics
from schemas.errors import Misconfigured
from schemas.topics import Topic
from schemas.units import IST, UtcNs

LAST: Final = 10  # entries, as `tail` has it
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class TailOptions:
    """What the command line says; see `ats tail --help`.

    Attributes:
        last: None where it was not given.
        as_json: Also when standard output is a terminal.
    """

    topics: Sequence[str]
    where: Sequence[str]
    last: int | None
    from_beginning: bool
    since: str
    follow: bool
    as_json: bool


async def run(options: TailOptions, now: UtcNs) -> None:
    """Print entries until the end, or until whoever reads them has closed the pipe.

    Raises:
        Misconfigured: an option that cannot be used, no such topic, or no cluster to read from.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    cluster, chosen = connection(tell), named(options.topics)
    start = start_of(options, now)
    reading = Reading(cluster, chosen, conditions_of(options.where, chosen))
    show = printer(sys.stdout, as_json=options.as_json)
    shown = 0
    try:
        async with aclosing(reading.entries(start, follow=options.follow)) as entries:
            shown = await _print(entries, show)
    except BrokenPipeError:  # `| head` has seen enough
        # what is still buffered has no reader, and Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    if not shown:
        tell.print(_nothing(options, reading), highlight=False, soft_wrap=True)


async def _print(entries: AsyncIterator[Entry], show: Callable[[Entry], None]) -> int:
    shown = 0
    async for entry in entries:
        show(entry)
        shown += 1
    return shown


def named(names: Sequence[str]) -> list[Topic]:
    """The topics of these names.

    Raises:
        Misconfigured: an unknown one, with the list of those that exist.
    """
    if unknown := [name for name in names if name not in topics.BY_NAME]:
        raise Misconfigured(
            f"no such topic: {', '.join(unknown)}. Topics are: {', '.join(topics.BY_NAME)}"
        )
    return [topics.BY_NAME[name] for name in dict.fromkeys(names)]


def connection(tell: Console) -> KafkaConnection:
    """What the settings name, else the broker of the demo that runs on this machine.

    Raises:
        Misconfigured: there is neither.
    """
    settings = load()
    if settings.kafka_bootstrap_servers or not (demo := running(settings.ats_state_dir)):
        return settings.kafka()
    tell.print(f"the running demo's broker: {demo.kafka}", style="dim", highlight=False)
    return KafkaConnection(demo.kafka)


def start_of(options: TailOptions, now: UtcNs) -> Start:
    """Where to begin.

    Raises:
        Misconfigured: several beginnings, or a moment that cannot be read.
    """
    given = [
        name
        for name, said in (
            ("--last", options.last is not None),
            ("--from-beginning", options.from_beginning),
            ("--since", bool(options.since)),
        )
        if said
    ]
    if len(given) > 1:
        raise Misconfigured(f"{' and '.join(given)} name different beginnings: give one of them")
    if options.from_beginning:
        return "start"
    return moment(options.since, now) if options.since else Last(options.last or LAST)


def moment(words: str, now: UtcNs) -> UtcNs:
    """A moment such as `09:15` (today) or `2026-11-20T09:15`, both IST, or `15m` (ago).

    Raises:
        Misconfigured: another form.
    """
    try:
        if span := _SPAN.fullmatch(words):
            return UtcNs(now - UtcNs.seconds(int(span[1]) * _SECONDS[span[2]]))
        if re.match(r"[0-9]{1,2}:", words):
            at = datetime.combine(now.ist().date(), time.fromisoformat(words))
        else:
            at = datetime.fromisoformat(words)
        return UtcNs.from_datetime(at if at.tzinfo else at.replace(tzinfo=IST))
    except (ValueError, OverflowError):
        raise Misconfigured(
            f"--since {words!r} is not usable: give a time of today such as 09:15, "
            "a moment such as 2026-11-20T09:15 (both IST), or a span such as 15m, 2h, 1d"
        ) from None


def printer(out: TextIO, *, as_json: bool) -> Callable[[Entry], None]:
    """Writes each entry at once: for people when `out` is a terminal, else as JSON."""
    if as_json or not out.isatty():

        def write(entry: Entry) -> None:
            out.write(json_line(entry) + "\n")
            out.flush()

        return write
    console = Console(file=out)
    return lambda entry: console.print(text(entry), soft_wrap=True)


def _nothing(options: TailOptions, reading: Reading) -> str:
    """Said beside the output: silence would look like a failure."""
    where = " ".join(options.topics)
    if reading.looked_at:
        return f"nothing on {where} matches; {reading.looked_at:,} entries were looked at"
    return f"nothing on {where} yet; --follow waits for what comes"
