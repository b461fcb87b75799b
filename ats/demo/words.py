"""What the demo says about itself, and the commands it suggests, as they must be typed here."""

from __future__ import annotations

import shlex
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Final

TRUTH: Final = (
    "Real: Kafka, Postgres with its row-level security, the engine, the agents, the order workers. "
    "Simulated: Dhan and the market."
)
PLUMBING: Final = "A generated market proves the plumbing. It says nothing about returns."
RECORDED: Final = "A recorded day proves the plumbing too. It says nothing about returns either."
CUT_OFF: Final = "Orders that close a position are neither counted nor denied by the day's number."


def typed() -> str:
    """How this very `ats` is typed in the folder one is in."""
    ours, on_path = Path(sys.executable).with_name("ats"), shutil.which("ats")
    if not ours.exists():
        return f"{shlex.quote(sys.executable)} -m ats"
    if on_path and Path(on_path).samefile(ours):
        return "ats"
    here = Path.cwd()
    return shlex.quote(str(ours.relative_to(here) if ours.is_relative_to(here) else ours))


def meanwhile(
    kafka: str, *, other_kafka: bool, page: str | None, other_database: bool = False
) -> str:
    """Where things are, and commands to try while the demo runs.

    `other_kafka` says that the settings name a broker of the user's own, which `ats tail` would
    read from; `other_database` likewise: `ats kill` would stop their users, and is not suggested.
    """
    ats = _tailing(kafka, other_kafka=other_kafka)
    lines = [f"Kafka is at {kafka}." + (f" The page is at {page}" if page else "")]
    lines += ["Meanwhile, in another terminal:"]
    lines += _listed(
        {
            f"{ats} tail ats.decisions --follow": "every decision with its reasons",
            f"{ats} tail ats.executions --last 20": "what became of the orders",
            f"{ats} tail ats.llm --last 1": "what the model was asked, and its answer",
            f"{ats} top": "how every part is doing",
        }
        | ({} if other_database else {f"{typed()} kill --flatten": "close all, and see it proved"})
    )
    return "\n".join(lines)


def kept_at(kafka: str, supabase: str, keys: Path, *, other_kafka: bool) -> str:
    """Where kept data are served, and three commands to look at them."""
    ats = _tailing(kafka, other_kafka=other_kafka)
    lines = [f"Kafka is at {kafka}. Supabase is at {supabase}, its keys in {keys}"]
    lines += ["In another terminal:"]
    lines += _listed(
        {
            f"{ats} tail ats.decisions --where action=BUY": "the last decisions to buy",
            f"{ats} tail ats.executions --where outcome=denied": "the last orders that were denied",
            f"{ats} tail ats.signals --from-beginning": "every signal of the day",
        }
    )
    return "\n".join([*lines, "Ctrl-C ends it."])


def _tailing(kafka: str, *, other_kafka: bool) -> str:
    plain = f"KAFKA_BOOTSTRAP_SERVERS={kafka} KAFKA_SECURITY_PROTOCOL=PLAINTEXT "
    return f"{plain if other_kafka else ''}{typed()}"


def next_steps(kept: Path | None, day: date | None, rules: Path | None = None) -> str:
    """What to try after the demo of `day`; `kept` is where its data stayed.

    `rules` is the person's own rules file, if it ran.
    """
    ats = typed()
    again = {
        f"{ats} demo --speed max": "the same day as fast as this machine can take it",
        f"{ats} demo --market DAY.csv --check-candles": "a day of your own, each candle compared",
        f"{ats} demo --keep ./demo": "keep its data to look around in",
        f"{ats} --help": "all other commands, by what a person wants to do",
    }
    if rules and not kept:
        keep = f"{ats} paper --rules {shlex.quote(str(rules))} --keep ./paper"
        again = {keep: "keep the day, for its score card and report"} | again
    if kept:
        del again[f"{ats} demo --keep ./demo"]
        folder = shlex.quote(str(kept))
        of_day = {
            f"{ats} ledger verify {day} --demo {folder}": "that nothing was changed since",
            f"{ats} report {day} --demo {folder}": "the day as a page",
            f"{ats} scorecard {day} --demo {folder}": "were the decisions any good?",
        }
        served = {f"{ats} demo --serve {folder}": "serve this day's data again"}
        again = served | (of_day if day else {}) | again
    return "\n".join(["What to try next", *_listed(again)])


def _listed(commands: dict[str, str]) -> list[str]:
    width = max(map(len, commands))
    return [f"  {command:<{width}}  {what}" for command, what in commands.items()]
