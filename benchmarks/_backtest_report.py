"""What `benchmarks.backtest` found: kept as JSON, and as a page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import TypeAdapter

from benchmarks._recorded import Place, line

MOST_TOLD: Final = 3  # differences of one reason that the page lists; the file has them all
FASTER: Final = 10  # times, the target
EVENT_DRIVEN: Final = "nautilus"
PLACE: Final = Place("backtest.md", "backtest.json")


class Pace(NamedTuple):
    """Seconds of CPU, and on the wall."""

    cpu: float
    wall: float


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer's run beside ours.

    Attributes:
        version: Its name with its version.
        fills, trades: How many it made, and how many of them are as ours.
        differences: Each, by its reason.
    """

    version: str
    pace: Pace
    fills: tuple[int, int]
    trades: tuple[int, int]
    differences: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmark.

    Attributes:
        about: Date, machine, versions.
        played: How much: days, instruments, bars, rules, orders.
        missing: Peers that did not run, and why.
    """

    about: Mapping[str, str]
    played: Mapping[str, int]
    engine: Pace
    accounts: Pace
    fills: int
    trades: int
    peers: Sequence[Peer]
    missing: Mapping[str, str]


def save(run: Run) -> None:
    """Keep the run, and let the page say what it says."""
    PLACE.results.write_bytes(TypeAdapter(Run).dump_json(run, indent=2) + b"\n")
    PLACE.show(markdown(run))


def recorded() -> Run:
    """The last run that was kept."""
    return TypeAdapter(Run).validate_json(PLACE.results.read_bytes())


def markdown(run: Run) -> str:
    """The run as the page shows it."""
    about, played = run.about, run.played
    head = (
        f"{about['date']}, {about['machine']}, load {about['load']}, Python {about['python']}. "
        f"{played['days']} days of {played['instruments']} instruments, {played['bars']:,} bars; "
        f"{played['rules']} rules, {played['orders']:,} orders."
    )
    return "\n".join([head, "", *_table(run), "", *_found(run), ""])


def _table(run: Run) -> Iterator[str]:
    names = ["", "fills", "as ours", "trades", "as ours", "CPU s", "wall s", "CPU, times ours"]
    yield line(names)
    yield line(["---", *["--:"] * (len(names) - 1)])
    whole = run.engine.cpu + run.accounts.cpu
    wall = run.engine.wall + run.accounts.wall
    cells = [f"{run.fills:,}", "", f"{run.trades:,}", "", f"{whole:.1f}", f"{wall:.1f}", "1"]
    yield line(["ATS: engine, every signal, orders, charges", *cells])
    own = run.accounts
    yield line(
        ["of it orders and charges", "", "", "", "", f"{own.cpu:.1f}", f"{own.wall:.1f}", ""]
    )
    for peer in run.peers:
        counts = [f"{each:,}" for each in (*peer.fills, *peer.trades)]
        spent = [f"{peer.pace.cpu:.1f}", f"{peer.pace.wall:.1f}", f"{peer.pace.cpu / whole:.1f}"]
        yield line([f"{peer.version}: the same orders, given", *counts, *spent])


def _verdict(run: Run) -> str:
    """The target with what was measured, of engine and accounts together."""
    wanted = f"- At least {FASTER} times {EVENT_DRIVEN}, by CPU"
    peer = next((each for each in run.peers if each.version.split()[0] == EVENT_DRIVEN), None)
    if peer is None:
        return f"{wanted}: it did not run."
    times = peer.pace.cpu / (run.engine.cpu + run.accounts.cpu)
    return f"{wanted}: {times:.1f}, {'met' if times >= FASTER else 'missed'}."


def _found(run: Run) -> Iterator[str]:
    yield _verdict(run)
    for peer in run.peers:
        yield f"- {peer.version}: {'differs in' if peer.differences else 'no difference.'}"
        for reason, told in peer.differences.items():
            more = f", and {len(told) - MOST_TOLD:,} more" if len(told) > MOST_TOLD else ""
            yield f"    - {len(told):,} {reason}: {'; '.join(told[:MOST_TOLD])}{more}"
    for name, reason in run.missing.items():
        yield f"- Without {name}: {reason}."
