"""A user's limits at one order: as the gate saw them, and with what was changed of the platform's.

Pure. Users change their own limits during the day, so the record of an order knows better than any
list what held for it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

from executors.risk.recorded import context_of
from executors.risk.sizing import UserLimits
from schemas.messages import Execution

_LONGER_IS_TIGHTER: Final = frozenset({"stop_out_cooldown"})
# an order's record does not tell them: they are the platform's, the first one a user's too
_UNTOLD: Final = ("risk_per_trade", "collar", "stop", "target")


def limits_at(usual: UserLimits, told: Execution | None) -> UserLimits:
    """What held for an order whose outcome is `told`; `usual` where it does not say."""
    if told is None or told.evidence is None:
        return usual
    judgement = told.evidence.judgement
    seen = judgement.seen if judgement else told.evidence.asked
    limits = context_of(seen, told.instrument).limits
    return replace(limits, **{name: getattr(usual, name) for name in _UNTOLD})


def changed_limits(held: UserLimits, before: UserLimits, after: UserLimits) -> UserLimits:
    """`held` with the platform's limits changed from `before` to `after`.

    Where the user's own were tighter than the platform's they stay, as far as they still are.
    """
    changes: dict[str, Any] = {}
    for name in (each.name for each in fields(UserLimits)):
        old, new, own = (getattr(limits, name) for limits in (before, after, held))
        if old != new:
            changes[name] = new if own == old else _tighter(name, new, own)
    return replace(held, **changes)


def _tighter(name: str, one: Any, other: Any) -> Any:
    given = [each for each in (one, other) if each is not None]
    if not given:
        return None
    return max(given) if name in _LONGER_IS_TIGHTER else min(given)
