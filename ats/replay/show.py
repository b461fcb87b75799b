"""What came of a replay: for people, and as one JSON object."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from audit.replay.comparison import Comparison, Difference, FieldDifference, Kind
from audit.replay.day import Replayed
from audit.replay.profits import DayResult
from audit.sentences import rupees
from audit.shown import clean


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result, and of the first difference what stands there and which field differs."""

    replayed: Replayed
    field: FieldDifference | None = None


def as_json(verdict: Verdict) -> str:
    """One object: each topic's counts, and the first difference with its field."""
    replayed, first = verdict.replayed, verdict.replayed.first
    body: dict[str, Any] = {
        "equal": replayed.equal,
        "inputs": replayed.inputs,
        "topics": [_counts(each) for each in replayed.comparisons],
        "first": _difference(first, verdict.field) if first else None,
        "downstream": {each.topic.name: _by_kind(each.counts) for each in downstream(replayed)},
        "results": [
            {"user": str(each.user), "day": each.day.isoformat(), "realised": int(each.realised)}
            for each in replayed.results
        ],
        "notes": list(replayed.notes),
    }
    return clean(orjson.dumps(body).decode())


def tell_differing(sentences: Sequence[str], *, as_json: bool) -> None:
    """That the record was made under other inputs than those set here, so nothing is compared."""
    if as_json:
        body = {"equal": False, "inputs": list(sentences)}
        sys.stdout.write(clean(orjson.dumps(body).decode()) + "\n")
        return
    console = Console()
    _print(console, "The record was made under other inputs, so nothing was compared:")
    for sentence in sentences:
        _print(console, f"  {sentence}")
    _print(console, "Set what the record names, or take the version of ATS that made it.")


def _counts(each: Comparison) -> dict[str, Any]:
    return {
        "topic": each.topic.name,
        "derived": each.derived,
        "equal": each.equal,
        "repeats": each.recorded.repeats if each.recorded else 0,
        "differences": _by_kind(each.counts),
    }


def _by_kind(counts: Counter[Kind]) -> dict[str, int]:
    return {kind.value: count for kind, count in counts.items()}


def _difference(first: Difference, field: FieldDifference | None) -> dict[str, Any]:
    return {
        "kind": first.kind.value,
        "topic": first.topic.name,
        "partition": first.partition,
        "offset": first.offset,
        "id": first.id,
        "event_time": int(first.moment),
        "field": field.name if field else "",
        "recorded": field.recorded if field else "",
        "replayed": field.replayed if field else "",
        "note": first.note,
    }


def downstream(replayed: Replayed) -> list[Comparison]:
    """The topics after that of the first difference where anything differs too."""
    first = replayed.first
    if first is None:
        return []
    names = [each.topic.name for each in replayed.comparisons]
    after = replayed.comparisons[names.index(first.topic.name) + 1 :]
    return [each for each in after if each.differences]


def show(console: Console, verdict: Verdict, *, verify: bool) -> None:
    """For people: a table of the topics, then the first difference and what follows from it."""
    replayed = verdict.replayed
    taken = ", ".join(f"{count:,} of {topic}" for topic, count in replayed.inputs.items())
    _print(console, f"Records taken as they stand: {taken}.")
    table = Table("topic")
    for name in ("derived", *(("equal", "written again", "differ") if verify else ())):
        table.add_column(name, justify="right")
    for each in replayed.comparisons:
        row = [f"{each.derived:,}"]
        if verify and each.recorded is None:
            row += ["", "", "not compared"]
        elif verify and each.recorded:
            row += [f"{each.equal:,}", f"{each.recorded.repeats:,}", _differ(each)]
        table.add_row(each.topic.name, *row)
    console.print(table)
    if replayed.results:
        console.print(_results(replayed.results))
    for note in replayed.notes:
        _print(console, f"Note: {note}.")
    if not verify:
        return
    for line in said(verdict):
        _print(console, line)


def _results(results: Iterable[DayResult]) -> Table:
    table = Table("user", "day", title="P&L by the replayed positions", title_justify="left")
    for name in ("instruments", "still open", "before charges"):
        table.add_column(name, justify="right")
    for each in results:
        counts = f"{each.instruments:,}", f"{each.open:,}", rupees(each.realised)
        table.add_row(str(each.user), each.day.isoformat(), *counts)
    return table


def said(verdict: Verdict) -> Iterable[str]:
    """Whether record and replay are the same; else where they part, and what follows from it."""
    replayed, first, field = verdict.replayed, verdict.replayed.first, verdict.field
    if first is None:
        compared = sum(each.equal for each in replayed.comparisons)
        yield f"No divergence: {compared:,} messages are byte for byte what the record says."
        yield "No model was called, no broker asked, nothing written."
        return
    yield f"First divergence: {first.place}, {first.kind.value}"
    yield f"  id        {first.id or '(none)'}"
    if first.moment:
        yield f"  market    {first.moment.ist():%Y-%m-%d %H:%M:%S} IST"
    if field:
        yield f"  field     {field.name}"
        yield f"  recorded  {field.recorded}"
        yield f"  replayed  {field.replayed}"
    if first.note:
        yield f"  why       {first.note}"
    rest = downstream(replayed)
    yield "What it changed downstream:" if rest else "Nothing downstream differs."
    for each in rest:
        yield f"  {each.topic.name:<17} {_differ(each)}"


def _differ(each: Comparison) -> str:
    counts = sorted((kind.value, count) for kind, count in each.counts.items())
    return ", ".join(f"{count:,} {kind}" for kind, count in counts) or "0"


def _print(console: Console, line: str) -> None:
    console.print(clean(line), highlight=False, markup=False, soft_wrap=True)
