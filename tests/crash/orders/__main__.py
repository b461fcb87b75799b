"""Plays seeded stories against real order workers and compares with Dhan's own books.

    python -m tests.crash.orders --runs 200 --seed 1

Two order workers and `ats books` serve a few users while processes are killed or frozen, the
database and the broker die, replies and order updates are lost, late or odd, tokens die and
switches go off. Afterwards, from the simulator's own books: no order twice, each intent with
exactly one final outcome, which is the broker's, no entry of whom was switched off before,
`ats.positions` equal to the broker's, to the paisa, no position without a stop for long, and
everybody flat once trading is halted with `flatten`. A violation prints its story, which `--seed`
and `--only` play again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import structlog

from bus.exit import Exit
from tests.crash.orders.run import Run, Stage, staged
from tests.crash.orders.story import story_of

UNCAUGHT = 1  # Python's exit code of an exception; `ats` would say 75
A_DAY = 100  # runs that one market day is long enough for


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash.orders",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--runs", type=int, default=20, help="stories (default 20: three minutes)")
    parser.add_argument("--seed", type=int, default=1, help="of all stories")
    parser.add_argument("--only", type=int, help="play only the nth story of the seed")
    parser.add_argument(
        "--unprotected",
        type=float,
        default=2.0,
        help="seconds that a position may be without a stop (default 2; more on a busy machine)",
    )
    parser.add_argument("--keep", type=Path, help="keep logs and topics in this folder")
    return parser.parse_args()


async def play(given: argparse.Namespace) -> int:
    """Play all stories on one stage."""
    home = given.keep or Path(tempfile.mkdtemp(prefix="ats-crash-orders-"))
    home.mkdir(exist_ok=True)
    numbers = [given.only] if given.only is not None else list(range(1, given.runs + 1))
    bad, happened, began = 0, Counter[str](), time.monotonic()
    for first in range(0, len(numbers), A_DAY):
        day = home / f"from-{numbers[first]}"
        day.mkdir()
        async with staged(day) as stage:
            for count, number in enumerate(numbers[first : first + A_DAY], first + 1):
                story = story_of(given.seed, number)
                happened.update(str(event.kind) for event in story.events)
                run = Run(stage, story)
                complaints = await run.play()
                if run.unprotected > given.unprotected:
                    complaints.append(f"a position had no stop for {run.unprotected:.1f} s")
                bad += bool(complaints)
                mark = "WRONG" if complaints else "held"
                bare = f"{run.unprotected:.1f} s without a stop at most"
                say(f"[{count}/{len(numbers)}] run {number}: {mark}, {bare}")
                if complaints:
                    lines = [str(story), *(f"  ! {complaint}" for complaint in complaints), ""]
                    sys.stdout.write("\n".join(lines))
        report(stage, happened, time.monotonic() - began)
        for complaint in bad_ends(stage):
            bad += 1
            sys.stdout.write(f"{complaint}\n")
    sys.stdout.write(
        f"seed {given.seed}: {len(numbers) - bad} of {len(numbers)} runs held every promise\n"
    )
    if bad:
        sys.stdout.write(f"logs are kept in {home}\n")
    return 1 if bad else 0


def bad_ends(stage: Stage) -> list[str]:
    """Ends of our processes that nothing we did explains."""
    fine = {0, -int(signal.SIGKILL), int(Exit.STALLED)}
    if stage.database_kills or stage.broker_kills:
        fine.add(UNCAUGHT)  # it started while one was away
    if stage.broker_kills:
        fine.add(int(Exit.CRASHED))
    return [
        f"process {worker.name} ended {count} times with exit code {code}"
        for worker in stage.workers
        for code, count in worker.ends.items()
        if code not in fine
    ]


def report(stage: Stage, happened: Counter[str], seconds: float) -> None:
    """What there was of everything."""
    ends = sum((worker.ends for worker in stage.workers), Counter[int]())
    outcomes = Counter(str(each.outcome) for each in stage.heard.final().values())
    sys.stdout.write(
        f"{len(stage.heard.intents)} intents, outcomes {dict(sorted(outcomes.items()))}; "
        f"exit codes of our processes {dict(sorted(ends.items()))}; "
        f"{stage.database_kills} deaths of the database, {stage.broker_kills} of the broker; "
        f"{dict(sorted(happened.items()))}; longest without a stop "
        f"{max(stage.unprotected, default=0):.1f} s; {seconds:.0f} s\n"
    )


def say(line: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def main() -> int:
    """Exit code 1 when a promise did not hold."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with suppress(KeyboardInterrupt):
        return asyncio.run(play(arguments()))
    return 130


if __name__ == "__main__":
    sys.exit(main())
