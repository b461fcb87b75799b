"""`ats why`: from one id to everything that led to it and all that came of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ats.commands.tail.command import connection, moment
from ats.commands.tail.show import clean
from audit.page import page
from audit.reading import Reader
from audit.sentences import Sentence, sentences
from audit.story import Recorded, Story
from bus.reader import Since
from schemas.errors import Misconfigured
from schemas.units import UtcNs

LONGEST: Final = 600  # characters of one detail that a person is shown; JSON has the whole


@dataclass(frozen=True, slots=True)
class WhyOptions:
    """What the command line says; see `ats why --help`."""

    name: str
    since: str
    as_json: bool
    html: Path | None = None


async def run(options: WhyOptions, now: UtcNs) -> None:
    """Print the story of one id.

    Raises:
        Misconfigured: nothing recorded has this id, it is of a kind without a story, or the page
            cannot be written.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    cluster = connection(tell)
    since: Since = moment(options.since, now) if options.since else "start"
    with tell.status("reading the topics") as status:
        reader = Reader(
            cluster, since, lambda count: status.update(f"reading the topics: {count:,} records")
        )
        start = await reader.find(options.name)
        if start is None:
            raise Misconfigured(_unknown(options))
        story = await reader.story(start.message)
        bars = await reader.bars_around(story) if story and options.html else []
    if story is None:
        raise Misconfigured(
            f"{options.name} is a record of {start.topic}, which is about no order; "
            f"see: ats tail {start.topic} --where id={start.message.id}"
        )
    if options.html:
        _write(options.html, page(story, bars, _title(story)))
        tell.print(f"written: {options.html}", highlight=False, soft_wrap=True)
    elif options.as_json or not sys.stdout.isatty():
        sys.stdout.write(as_json(story) + "\n")
    else:
        Console().print(tree(story), soft_wrap=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8", "xmlcharrefreplace")
    except OSError as error:
        raise Misconfigured(f"--html {path} cannot be written: {error.strerror}") from None


def as_json(story: Story) -> str:
    """One object: what the story is about, its records as they stand, and what is missing."""
    subject = story.subject
    body = {
        "user": str(subject.user) if subject.user else None,
        "instrument": str(subject.instrument) if subject.instrument else None,
        "trading_date": subject.day.isoformat() if subject.day else None,
        "records": [_record(each) for each in story.records],
        "missing": list(story.missing),
    }
    return clean(orjson.dumps(body).decode())


def _record(each: Recorded) -> dict[str, object]:
    return {
        "topic": each.topic,
        "partition": each.partition,
        "offset": each.offset,
        "published_at": int(each.published_at),
        "value": each.message.model_dump(mode="json"),
    }


def tree(story: Story) -> Tree:
    """For people: what happened in sentences, how long after the signal, and where it stands."""
    told = list(sentences(story))
    root = Tree(Text(clean(_title(story)), style="bold"), guide_style="dim")
    began = told[0].record.published_at if told else UtcNs(0)
    for each in told:
        branch = root.add(Text.assemble(*_line(each, began)))
        for detail in each.details:
            more = "…" if len(detail) > LONGEST else ""
            branch.add(Text(clean(detail[:LONGEST]) + more))
    for missing in story.missing:
        root.add(Text(clean(missing), style="bold yellow"))
    return root


def _title(story: Story) -> str:
    subject = story.subject
    if not subject.user:
        return "A decision and what came of it"
    return f"User {subject.user}, {subject.instrument}, {subject.day}"


def _line(sentence: Sentence, began: UtcNs) -> Iterator[str | tuple[str, str]]:
    after = (sentence.record.published_at - began) / 1e9
    yield (f"{sentence.role:<10}", "cyan")
    yield clean(sentence.text)
    yield (f"  {_span(after)}  {sentence.record.place}", "dim")


def _span(seconds: float) -> str:
    return f"{seconds:+.3f} s" if abs(seconds) < 900 else f"{seconds / 60:+.0f} min"


def _unknown(options: WhyOptions) -> str:
    since = f" since {options.since}" if options.since else ""
    return (
        f"nothing recorded{since} is named {options.name!r}: give the id of an order, execution, "
        "trade, exit, decision, report or signal, or Dhan's number of an order; "
        "see: ats tail ats.executions"
    )
