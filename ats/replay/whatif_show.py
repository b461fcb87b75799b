"""What came of a what-if: a paired table for people, and one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from audit.sentences import rupees
from audit.shown import clean
from audit.whatif.asking import Asker, Bill
from audit.whatif.orders import Placed
from audit.whatif.pairing import Difference, Outcome, Pair, Result, Sums
from audit.whatif.sentences import ESTIMATE, bill_sentence, nothing_differs, totals

MOST_ROWS: Final = 200  # of the table; JSON has all


@dataclass(frozen=True, slots=True)
class Shown:
    """The result, and what a reader has to know of it.

    Attributes:
        bill: What had to be asked anew.
        asker: Who asked; None where nobody was asked.
    """

    difference: Difference
    bill: Bill
    asker: Asker | None
    notes: Sequence[str]


def as_json(shown: Shown) -> str:
    """One object: what was asked, the pairs that differ, both sides in numbers."""
    found, asker = shown.difference, shown.asker
    body: dict[str, Any] = {
        "differs": not found.none,
        "same_signals": found.same,
        "not_asked": found.unasked,
        "asking": {
            "model": shown.bill.model,
            "questions": shown.bill.now,
            "further_at_most": shown.bill.later,
            "most_paise": None if shown.bill.most is None else int(shown.bill.most),
            "asked": asker.asked if asker else 0,
            "spent_paise": int(asker.spent) if asker else None,
            "ended": asker.ended if asker else "",
        },
        "pairs": [_pair(each) for each in found.pairs],
        "before": _sums(found.before),
        "after": _sums(found.after),
        "difference_paise": found.after.net - found.before.net,
        "estimate": ESTIMATE,
        "notes": list(shown.notes),
    }
    return clean(orjson.dumps(body).decode())


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "event_time": int(pair.name.moment),
        "instrument": str(pair.name.instrument),
        "symbol": pair.symbol,
        "timeframe": pair.name.timeframe.value,
        "rule": pair.name.rule,
        "direction": pair.direction.value,
        "change": pair.change.value,
        "before": _outcome(pair.before),
        "after": _outcome(pair.after),
    }


def _outcome(side: Outcome | None) -> dict[str, Any] | None:
    if side is None:
        return None
    decision = side.decision
    return {
        "signal": str(side.signal.id),
        "action": decision.action.value if decision else None,
        "reason_code": decision.reason_code if decision else None,
        "confidence": decision.confidence if decision else None,
        "model": decision.model if decision else None,
        "quantity": side.quantity,
        "net_paise": int(side.net),
        "orders": [
            _order(placed, side.results.get(user)) for user, placed in sorted(side.orders.items())
        ],
    }


def _order(placed: Placed, result: Result | None) -> dict[str, Any]:
    intent = placed.intent
    return {
        "user": str(placed.name.user),
        "standing": placed.standing.value,
        "reason": placed.reason,
        "quantity": int(placed.quantity),
        "price": int(intent.price) if intent else None,
        "stop": int(intent.stop) if intent else None,
        "target": int(intent.target) if intent else None,
        "gross_paise": int(result.gross) if result else None,
        "charges_paise": int(result.charges) if result and result.charges is not None else None,
        "ends": list(result.ends) if result else [],
    }


def _sums(side: Sums) -> dict[str, Any]:
    return {
        "signals": side.signals,
        "decisions": {action.value: count for action, count in side.decided.items()},
        "orders": side.orders,
        "quantity": side.quantity,
        "net_paise": int(side.net),
    }


def show(console: Console, shown: Shown) -> None:
    """For people: what was asked, the pairs that differ, the totals."""
    found = shown.difference
    for note in shown.notes:
        say(console, f"Note: {note}.")
    if shown.bill.questions and not shown.asker:
        say(console, f"{bill_sentence(shown.bill)}. Nobody was asked.")
    if shown.asker:
        say(console, asked_sentence(shown.asker))
    if found.none:
        say(console, nothing_differs(found))
        return
    console.print(_table(found))
    if (more := len(found.pairs) - MOST_ROWS) > 0:
        say(console, f"and {more:,} more; --json has all")
    say(console, f"{found.same:,} signals are the same on both sides.")
    for line in totals(found):
        say(console, line)
    say(console, ESTIMATE)


def asked_sentence(asker: Asker) -> str:
    """How many were asked, and what that cost."""
    ended = f" Asking ended early: {asker.ended}." if asker.ended else ""
    return (
        f"{asker.asked:,} questions were asked of {asker.bill.model}: {rupees(asker.spent)}. The "
        f"answers are kept in {asker.kept.path}, on no topic.{ended}"
    )


def _table(found: Difference) -> Table:
    table = Table("signal", "symbol", "rule", "before → after")
    for name in ("units", "rupees, estimated"):
        table.add_column(name, justify="right")
    table.add_column("differs by")
    for pair in found.pairs[:MOST_ROWS]:
        before, after = pair.before, pair.after
        table.add_row(
            f"{pair.name.moment.ist():%H:%M:%S}"
            if _one_day(found)
            else f"{pair.name.moment.ist():%m-%d %H:%M:%S}",
            clean(pair.symbol),
            clean(pair.name.rule),
            clean(_step(_words(before), _words(after))),
            _step(f"{before.quantity:,}" if before else "–", f"{after.quantity:,}"
                  if after and after.decision else "–"),
            _step(rupees(before.net) if before else "–", rupees(after.net)
                  if after and after.decision else "–"),
            pair.change.value,
        )  # fmt: skip
    return table


def _one_day(found: Difference) -> bool:
    days = {each.name.moment.ist().date() for each in found.pairs}
    return len(days) == 1


def _words(side: Outcome | None) -> str:
    return side.words if side else "no signal"


def _step(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def say(console: Console, line: str) -> None:
    """One line of words that may come from outside."""
    console.print(clean(line), highlight=False, markup=False, soft_wrap=True)
