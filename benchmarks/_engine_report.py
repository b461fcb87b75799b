"""The last recorded run of `benchmarks.engine`: kept as a file, written into docs/streams.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks._indicators import Pace

LAST_RUN = Path(__file__).with_name("results") / "engine.json"
PAGE = Path(__file__).parents[1] / "docs" / "streams.md"
BEGIN, END = "<!-- from benchmarks/results/engine.json: begin -->\n", "<!-- end -->\n"
# Issue 19's targets, from records' bytes to a value after every tick.
ONE_TICK = 1.5  # µs for a record of one tick
FASTER = {50: 25, 500: 25, 5_000: 15}  # times NautilusTrader from Python, by instruments
FASTER_AT = 25  # ticks a record: what the gateway makes of 10,000 ticks/s


@dataclass(frozen=True, slots=True)
class Row:
    """One batch size: with values after every tick, and with values of closed bars only."""

    batch: int
    values: Pace
    finals: Pace


@dataclass(frozen=True, slots=True)
class Measured:
    """One number of instruments. `peers` by name and version."""

    instruments: int
    peers: dict[str, Pace]
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `about` describes the machine, `missing` why a peer did not run."""

    about: dict[str, str]
    missing: dict[str, str]
    measured: list[Measured]


def save(run: Run) -> None:
    """Keep the run and write it into the page."""
    LAST_RUN.parent.mkdir(exist_ok=True)
    LAST_RUN.write_text(json.dumps(asdict(run), indent=1) + "\n")
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + markdown(run) + END + rest.split(END, 1)[1])


def last_run() -> Run:
    """The run that was recorded last."""
    run = json.loads(LAST_RUN.read_text())
    measured = [
        Measured(
            each["instruments"],
            {name: Pace(*pace) for name, pace in each["peers"].items()},
            [Row(row["batch"], Pace(*row["values"]), Pace(*row["finals"])) for row in each["rows"]],
        )
        for each in run["measured"]
    ]
    return Run(run["about"], run["missing"], measured)


def markdown(run: Run) -> str:
    """The run as the page has it: millions of ticks per CPU-second, and times the peers."""
    about = run.about
    lines = [
        f"Run of {about['date']}: {about['machine']}, load {about['load']} at the start,",
        f"best of {about['rounds']} rounds, Python {about['python']}, numba {about['numba']}.",
        *(f"Without {name}: {reason}." for name, reason in run.missing.items()),
        "",
    ]
    for measured in run.measured:
        lines += [*_table(measured), ""]
    return "\n".join([*lines, *verdicts(run), ""])


def _table(measured: Measured) -> Iterator[str]:
    names = list(measured.peers)
    yield f"**{measured.instruments:,} instruments**; million ticks per CPU-second, times a peer:"
    yield ""
    head = ["ticks a record", "value per tick", *(f"× {name}" for name in names), "finals only"]
    yield _line(head)
    yield _line(["---"] * len(head))
    for row in measured.rows:
        times = [f"{row.values.cpu / measured.peers[name].cpu:,.1f}" for name in names]
        yield _line([f"{row.batch:,}", _millions(row.values), *times, _millions(row.finals)])
    paces = ", ".join(f"{name} {pace.cpu:,.0f}" for name, pace in measured.peers.items())
    yield ""
    yield f"Peers, ticks per CPU-second: {paces or 'none'}."


def _millions(pace: Pace) -> str:
    return f"{pace.cpu / 1e6:.2f}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def verdicts(run: Run) -> Iterator[str]:
    """Each target with what was measured, met or missed."""
    alone = 1e6 / run.measured[0].rows[0].values.cpu
    yield f"- One tick alone at most {ONE_TICK} µs: {alone:.2f} µs, {_verdict(alone <= ONE_TICK)}."
    for measured in run.measured:
        target = FASTER[measured.instruments]
        wanted = (
            f"- {measured.instruments:,} instruments, {FASTER_AT} ticks a record: at least "
            f"{target} times NautilusTrader"
        )
        peer = next((p for name, p in measured.peers.items() if name.startswith("nautilus")), None)
        if peer is None:
            yield f"{wanted}: it did not run."
            continue
        ours = next(row.values.cpu for row in measured.rows if row.batch == FASTER_AT)
        yield f"{wanted}: {ours / peer.cpu:.1f}, {_verdict(ours / peer.cpu >= target)}."


def _verdict(met: bool) -> str:
    return "met" if met else "missed"
