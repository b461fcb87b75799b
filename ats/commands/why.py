"""`ats why`: from one id to everything that led to it and all that came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import orjson
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ats.commands.tail.command import moment
from ats.runtime.pages import write_page
from audit.amounts import span
from audit.page import began_at, page
from audit.printable import printable
from audit.reading import PREFIX, Found, Reader
from audit.sentences import Sentence, sentences
from audit.shown import clean
from audit.story import Recorded, Story
from bus.stored import Since, Topics
from executors.charges.rates import shipped_rates
from schemas.errors import Misconfigured
from schemas.manifest import HEADER as MANIFEST
from schemas.messages import Decision, OrderIntent
from schemas.units import NS_PER_SECOND, UtcNs

LONGEST: Final = 600  # characters of one detail that a person is shown; JSON has the whole
LONGEST_NAME: Final = 200  # characters; ids of ours have 36, a broker's words at most 100
MOST_MEANT: Final = 5  # ids that a part of one may stand for, in a message


@dataclass(frozen=True, slots=True)
class WhyOptions:
    """What the command line says; see `ats why --help`.

    Attributes:
        demo: The folder of a kept demo, whose Kafka is started for it; None asks the cluster of the
            settings, else a demo that runs.
    """

    name: str
    since: str
    as_json: bool
    html: Path | None = None
    demo: Path | None = None

    def __post_init__(self) -> None:
        """Raises Misconfigured where no id can be meant: too long, or bytes that are no text."""
        if len(self.name) > LONGEST_NAME or any(map(_is_no_text, self.name)):
            raise Misconfigured(
                f"{self.name[:PREFIX]!r}… is no id: give at most {LONGEST_NAME} characters of text"
            )


class Source(Protocol):
    """Where the record is."""

    @property
    def connection(self) -> Topics: ...


OpenSource: TypeAlias = Callable[[Path | None, Console], AbstractAsyncContextManager[Source]]


async def run(options: WhyOptions, now: UtcNs, source_of: OpenSource) -> None:
    """Print the story of one id. `source_of` opens the record of a demo's folder, or of no folder.

    Raises:
        Misconfigured: nothing recorded has this id, several have, it is of a kind without a story,
            or the page cannot be written.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    since: Since = moment(options.since, now) if options.since else "start"
    async with source_of(options.demo, tell) as source:
        with tell.status("reading the topics") as status:
            reader = Reader(
                source.connection,
                since,
                lambda count: status.update(f"reading the topics: {count:,} records"),
            )
            found = await reader.find(options.name)
            start = found.start
            if start is None:
                raise Misconfigured(_unknown(options, found))
            story = await reader.story(start.message)
            bars = await reader.bars_around(story) if story and options.html else []
    if story is None:
        raise Misconfigured(
            f"{options.name} is a record of {start.topic}, which is about no order; "
            f"see: ats tail {start.topic} --where id={start.message.id}"
        )
    if found.meant:
        tell.print(f"taken for {found.meant[0]}", style="dim", highlight=False)
    told = [printable(each) for each in sentences(story, shipped_rates())]
    if options.html:
        write_page(options.html, page(story, told, bars, _title(story)))
        tell.print(f"written: {options.html}", highlight=False, soft_wrap=True)
    elif options.as_json or not sys.stdout.isatty():
        sys.stdout.write(as_json(story, told) + "\n")
    else:
        Console().print(tree(story, told), soft_wrap=True)


def _is_no_text(character: str) -> bool:
    """Whether it stands for a byte of the command line that is no UTF-8."""
    return "\ud800" <= character <= "\udfff"


def as_json(story: Story, told: Sequence[Sentence]) -> str:
    """One object: what the story is about, it in sentences, its records, and what is missing."""
    subject = story.subject
    body = {
        "user": str(subject.user) if subject.user else None,
        "instrument": str(subject.instrument) if subject.instrument else None,
        "trading_date": subject.day.isoformat() if subject.day else None,
        "told": [_told(each) for each in told],
        "records": [_record(each) for each in story.records],
        "missing": list(story.missing),
    }
    return clean(orjson.dumps(body).decode())


def _told(each: Sentence) -> dict[str, object]:
    return {
        "role": each.role,
        "text": each.text,
        "place": each.place,
        "details": list(each.details),
        "sections": {part.title: list(part.lines) for part in each.sections},
    }


def _record(each: Recorded) -> dict[str, object]:
    return {
        "topic": each.topic,
        "partition": each.partition,
        "offset": each.offset,
        "published_at": int(each.published_at),
        "manifest": each.headers.get(MANIFEST, b"").decode("utf-8", "replace"),
        "value": each.message.model_dump(mode="json"),
    }


def tree(story: Story, told: Sequence[Sentence]) -> Tree:
    """For people: what happened in sentences, how long after the first record, and where it is."""
    root = Tree(Text(clean(_title(story)), style="bold"), guide_style="dim")
    began = began_at(told)
    for each in told:
        branch = root.add(Text.assemble(*_line(each, began)))
        for detail in each.details:
            branch.add(_shortened(detail))
        for section in each.sections:
            part = branch.add(Text(section.title, style="dim"))
            for line in section.lines:
                part.add(_shortened(line))
    for missing in story.missing:
        root.add(Text(clean(missing), style="bold yellow"))
    return root


def _shortened(line: str) -> Text:
    more = f"… ({len(line):,} characters, all of them with --json)" if len(line) > LONGEST else ""
    return Text(line[:LONGEST] + more)


def _title(story: Story) -> str:
    subject = story.subject
    if not subject.user:
        return "A decision and what came of it"
    symbols = {each.symbol for each in story.of(OrderIntent)}
    symbols |= {each.symbol for each in story.of(Decision)}
    name = f"{clean(min(symbols))} ({subject.instrument})" if symbols else subject.instrument
    return f"{name}, {subject.day}, user {subject.user}"


def _line(sentence: Sentence, began: UtcNs) -> Iterator[str | tuple[str, str]]:
    yield (f"{sentence.role:<10}", "cyan")
    yield f" {sentence.text}"
    if sentence.record:
        after = (sentence.record.published_at - began) / NS_PER_SECOND
        yield (f"  {span(after)}  {sentence.place}", "dim")
    elif sentence.place:
        yield (f"  {sentence.place}", "dim")


def _unknown(options: WhyOptions, found: Found) -> str:
    since = f" since {options.since}" if options.since else ""
    if found.meant:
        more = (
            f", and {len(found.meant) - MOST_MEANT:,} more" if len(found.meant) > MOST_MEANT else ""
        )
        return (
            f"{len(found.meant):,} ids recorded{since} begin with {options.name!r}: "
            f"{', '.join(found.meant[:MOST_MEANT])}{more}; give more of it"
        )
    return (
        f"nothing recorded{since} is named {options.name!r}: give the id of an order, execution, "
        "trade, exit, position, decision, report or signal, or "
        f"Dhan's number of an order; {PREFIX} characters of an id may do; "
        "see: ats tail ats.executions"
    )
