"""The demo's summary and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ats.demo.account_tables import book_promises, tell_accounts
from ats.demo.models import SCRIPTED_WORDS
from ats.demo.result import Played
from ats.demo.tally import Tally
from ats.demo.words import CUT_OFF, TRUTH, next_steps
from ats.runtime import exit_codes
from executors.reasons import for_user
from executors.risk.denial import Denial
from schemas.messages import CallOutcome, Outcome

SIGNED = "each decision, order and rupee is as the ledger signed it and its witness saw it"


def summary(console: Console, played: Played) -> int:
    """Print what happened; returns the exit code."""
    tally = played.tally
    console.print(_counts(tally, played.seconds))
    _say_what_was_not_accepted(console, tally)
    if played.model and played.model.real:
        _say_what_the_model_did(console, tally)
    console.print(_users(played))
    if played.end:
        tell_accounts(console, played.end, tally.thinking)
    for name, latency in tally.latencies().items():
        console.print(
            f"{name}: p50 {latency.p50:,.0f} ms, p99 {latency.p99:,.0f} ms",
            style="dim",
            highlight=False,
        )
    if played.restarts:
        console.print(f"services restarted {played.restarts} times", style="yellow")
    for line in (line for comparison in played.comparisons for line in comparison.lines()):
        console.print(line, highlight=False, soft_wrap=True)
    model = played.model.words if played.model else SCRIPTED_WORDS
    console.print(f"{TRUTH} {model}", highlight=False, markup=False)
    broken = False
    console.print("What was checked", style="bold")
    for promise, problems in verdict(played).items():
        style, word = ("red", "broken") if problems else ("green", "held")
        console.print(f"  [{style}]{word:<6}[/]  {promise}", highlight=False, soft_wrap=True)
        for problem in problems:
            line = f"          {problem}"
            console.print(line, highlight=False, soft_wrap=True, markup=False)
        broken = broken or bool(problems)
    if broken:
        return exit_codes.BROKEN
    console.print("[bold green]Every promise that was checked held.[/]")
    day = played.end.day if played.end else None
    steps = next_steps(played.kept, day, played.rules)
    console.print(steps, style="dim", highlight=False, soft_wrap=True)
    return exit_codes.DONE


def verdict(played: Played) -> Mapping[str, list[str]]:
    """Each promise of the day, with what makes the demo a failure, each in one line."""
    tally, accepted = played.tally, played.tally.accepted_by_user()
    found: dict[str, list[str]] = {str(name): list(why) for name, why in tally.promises().items()}
    lost = tally.ticks != played.ticks_sent
    sent = f"the market made {played.ticks_sent:,} ticks, {tally.ticks:,} reached ats.ticks"
    found["every tick of the market reached ats.ticks, once"] = [sent] if lost else []
    if played.model and played.model.real:
        found |= _of_a_real_model(tally, own_rules=played.rules is not None)
    elif played.rules:
        found |= _all_there(tally, ("ticks", "candles"))
    else:
        found["there are ticks, candles, signals, reports, decisions and orders"] = [
            f"no {name} at all" for name, count in essentials(tally).items() if not count
        ]
        found["everybody who is switched on got an order"] = [
            f"{user.name} is active but has no accepted order"
            for user in played.users
            if user.active and not accepted[user.id]
        ]
    found["nothing became a dead letter"] = [
        f"dead letter from {letter.topic}: {letter.reason}" for letter in tally.dead_letters[:5]
    ]
    if played.comparisons:
        found["the candles equal the file"] = [
            f"the {comparison.timeframe} candles differ from the file"
            for comparison in played.comparisons
            if not comparison.exact
        ]
    if played.end:
        found |= book_promises(played.end)
    if played.unsigned is not None:
        found[SIGNED] = list(played.unsigned)
    return found


def _of_a_real_model(tally: Tally, *, own_rules: bool) -> Mapping[str, list[str]]:
    """Nobody promises that it trades, nor that it is asked under a person's own rules."""
    if own_rules and not essentials(tally)["signals"]:
        return _all_there(tally, ("ticks", "candles"))
    why = [words for words, _ in tally.failures()[:3]] or ["no question was asked"]
    return {
        **_all_there(tally, ("ticks", "candles", "signals", "decisions")),
        "the model answered": [] if tally.calls[CallOutcome.OK] else why,
    }


def _all_there(tally: Tally, needed: Sequence[str]) -> Mapping[str, list[str]]:
    missing = [name for name in needed if not essentials(tally)[name]]
    words = f"there are {', '.join(needed[:-1])} and {needed[-1]}"
    return {words: [f"no {name} at all" for name in missing]}


def _say_what_the_model_did(console: Console, tally: Tally) -> None:
    console.print(tally.thoughts(), highlight=False)
    if failures := tally.failures():
        console.print("Decisions that no model made (HOLD), and why", style="bold")
    for words, count in failures[:5]:
        console.print(f"  {count:>5,} {words}", highlight=False, soft_wrap=True, markup=False)


def essentials(tally: Tally) -> Mapping[str, int]:
    """What must not be zero."""
    return {
        "ticks": tally.ticks,
        "candles": tally.counts["ats.candles"],
        "signals": tally.counts["ats.signals"],
        "reports": tally.counts["ats.reports"],
        "decisions": tally.counts["ats.decisions"],
        "accepted orders": tally.outcomes[Outcome.ACCEPTED],
    }


def _counts(tally: Tally, seconds: float) -> Table:
    table = Table(
        title=f"The day in {seconds:,.0f} seconds", title_justify="left", show_header=False
    )
    table.add_column()
    table.add_column(justify="right")
    for name, count in essentials(tally).items():
        table.add_row(name, f"{count:,}")
    for name, counts in (("decisions", tally.actions), ("orders", tally.outcomes)):
        if counts:
            table.add_row(
                f"  {name}", ", ".join(f"{key} {count:,}" for key, count in sorted(counts.items()))
            )
    return table


def _say_what_was_not_accepted(console: Console, tally: Tally) -> None:
    if not tally.denials:
        return
    console.print("Orders that were not accepted, and why", style="bold")
    for (outcome, words), count in tally.denials.most_common():
        by = " by Dhan" if outcome == Outcome.REJECTED else ""
        line = f"  {count:>5,} {outcome}{by}: {words}"
        console.print(line, highlight=False, soft_wrap=True, markup=False)
        if words == for_user(Denial.ORDERS_OF_THE_DAY_USED_UP):
            console.print(f"        {CUT_OFF}", style="dim", highlight=False, soft_wrap=True)


def _users(played: Played) -> Table:
    accepted = played.tally.accepted_by_user()
    table = Table("user", "trading", "orders accepted", title="Users", title_justify="left")
    people = [(user.name, user.active, user.id) for user in played.users]
    people += [(visitor.name, visitor.active, visitor.id) for visitor in played.visitors]
    for name, active, id_ in people:
        table.add_row(name, "on" if active else "off", f"{accepted[id_]:,}")
    return table
