"""What operators are shown: the shapes, and how database and topics become one answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from ats.gateway.market import MarketFold
from ats.gateway.platform_views import Incident, Person, Pipeline, Status
from ats.gateway.views import Feed, LastPrice, Own
from schemas.frozen import FrozenModel
from schemas.ids import DecisionId, InstrumentId, UserId
from schemas.market import Action
from schemas.messages import ApprovalState, Report
from schemas.units import Paise, Price, UtcNs


class TradingState(StrEnum):
    """What may leave, of one user or of all."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class Halt(FrozenModel):
    """A halt in force."""

    user_id: UserId | None = Field(description="null: everybody's")
    own: bool = Field(description="the user set it, and alone lifts it")
    state: TradingState
    flatten: bool = Field(description="positions are closed")
    since: UtcNs
    until: UtcNs | None = Field(description="when it ends by itself; null: when it is lifted")
    by: str
    reason: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of `operator_view`. Raises KeyError, TypeError, ValueError: it is none."""
        return cls(
            user_id=UserId(UUID(row["user_id"])) if row["user_id"] else None,
            own=row["own"],
            state=TradingState.HALTED if row["all_orders"] else TradingState.REDUCING,
            flatten=row["flatten"],
            since=_moment(row["since"]),
            until=_moment(row["until"]) if row["until"] else None,
            by=row["halted_by"],
            reason=row["reason"],
        )


class DhanAccount(FrozenModel):
    """What the database knows of a user who ever connected Dhan."""

    user_id: UserId
    email: str | None
    dhan_client_id: str
    switched_on: bool
    token_until: UtcNs | None = Field(description="null where no token is stored")

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As `Halt.of`."""
        return cls(
            user_id=UserId(UUID(row["user_id"])),
            email=row["email"],
            dhan_client_id=row["dhan_client_id"],
            switched_on=row["is_trading_enabled"],
            token_until=_moment(row["token_expiry"]) if row["token_expiry"] else None,
        )


class ApprovalMode(FrozenModel):
    """Entries wait for an operator's yes."""

    seconds: int = Field(description="what a decision waits at most; then the answer is no")
    since: UtcNs
    by: str
    reason: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As `Halt.of`, from `approvals_view`."""
        return cls(
            seconds=row["seconds"],
            since=_moment(row["since"]),
            by=row["began_by"],
            reason=row["reason"],
        )


class AskedDecision(FrozenModel):
    """A decision that needs an operator's yes, as it was when it was left."""

    decision_id: DecisionId
    instrument: InstrumentId
    symbol: str
    action: Action
    price: Price = Field(description="when it was decided")
    users: int = Field(description="whose entries wait")
    value: Paise = Field(description="of all of them, at their limit prices")
    asked_at: UtcNs
    until: UtcNs = Field(description="the deadline; this and all else by the database's clock")
    left_ms: int = Field(description="until the deadline, when the database was read")
    answer: ApprovalState
    answered_at: UtcNs | None
    answered_by: str | None = Field(description="null where nobody did in time")
    reason: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As `Halt.of`, from `approvals_view`."""
        return cls(
            decision_id=DecisionId(UUID(row["decision_id"])),
            instrument=InstrumentId.parse(row["instrument"]),
            symbol=row["symbol"],
            action=Action(row["action"]),
            price=Price(row["price_paise"]),
            users=row["users"],
            value=Paise(row["value_paise"]),
            asked_at=_moment(row["asked_at"]),
            until=_moment(row["deadline"]),
            left_ms=row["left_ms"],
            answer=ApprovalState(row["answer"] or ApprovalState.WAITING),
            answered_at=_moment(row["answered_at"]) if row["answered_at"] else None,
            answered_by=row["answered_by"],
            reason=row["answer_reason"],
        )


class AskedApprovals(FrozenModel):
    """What the database says of approvals."""

    mode: ApprovalMode | None = Field(description="null: entries leave without a yes")
    waiting: tuple[AskedDecision, ...] = Field(description="who waits, soonest deadline first")
    answered: tuple[AskedDecision, ...] = Field(description="the newest, newest first")

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """As `Halt.of`, from `approvals_view`."""
        return cls(
            mode=ApprovalMode.of(told["mode"]) if told["mode"] else None,
            waiting=tuple(map(AskedDecision.of, told["waiting"])),
            answered=tuple(map(AskedDecision.of, told["answered"])),
        )


class WaitingDecision(FrozenModel):
    """A decision that waits, with all that a person needs to answer."""

    asked: AskedDecision
    last_price: LastPrice | None = Field(description="now; null where none is known")
    reasoning: str | None = Field(description="the Commander's; null where the day holds it not")
    reports: tuple[Report, ...] = Field(description="what the analysts said, without their data")


class Approvals(FrozenModel):
    """What waits for an operator's yes."""

    mode: ApprovalMode | None = Field(description="null: entries leave without a yes")
    waiting: tuple[WaitingDecision, ...] = Field(description="soonest deadline first")
    answered: tuple[AskedDecision, ...] = Field(description="the newest, newest first")


class DatabaseView(FrozenModel):
    """What `operator_view` answered an operator."""

    operator: str = Field(description="the asker's name, as it stands in halts")
    read_at: UtcNs = Field(description="machine time")
    accounts: tuple[DhanAccount, ...]
    halts: tuple[Halt, ...]
    approvals: AskedApprovals

    @classmethod
    def of(cls, answer: Mapping[str, Any], read_at: UtcNs) -> Self:
        """As `Halt.of`."""
        return cls(
            operator=answer["operator"],
            read_at=read_at,
            accounts=tuple(map(DhanAccount.of, answer["users"])),
            halts=tuple(map(Halt.of, answer["halts"])),
            approvals=AskedApprovals.of(answer["approvals"]),
        )


class OperatorAction(FrozenModel):
    """One thing that an operator did on the console."""

    id: int
    operator: str
    action: str = Field(
        description="halt, reduce, flatten, resume, approvals_on, approvals_off, approve or refuse"
    )
    user_id: UserId | None = Field(description="null: everybody")
    reason: str
    at: UtcNs

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """As `Halt.of`, from `operator_actions_before`."""
        return cls(
            id=row["id"],
            operator=row["operator"],
            action=row["action"],
            user_id=UserId(UUID(row["user_id"])) if row["user_id"] else None,
            reason=row["reason"],
            at=_moment(row["at"]),
        )


class OperatorActions(FrozenModel):
    """What operators did on the console, newest first."""

    actions: tuple[OperatorAction, ...]


class OperatedUser(FrozenModel):
    """One user as an operator sees them."""

    user_id: UserId
    account: DhanAccount | None = Field(
        description="null: the database does not know them, or is away"
    )
    state: TradingState | None = Field(description="null: the database was not read yet")
    day: Person | None = Field(description="null where the topics told nothing lately")


class Console(FrozenModel):
    """How the platform stands, to operators alone."""

    at: UtcNs = Field(description="machine time")
    operator: str | None = Field(description="the asker's name; null as long as it is not known")
    database_away: bool = Field(description="accounts and halts are those of `database_read_at`")
    database_read_at: UtcNs | None = Field(description="null where it was not read yet")
    trading_date: date | None
    clock: UtcNs = Field(description="market clock; 0 before the first tick was seen")
    feeds: tuple[Feed, ...]
    lags_known: bool = Field(description="false: Kafka did not say what waits")
    pipeline: Pipeline
    state: TradingState | None = Field(description="of everybody; null as with users")
    halts: tuple[Halt, ...]
    approvals: Approvals | None = Field(description="null: the database was not read yet")
    users: tuple[OperatedUser, ...]
    incidents: tuple[Incident, ...] = Field(description="of the last day, newest first")


class OperatedDay(FrozenModel):
    """One user's day as they see it themselves, to operators alone."""

    own: Own
    prices: tuple[LastPrice, ...]


def console(
    status: Status,
    told: DatabaseView | None,
    market: MarketFold,
    *,
    away: bool,
    lags_known: bool,
) -> Console:
    """All as one. `told` is what the database said last; `away`: it does not answer now."""
    halts = told.halts if told else ()
    return Console(
        at=status.at,
        operator=told.operator if told else None,
        database_away=away,
        database_read_at=told.read_at if told else None,
        trading_date=status.trading_date,
        clock=status.clock,
        feeds=status.feeds,
        lags_known=lags_known,
        pipeline=status.pipeline,
        state=state_of(None, halts) if told else None,
        halts=halts,
        approvals=_approvals(told.approvals, market) if told else None,
        users=tuple(_users(status.users, told)),
        incidents=status.incidents,
    )


def state_of(user: UserId | None, halts: Iterable[Halt]) -> TradingState:
    """The strictest that holds for `user`; None: for everybody."""
    holding = {each.state for each in halts if each.user_id in (None, user)}
    for state in (TradingState.HALTED, TradingState.REDUCING):
        if state in holding:
            return state
    return TradingState.ACTIVE


def _approvals(asked: AskedApprovals, market: MarketFold) -> Approvals:
    return Approvals(
        mode=asked.mode,
        waiting=tuple(_waiting(each, market) for each in asked.waiting),
        answered=asked.answered,
    )


def _waiting(asked: AskedDecision, market: MarketFold) -> WaitingDecision:
    decision = market.decision(asked.decision_id)
    reports = market.reports(decision.signal_id) if decision else ()
    prices = market.prices([asked.instrument], since=-1)
    return WaitingDecision(
        asked=asked,
        last_price=prices[0] if prices else None,
        reasoning=decision.reasoning if decision else None,
        reports=tuple(each.model_copy(update={"data": {}}) for each in reports),
    )


def _users(people: Iterable[Person], told: DatabaseView | None) -> Iterable[OperatedUser]:
    days = {each.user_id: each for each in people}
    accounts = {each.user_id: each for each in told.accounts} if told else {}
    for user in sorted({*days, *accounts}):
        yield OperatedUser(
            user_id=user,
            account=accounts.get(user),
            state=state_of(user, told.halts) if told else None,
            day=days.get(user),
        )


def _moment(text: str) -> UtcNs:
    return UtcNs.from_datetime(datetime.fromisoformat(text))
