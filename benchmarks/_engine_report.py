"""The last recorded run of `benchmarks.engine`: kept as a file, written into docs/streams.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product

from benchmarks._indicators import Pace
from benchmarks._recorded import Place, line

PLACE = Place("streams.md", "engine.json")
# Issue 19's targets, from records' bytes to a value after every tick.
ONE_TICK = 1.5  # µs for a record of one tick
FASTER = {  # times a peer, by instruments
    "nautilus": {50: 25, 500: 25, 5_000: 15},
    "crate": {50: 15, 500: 15, 5_000: 15},
}
CALLED = {"nautilus": "NautilusTrader from Python", "crate": "its crate from Rust"}
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
    PLACE.results.write_text(json.dumps(asdict(run), indent=1) + "\n")
    PLACE.show(markdown(run))


def last_run() -> Run:
    """The run that was recorded last."""
    run = json.loads(PLACE.results.read_text())
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
    head = [
        *("ticks a record", "value per tick", "on the wall"),
        *(f"× {name}" for name in names),
        "finals only",
    ]
    yield line(head)
    yield line(["---"] * len(head))
    for row in measured.rows:
        times = [f"{row.values.cpu / measured.peers[name].cpu:,.1f}" for name in names]
        ours = [_millions(row.values.cpu), _millions(row.values.wall)]
        yield line([f"{row.batch:,}", *ours, *times, _millions(row.finals.cpu)])
    paces = ", ".join(
        f"{name} {pace.cpu:,.0f} ({pace.wall:,.0f})" for name, pace in measured.peers.items()
    )
    yield ""
    yield f"Peers, ticks per CPU-second (per second on the wall): {paces or 'none'}."


def _millions(pace: float) -> str:
    return f"{pace / 1e6:.2f}"


def verdicts(run: Run) -> Iterator[str]:
    """Each target with what was measured, met or missed."""
    alone = 1e6 / run.measured[0].rows[0].values.cpu
    yield f"- One tick alone at most {ONE_TICK} µs: {alone:.2f} µs, {_verdict(alone <= ONE_TICK)}."
    for measured, (name, targets) in product(run.measured, FASTER.items()):
        yield _against(measured, name, targets[measured.instruments])


def _against(measured: Measured, name: str, target: int) -> str:
    wanted = (
        f"- {measured.instruments:,} instruments, {FASTER_AT} ticks a record: at least "
        f"{target} times {CALLED[name]}"
    )
    peer = next((pace for each, pace in measured.peers.items() if each.split()[0] == name), None)
    if peer is None:
        return f"{wanted}: it did not run."
    paces = {row.batch: row.values.cpu for row in measured.rows}
    times = paces[FASTER_AT] / peer.cpu
    if times >= target:
        return f"{wanted}: {times:.1f}, met."
    return f"{wanted}: {times:.1f}, missed: {_spent(paces, target * peer.cpu)}."


def _spent(paces: dict[int, float], wanted: float) -> str:
    """How long a record may take and takes, and how much of it is not for its ticks: what the best
    batch's ticks do not cost.
    """
    may, takes = (FASTER_AT / pace * 1e6 for pace in (wanted, paces[FASTER_AT]))
    once = takes - FASTER_AT / max(paces.values()) * 1e6
    return (
        f"a record may take {may:.1f} µs and takes {takes:.1f}, {once:.1f} of them however many "
        "ticks it holds"
    )


def _verdict(met: bool) -> str:
    return "met" if met else "missed"
