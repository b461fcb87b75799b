"""What operators are shown: the shapes, and how database and topics become one answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from ats.gateway.platform_views import Incident, Person, Pipeline, Status
from ats.gateway.views import Feed, LastPrice, Own
from schemas.frozen import FrozenModel
from schemas.ids import UserId
from schemas.units import UtcNs


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


class DatabaseView(FrozenModel):
    """What `operator_view` answered an operator."""

    operator: str = Field(description="the asker's name, as it stands in halts")
    read_at: UtcNs = Field(description="machine time")
    accounts: tuple[DhanAccount, ...]
    halts: tuple[Halt, ...]

    @classmethod
    def of(cls, answer: Mapping[str, Any], read_at: UtcNs) -> Self:
        """As `Halt.of`."""
        return cls(
            operator=answer["operator"],
            read_at=read_at,
            accounts=tuple(map(DhanAccount.of, answer["users"])),
            halts=tuple(map(Halt.of, answer["halts"])),
        )


class OperatorAction(FrozenModel):
    """One thing that an operator did on the console."""

    id: int
    operator: str
    action: str = Field(description="halt, reduce, flatten or resume")
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
    users: tuple[OperatedUser, ...]
    incidents: tuple[Incident, ...] = Field(description="of the last day, newest first")


class OperatedDay(FrozenModel):
    """One user's day as they see it themselves, to operators alone."""

    own: Own
    prices: tuple[LastPrice, ...]


def console(status: Status, told: DatabaseView | None, *, away: bool, lags_known: bool) -> Console:
    """Both as one. `told` is what the database said last; `away`: it does not answer now."""
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
