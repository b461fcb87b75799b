"""One account's requests, from order workers and its guardian, whatever the schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from executors.halts import POLL_EVERY, HaltBoard
from executors.orders.outcomes import execution
from executors.orders.worker import SEND_TIMEOUT
from executors.risk.gate import account_has_requests_left
from executors.risk.order_rate import OrderRate
from executors.risk.requests import DHAN, GUARDIANS, HOUR, MINUTE, SECOND, ExitRequests
from executors.store import Halt, Halts, OrderOutcome
from schemas.ids import DhanOrderId
from schemas.messages import Execution, OrderIntent, Outcome
from schemas.units import UtcNs
from tests.executors.factories import TEN_O_CLOCK, USER, a_decision, an_intent, the_situation_for

ACCEPTED = OrderOutcome(Outcome.ACCEPTED, "accepted", dhan_order_id=DhanOrderId("1"))
HALT = Halt(USER, flatten=True, broker_kill=False, since=datetime.now(UTC), reason="drill")
SETTLE = 1_100 * SECOND // 1_000  # longer than any restart


class Account:
    """Order workers and a guardian of one account, on one clock; keeps every request."""

    def __init__(self) -> None:
        self.now = int(TEN_O_CLOCK)
        self.requests: list[int] = []
        self.executions: list[Execution] = []
        self.worker, self.guardian = OrderRate(), ExitRequests()
        self.halted = False  # as the database says
        self.boards = [HaltBoard(self.seconds), HaltBoard(self.seconds)]

    def seconds(self) -> float:
        return self.now / SECOND

    def poll(self) -> None:
        for board in self.boards:
            board.replace(Halts(str(self.halted), (HALT,) if self.halted else ()))

    def advance(self, ns: int) -> None:
        """Both look at the halts as often as they promise."""
        end, step = self.now + ns, round(POLL_EVERY * SECOND)
        while self.now < end:
            self.now = min(end, self.now + step)
            self.poll()

    def sends(self, intent: OrderIntent, *, closing: bool) -> bool:
        """What an order worker does when the order's turn may have come; whether it left."""
        now = UtcNs(self.now)
        if self.worker.next_slot(USER, now, closing=closing) > now:
            return False
        position = intent.quantity if closing else 0
        held = the_situation_for(intent, sent=self.worker.sent(USER, now), position=-position)
        if account_has_requests_left(intent, held):
            return False
        if not closing and self.boards[0].halted(USER):
            return False
        self.worker.spend(intent, now, closing=closing)
        self.requests.append(self.now)
        return True

    def enters(self, *, closing: bool = False) -> OrderIntent | None:
        if self.halted and not closing:
            return None  # the claim is refused
        intent = self.intent()
        if self.sends(intent, closing=closing):
            self.executions.append(execution(intent, ACCEPTED))
            self.worker.observe(self.executions[-1])
        return intent

    def intent(self) -> OrderIntent:
        return an_intent(decision=a_decision(event_time=UtcNs(self.now), signal=uuid4()))

    def room(self) -> int:
        return self.guardian.room(self.seconds(), alone=bool(self.boards[1].of(USER)))

    def guards(self, most: int) -> int:
        """The guardian places, changes and cancels; how many left."""
        for sent in range(most):
            if self.room() <= 0:
                return sent
            self.guardian.note(self.seconds())
            self.requests.append(self.now)
        return most

    def another_worker(self) -> None:
        """One that has read `ats.executions`."""
        self.worker = OrderRate()
        for each in self.executions:
            self.worker.observe(each)

    def in_the_last(self, window: int) -> int:
        return sum(self.now - at < window for at in self.requests)


class Schedule(RuleBasedStateMachine):
    """Entries, exits, retries, cancellations and modifications, restarts and halts."""

    def __init__(self) -> None:
        super().__init__()
        self.account = Account()
        self.pending: tuple[OrderIntent, int] | None = None
        self.repeated_at = 0

    @rule(ms=st.sampled_from([1, 100, 300, 499, 500, 700, 999, 1_000, 1_001, 3_000, 20_000]))
    def time_passes(self, ms: int) -> None:
        self.account.advance(ms * SECOND // 1_000)

    @rule(count=st.integers(1, 12), closing=st.booleans())
    def orders(self, count: int, *, closing: bool) -> None:
        for _ in range(count):
            if intent := self.account.enters(closing=closing):
                self.pending = None if closing else (intent, self.account.now)

    @rule(count=st.integers(1, 12))
    def a_claimed_order_is_tried_again(self, count: int) -> None:
        if self.pending and self.account.now - self.pending[1] < SEND_TIMEOUT * SECOND:
            for _ in range(count):
                if self.account.sends(self.pending[0], closing=False):
                    self.repeated_at = self.account.now

    @rule(count=st.integers(1, 12))
    def the_guardian_acts(self, count: int) -> None:
        self.account.guards(count)

    @rule(pause=st.sampled_from([0, 400, 600, 4_000]), closing=st.booleans())
    def all_want_much_at_once(self, pause: int, *, closing: bool) -> None:
        self.orders(12, closing=closing)
        self.account.halted = not closing or self.account.halted
        self.account.advance(pause * SECOND // 1_000)
        self.the_guardian_acts(12)
        self.orders(12, closing=True)

    @rule()
    def an_exit_finds_room(self) -> None:
        self.account.advance(SECOND)
        used = [at for at in self.account.requests if self.account.now - at < MINUTE]
        assert self.account.room() >= GUARDIANS.second or len(used) >= GUARDIANS.minute

    @rule(halted=st.booleans())
    def halts_come_and_go(self, *, halted: bool) -> None:
        self.account.halted = halted

    @rule()
    def a_worker_takes_over(self) -> None:
        """At once, or a second after a repeat, which is not on `ats.executions`."""
        if self.account.now - self.repeated_at < SECOND:
            self.account.advance(SETTLE)
        self.account.another_worker()
        self.pending = None

    @rule()
    def everything_restarts(self) -> None:
        self.account.advance(SETTLE)
        self.account.another_worker()
        self.account.guardian = ExitRequests()
        self.pending = None

    @invariant()
    def no_second_has_an_eleventh(self) -> None:
        at = self.account.requests
        for first, eleventh in zip(at, at[DHAN.second :], strict=False):
            assert eleventh - first >= SECOND


Schedule.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSchedule: Any = Schedule.TestCase


def test_full_demand_of_everybody_for_more_than_an_hour_keeps_every_limit() -> None:
    account, exits = Account(), 0
    worst = {SECOND: 0, MINUTE: 0, HOUR: 0}
    for second in range(61 * 60):
        account.halted = 400 <= second < 460
        account.advance(SECOND)
        closing = account.halted or second % 4 == 0
        while account.worker.next_slot(USER, UtcNs(account.now), closing=closing) <= account.now:
            before = len(account.requests)
            account.enters(closing=closing)
            if len(account.requests) == before:
                break
        exits += account.guards(10)
        account.requests = [at for at in account.requests if account.now - at < HOUR]
        worst = {each: max(most, account.in_the_last(each)) for each, most in worst.items()}

    assert worst[SECOND] <= DHAN.second
    assert worst[MINUTE] <= DHAN.minute
    assert worst[HOUR] <= DHAN.hour
    assert exits >= GUARDIANS.hour  # however much the order workers wanted
