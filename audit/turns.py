"""Checks that the users of each decision had their turns as the rule says. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from executors.turns import turn
from schemas.ids import DecisionId
from schemas.messages import OrderIntent


def out_of_turn(intents: Iterable[OrderIntent]) -> list[OrderIntent]:
    """Those of one partition of `ats.orders`, in its order, that came later than their turn.

    What a decision that was delivered again repeats is left out: its first time counts.
    """
    last: dict[DecisionId, bytes] = {}
    seen, late = set(), list[OrderIntent]()
    for intent in intents:
        if intent.id in seen:
            continue
        seen.add(intent.id)
        place = turn(intent.decision_id, intent.user_id)
        if place < last.get(intent.decision_id, b""):
            late.append(intent)
        else:
            last[intent.decision_id] = place
    return late
