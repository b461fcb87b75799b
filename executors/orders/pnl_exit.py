"""Dhan's own exit at the day's loss, armed for each account once a day and read back.

It holds while all of ATS is away: Dhan leaves every intraday position and stops trading for the day
once the loss is reached. Dhan forgets it overnight. One that a person set is never changed: it may
be the narrower one.

Where the guarantee stops: the bound is Dhan's to watch, and the market may jump over it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

import structlog

from dhan.outcomes import NotSent, Rejected, TokenRefused
from dhan.trader_control import PnlExit, PnlExitResult, PnlExitState, TraderControlClient
from executors.clock import MonotonicClock
from executors.orders.exit_sender import Record, exit_order
from schemas.ids import UserId
from schemas.messages import ExitAction, ExitReason
from schemas.units import Paise, UtcNs

log = structlog.get_logger(__name__)

AGAIN_AFTER: Final = 60.0  # seconds after an attempt that left it unarmed
# Dhan asks for a profit to leave at, too: one that no account reaches in a day. It tells our exits.
UNREACHED_PROFIT: Final = Paise.from_rupees(100_000_000)


def exit_at_loss(*bounds: Paise | None) -> PnlExit | None:
    """The exit at the tightest of the bounds that are set; None where none is.

    Nor at 0: who may lose nothing opens nothing.
    """
    loss = min((each for each in bounds if each is not None), default=None)
    return PnlExit(UNREACHED_PROFIT, loss, kill_switch=True) if loss else None


@dataclass(frozen=True, slots=True)
class _Found:
    """How Dhan's exit stands.

    Attributes:
        outcome: `armed`, `differs`, `rejected`, `not_sent` or `unknown`.
        final: Nothing more is tried today.
    """

    outcome: str
    final: bool = False
    code: str = ""
    reason: str = ""


class PnlExitKeeper:
    """Keeps the exit of one account."""

    def __init__(
        self,
        user: UserId,
        wanted: Callable[[], PnlExit | None],
        record: Record,
        machine: MonotonicClock,
        count: Callable[[str, str], None],
    ) -> None:
        """`wanted` may change during the day; None while nothing is to be armed.

        `record` and `count` hear of each new outcome; `count` gets its reason and its name.
        """
        self._user, self._wanted = user, wanted
        self._record, self._machine, self._count = record, machine, count
        self._done: tuple[date, PnlExit] | None = None
        self._told: tuple[date, _Found] | None = None
        self._tried: tuple[date, PnlExit, float] | None = None

    async def keep(self, day: date, now: UtcNs, control: TraderControlClient) -> None:
        """See that the exit of `day` is armed. Cheap where it is; never raises for Dhan's answers.

        `now` is market time.
        """
        wanted = self._wanted()
        if wanted is None or self._done == (day, wanted) or self._tried_lately(day, wanted):
            return
        found = await self._arm(wanted, control)
        if found is None:
            return
        self._tried = day, wanted, self._machine.monotonic()
        if self._told != (day, found):
            self._tell(day, now, found)
        if found.final:
            self._done = day, wanted

    def _tried_lately(self, day: date, wanted: PnlExit) -> bool:
        if self._tried is None or self._tried[:2] != (day, wanted):
            return False
        return self._machine.monotonic() - self._tried[2] < AGAIN_AFTER

    async def _arm(self, wanted: PnlExit, control: TraderControlClient) -> _Found | None:
        """None when the token is refused: others see to that."""
        before = await control.pnl_exit()
        if isinstance(before, TokenRefused):
            return None
        if not isinstance(before, PnlExitState) or (
            before.active and not _replaced(before, wanted)
        ):
            return _as_shown(before, wanted)
        answer = await control.set_pnl_exit(wanted)
        if isinstance(answer, Rejected | NotSent):
            outcome = "rejected" if isinstance(answer, Rejected) else "not_sent"
            return _Found(outcome, code=answer.code[:100], reason=answer.message[:4_000])
        # also after a lost reply: it may have arrived
        return _as_shown(await control.pnl_exit(), wanted)

    def _tell(self, day: date, now: UtcNs, found: _Found) -> None:
        self._told = day, found
        level = log.info if found.outcome == "armed" else log.warning
        level("pnl_exit", user=str(self._user), outcome=found.outcome, code=found.code)
        self._count(ExitReason.DAY_LOSS, found.outcome)
        self._record(
            exit_order(
                self._user,
                day,
                now,
                action=ExitAction.PNL_EXIT,
                why=ExitReason.DAY_LOSS,
                instrument=None,
                outcome=found.outcome,
                code=found.code,
                reason=found.reason,
            )
        )


def _replaced(state: PnlExitState, wanted: PnlExit) -> bool:
    """Whether it is one of ours, for a bound that is wanted no more."""
    ours = state.profit == UNREACHED_PROFIT.rupees() and state.kill_switch
    return ours and not state.is_set_as(wanted)


def _as_shown(state: PnlExitResult, wanted: PnlExit) -> _Found:
    if not isinstance(state, PnlExitState):
        return _Found("unknown", reason=state.reason)
    if not state.active:
        return _Found("differs", reason="Dhan shows none")
    if state.is_set_as(wanted):
        return _Found("armed", final=True, reason=f"at a loss of {wanted.loss}")
    switch = "with" if state.kill_switch else "without"
    products = ", ".join(sorted(state.products)) or "no product"
    shown = f"profit {state.profit}, loss {state.loss}, {products}, {switch} kill switch"
    return _Found("differs", final=True, reason=f"Dhan shows: {shown}; left as it is")
