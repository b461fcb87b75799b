"""Decisions that wait for an operator's yes: where they wait, and what goes out once it is known.

A decision waits in the database and nowhere else: its record is committed, and no handler,
partition or other decision waits with it. Any order worker writes down what came of it; whatever
dies in between, another writes the same messages again. That nothing is entered without the yes is
the database's doing, at each claim: this only brings decisions there and back.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import structlog
from supabase import AsyncClient

from bus.database import Answers, RowRefused, StoreAway
from bus.records import NS_PER_MS, Output, Record
from executors.clock import MonotonicClock
from executors.metrics import OrderMetrics
from executors.risk import situation
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import DecisionId, OrderId, UserId
from schemas.messages import Approval, ApprovalState, OrderIntent
from schemas.topics import DECISIONS
from schemas.units import Paise, UtcNs

log = structlog.get_logger(__name__)

# Whether the intent's decision waits or has its yes: a header and no field, so that the intent's
# bytes depend on the decision alone. None where no yes is needed.
APPROVAL: Final = "ats-approval"
POLL_EVERY: Final = 0.5  # seconds from an answer to its orders, at most
TRY_AGAIN: Final = 0.25  # seconds between two tries while the database is away
AT_ONCE: Final = 16  # decisions; each is written to thousands of users
HELD_FOR: Final = 12.0  # seconds after which another process writes what one that died did not
REMEMBERED: Final = 20_000  # intents: forty times what a process works on at once
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"

Send: TypeAlias = Callable[[Sequence[Output]], Awaitable[None]]


class Waiting(NamedTuple):
    """A decision that waits, or did.

    Attributes:
        exits: Users whose order closes what they hold: it waits for nobody.
    """

    approval: Approval
    exits: frozenset[UserId]


class Entries(NamedTuple):
    """The entries of one decision that are to wait."""

    users: int
    value: Paise

    @classmethod
    def of(cls, intents: Iterable[OrderIntent]) -> Entries:
        """Of these intents, at their limit prices."""
        values = [each.quantity * each.price for each in intents]
        return cls(len(values), Paise(sum(values)))


@dataclass(frozen=True, slots=True)
class Answered:
    """A decision whose answer is not on Kafka yet.

    Attributes:
        record: Of `ats.decisions`, without its headers.
    """

    decision: DecisionId
    record: Record
    waiting: Waiting


@dataclass(frozen=True, slots=True)
class Taken:
    """What one look at the database brought.

    Attributes:
        on: Whether decisions to come wait.
        unanswered: How many wait.
        oldest: Seconds for which the oldest of those has waited; 0 when there is none.
    """

    on: bool
    answered: tuple[Answered, ...]
    unanswered: int
    oldest: float


class ApprovalStore:
    """Calls of the database, each answered within `bus.database.ANSWER_WITHIN` or `StoreAway`.

    Every one may be repeated.
    """

    def __init__(
        self, client: AsyncClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._answers = Answers(_REMEDY, monotonic)

    async def leave(
        self,
        decision: DecisionId,
        record: Record,
        exits: Iterable[UserId],
        entries: Entries,
        left: UtcNs,
    ) -> Waiting | None:
        """Leave the decision of `record`, which stays valid for `left`; None: no yes is needed.

        What was left first counts: of a second delivery only the answer is used.
        """
        answer = await self._rpc(
            "leave_decision",
            {
                "p_decision": str(decision),
                "p_record": (record.value or b"").decode(),
                "p_partition": record.partition,
                "p_place": record.offset,
                "p_published_at": record.published_at,
                "p_exits": sorted(map(str, exits)),
                "p_users": entries.users,
                "p_value_paise": entries.value,
                "p_left_ms": max(0, left // NS_PER_MS),
            },
        )
        match answer:
            case {"status": "off"}:
                return None
            case {"status": "left"}:
                return _waiting(answer, ApprovalState.WAITING)
        raise self._unexpected("leave_decision")

    async def take(self, limit: int, hold: float) -> Taken:
        """Up to `limit` answered decisions, for `hold` seconds ours to write down."""
        arguments = {"p_limit": limit, "p_hold_ms": round(hold * 1_000)}
        answer = await self._rpc("take_approvals", arguments)
        try:
            return Taken(
                on=answer["on"] is True,
                answered=_readable(answer["due"]),
                unanswered=int(answer["waiting"]),
                oldest=(answer["oldest_ms"] or 0) / 1_000,
            )
        except (KeyError, TypeError, ValueError):
            raise self._unexpected("take_approvals") from None

    async def told(self, decision: DecisionId) -> None:
        """Kafka has the messages of this one."""
        await self._rpc("approval_told", {"p_decision": str(decision)})

    async def _rpc(self, function: str, arguments: dict[str, Any]) -> Any:
        return await self._answers.of(function, self._client.rpc(function, arguments).execute)

    def _unexpected(self, call: str) -> StoreAway | Misconfigured:
        return self._answers.misfit(call, "answered in a form this version does not know")


def _waiting(row: dict[str, Any], state: ApprovalState) -> Waiting:
    until = UtcNs.from_datetime(datetime.fromisoformat(row["until"]))
    return Waiting(
        Approval(state=state, until=until),
        frozenset(UserId(UUID(user)) for user in row["exits"]),
    )


def _readable(rows: Iterable[dict[str, Any]]) -> tuple[Answered, ...]:
    """Each row by itself: one that cannot be read keeps no other decision waiting.

    It comes again after its hold, as one that another version can read. Raises KeyError, TypeError:
    one names no decision.
    """
    found = list[Answered]()
    for row in rows:
        name = str(row["decision_id"])
        try:
            found.append(_answered(row))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.error("approval_unreadable", decision=name, error=type(error).__name__)
    return tuple(found)


def _answered(row: dict[str, Any]) -> Answered:
    record = Record(
        topic=DECISIONS.name,
        partition=int(row["partition"]),
        offset=int(row["place"]),
        key=None,
        value=row["record"].encode(),
        published_at=UtcNs(int(row["published_at"])),
    )
    decision = DecisionId(UUID(row["decision_id"]))
    return Answered(decision, record, _waiting(row, ApprovalState(row["answer"])))


class Approvals:
    """Leaves decisions, and publishes what came of those that anybody left."""

    def __init__(
        self, store: ApprovalStore, machine: MonotonicClock, metrics: OrderMetrics
    ) -> None:
        self._store = store
        self._machine = machine
        self._metrics = metrics
        self._off = False  # nobody knows yet
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def off(self) -> bool:
        """Whether the database said last that no decision waits, nor will. A claim asks again."""
        return self._off

    async def leave(
        self,
        decision: DecisionId,
        record: Record,
        exits: Iterable[UserId],
        entries: Entries,
        left: Callable[[], UtcNs],
    ) -> Waiting | None:
        """As `ApprovalStore.leave`; tried again while the database is away and time is `left`.

        Raises:
            StoreAway: it stayed away until then.
            Unreadable: the decision was never recorded there.
        """
        while True:
            try:
                return await self._store.leave(decision, record, exits, entries, left())
            except RowRefused as refused:
                raise Unreadable(
                    f"the database refuses the decision (SQLSTATE {refused.code})", "id"
                ) from None
            except StoreAway:
                if left() <= 0:
                    raise
                await self._machine.sleep(TRY_AGAIN)

    async def run(
        self, outputs_of: Callable[[Answered], Awaitable[Sequence[Output]]], send: Send
    ) -> None:
        """Look for answers, and publish what comes of them, for ever.

        Raises:
            Misconfigured: the database does not fit.
            TryLater: Kafka took no message. Nothing that is sent later would arrive either.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await self._look(tasks, outputs_of, send)
                    await self._machine.sleep(POLL_EVERY)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _look(
        self,
        tasks: asyncio.TaskGroup,
        outputs_of: Callable[[Answered], Awaitable[Sequence[Output]]],
        send: Send,
    ) -> None:
        try:
            taken = await self._store.take(AT_ONCE - len(self._telling), HELD_FOR)
        except StoreAway as error:
            log.warning("approvals_unknown", reason=str(error))
            return
        off = not taken.on and not taken.unanswered
        if off is not self._off:
            log.info("approvals_not_needed" if off else "approvals_needed")
        self._off = off
        self._metrics.decisions_waiting = taken.unanswered
        self._metrics.decisions_waiting_age = taken.oldest
        for answered in taken.answered:
            task = tasks.create_task(self._tell(answered, outputs_of, send))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(
        self,
        answered: Answered,
        outputs_of: Callable[[Answered], Awaitable[Sequence[Output]]],
        send: Send,
    ) -> None:
        name = str(answered.decision)
        try:
            outputs = await outputs_of(answered)
        except Unreadable as error:  # today's master lacks it: no order of it can be made
            log.error("approved_decision_unreadable", decision=name, reason=error.reason)
            outputs = ()
        await send(outputs)
        try:
            await self._store.told(answered.decision)
        except (StoreAway, RowRefused) as error:  # somebody writes the same messages again
            log.error("approval_not_told", decision=name, reason=str(error))
            return
        state = answered.waiting.approval.state
        log.info("approval_told", decision=name, answer=state.value, outputs=len(outputs))


class NotedApprovals:
    """What headers of intents said, for the gate."""

    def __init__(self) -> None:
        self._noted: OrderedDict[OrderId, situation.Approval] = OrderedDict()

    def note(self, intent: OrderIntent, record: Record) -> None:
        """One is worked on.

        Raises:
            Unreadable: the header says what this version does not know.
        """
        if (said := record.headers.get(APPROVAL)) is None:
            return
        try:
            self._noted[intent.id] = situation.Approval(said.decode())
        except ValueError:
            raise Unreadable(f"not a state of an approval: {said[:40]!r}", APPROVAL) from None
        while len(self._noted) > REMEMBERED:
            self._noted.popitem(last=False)

    def of(self, order: OrderId) -> situation.Approval:
        """Whether the yes was needed, and there, when the intent was published."""
        return self._noted.get(order, situation.Approval.NOT_NEEDED)
