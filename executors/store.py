"""The database as the executors see it: claim, record, reconcile, and who may trade.

Typed, and silent about tokens. All decisions about "at most once" are the database's
(`supabase/migrations`); this is only their wording in Python. Every call may be repeated: a claim
whose answer was lost is answered with `AlreadyClaimed`, a outcome with what was recorded first.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, NewType, TypeAlias, TypeVar
from uuid import UUID

import structlog
from pydantic import SecretStr
from supabase import AsyncClient

from bus.database import Answers, RowRefused, StoreAway, ask
from dhan.transport import Credentials
from executors.batches import Arguments, Batches
from executors.clock import MonotonicClock
from executors.terms import OrderTerms
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.evidence import Written
from schemas.ids import CorrelationId, DecisionId, DhanClientId, DhanOrderId, OrderId, UserId
from schemas.messages import OrderIntent, Outcome

log = structlog.get_logger(__name__)

PAGE: Final = 1_000  # rows in one answer of trading_keys; PostgREST's usual limit
LONGEST_PAUSE: Final = 2.0  # between tries while the database is away
REASON_LENGTH: Final = 1_000  # characters kept of a broker's explanation

_FOREIGN_KEY: Final = "23503"
_UNIQUE: Final = "23505"
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"


# Which storing of a user's token was handed out; never used twice.
TokenVersion = NewType("TokenVersion", int)


class OrderKey(NamedTuple):
    """Whose order about what."""

    user: UserId
    decision: DecisionId
    order: OrderId

    @classmethod
    def of(cls, intent: OrderIntent) -> OrderKey:
        return cls(intent.user_id, intent.decision_id, intent.id)


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """The one recorded outcome of an intent.

    Attributes:
        code: A word for machines, such as `quote_stale` or `DH-906`.
        text: An explanation for a person, may be empty.
        terms: What the order says, as the database recorded it first; None before it did.
    """

    outcome: Outcome
    code: str
    text: str = ""
    dhan_order_id: DhanOrderId | None = None
    terms: OrderTerms | None = None

    @property
    def line(self) -> str:
        """One line for the database, from which `read` recovers code and text."""
        return (f"{self.code}: {self.text}" if self.text else self.code)[:REASON_LENGTH]

    @property
    def reason(self) -> str | None:
        """The line of a first outcome, None where the outcome says it all."""
        return None if self.outcome is Outcome.ACCEPTED else self.line

    @classmethod
    def read(cls, record: dict[str, Any], ours: Written | None = None) -> OrderOutcome:
        """What the database recorded; `ours` as of `OrderTerms.read`."""
        outcome = Outcome(record["outcome"])
        code, _, text = (record.get("reason") or outcome.value).partition(": ")
        order, terms = record.get("dhan_order_id"), record.get("terms")
        return cls(
            outcome,
            code[:100],
            text,
            DhanOrderId(order) if order else None,
            OrderTerms.read(terms, ours) if terms else None,
        )


@dataclass(frozen=True, slots=True)
class Claimed:
    """The order is ours to send, now, with these credentials."""

    credentials: Credentials
    token_version: TokenVersion


@dataclass(frozen=True, slots=True)
class Refused:
    """The database forbids the order: switched off, no account, or no token that lives."""

    reason: str


@dataclass(frozen=True, slots=True)
class AlreadyClaimed:
    """Someone claimed or denied the order before, perhaps this process before it was killed."""

    outcome: OrderOutcome | None


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A claim without outcome, and what one needs to look its order up.

    Attributes:
        age: Seconds since the claim, by the database's clock.
    """

    credentials: Credentials
    correlation_id: CorrelationId
    age: float
    token_version: TokenVersion


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """The claim has its outcome."""

    outcome: OrderOutcome


@dataclass(frozen=True, slots=True)
class Unverifiable:
    """A claim without outcome that cannot be looked up: the token is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Questioned:
    """A token to ask Dhan about: somebody else has named its account."""

    user: UserId
    credentials: Credentials
    token_version: TokenVersion


@dataclass(frozen=True, slots=True)
class Connected:
    """A token that lives, and the account it was stored for."""

    credentials: Credentials
    token_version: TokenVersion


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What the engine may know about a user without reading the token.

    Attributes:
        changed_at: When any of it last changed, by the database's clock.
    """

    user: UserId
    client_id: DhanClientId | None
    enabled: bool
    token_expiry: datetime | None
    token_refused: bool
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Keys:
    """Everybody's keys, as of one look.

    Attributes:
        digest: Of no later moment than the rows. It changes whenever one of them does.
    """

    digest: str
    rows: tuple[KeyRow, ...]


@dataclass(frozen=True, slots=True)
class Halt:
    """No order that opens or enlarges a position leaves.

    Attributes:
        user: Whose; None for everybody's.
        flatten: Positions are to be closed.
        all_orders: Not even an order that closes leaves; exits are the guardian's.
        broker_kill: Once flat, Dhan's own kill switch is to be set.
        since: The first that is in force, by the database's clock.
        reason: Of that first one, for a person.
    """

    user: UserId | None
    flatten: bool
    broker_kill: bool
    since: datetime
    reason: str
    all_orders: bool = False


@dataclass(frozen=True, slots=True)
class Halts:
    """All that are in force; at most one a user, and one of everybody.

    Attributes:
        digest: Changes whenever a halt comes or goes.
    """

    digest: str
    in_force: tuple[Halt, ...]

    def of(self, user: UserId) -> tuple[Halt, ...]:
        """Those that stop this user."""
        return tuple(halt for halt in self.in_force if halt.user is None or halt.user == user)


Claim: TypeAlias = Claimed | Refused | AlreadyClaimed
Reconciled: TypeAlias = OpenClaim | RecordedOutcome | Unverifiable
T = TypeVar("T")


class Store:
    """Calls of the database, each answered within `bus.database.ANSWER_WITHIN` or `StoreAway`.

    Claims that come together travel together, and so do outcomes (`executors.batches`).
    """

    def __init__(
        self, client: AsyncClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._answers = Answers(_REMEDY, monotonic)
        self._claims = Batches(
            partial(self._rpc, "claim_order"), partial(self._many, "claim_orders", "p_orders")
        )
        self._outcomes = Batches(
            self._record_one, partial(self._many, "record_order_outcomes", "p_outcomes")
        )

    async def claim(
        self, intent: OrderIntent, *, closes: bool = False, evidence: Written | None = None
    ) -> Claim:
        """Ask for the right to send `intent`, and for the credentials to do it with.

        One that `closes`, and so only makes a position smaller, is held back by neither halt nor
        switch. `evidence` is written with the claim.

        Raises:
            Unreadable: the decision in the database is not what the intent says it is.
        """
        terms = OrderTerms.of(intent, evidence).written()
        arguments: dict[str, Any] = {"p_terms": terms, "p_closes": closes}
        arguments["p_correlation_id"] = intent.dhan_correlation_id
        answer = await self._claims.answer(_names(OrderKey.of(intent)) | arguments)
        match answer:
            case {"status": "differs", "action": str(action), "symbol": str(symbol)}:
                raise Unreadable(
                    f"decision {intent.decision_id} says {action} {symbol}, not {intent.side} "
                    f"{intent.symbol}",
                    "side",
                )
            case {
                "status": "claimed",
                "dhan_client_id": str(client),
                "access_token": str(token),
                "token_version": int(version),
            }:
                credentials = Credentials(DhanClientId(client), SecretStr(token))
                return Claimed(credentials, TokenVersion(version))
            case {"status": "refused", "reason": str(reason)}:
                return Refused(reason)
            case {"status": "taken", "outcome": None}:
                return AlreadyClaimed(None)
            case {"status": "taken", "outcome": str()}:
                return AlreadyClaimed(OrderOutcome.read(answer))
        raise self._unexpected("claim_order")

    async def record_outcome(
        self, key: OrderKey, outcome: OrderOutcome, evidence: Written | None = None
    ) -> OrderOutcome:
        """Record the outcome of a claim of ours; returns the first that anybody recorded.

        `evidence` is the claim's with what the gate saw last, which is added to the claim's.
        """
        if recorded := await self._record(key, outcome, None, evidence):
            return recorded
        raise self._unexpected("record_order_outcome")

    async def keep_judgement(self, key: OrderKey, judgement: Written) -> None:
        """Write down what the gate saw last of a claim of ours whose outcome is not known yet."""
        arguments = _names(key) | {"p_judgement": judgement}
        await self._rpc("keep_judgement", arguments)

    async def record_denial(
        self, key: OrderKey, denial: OrderOutcome, terms: OrderTerms
    ) -> OrderOutcome | None:
        """Record that an order nobody claimed may not leave; returns the first recorded outcome.

        None: somebody has claimed it meanwhile, and may have sent it. Look it up.
        """
        return await self._record(key, denial, terms)

    async def _record(
        self,
        key: OrderKey,
        outcome: OrderOutcome,
        terms: OrderTerms | None,
        evidence: Written | None = None,
    ) -> OrderOutcome | None:
        arguments = _names(key) | {
            "p_outcome": outcome.outcome.value,
            "p_dhan_order_id": outcome.dhan_order_id,
            "p_reason": outcome.reason,
        }
        if evidence and evidence["judgement"]:
            arguments["p_judgement"] = evidence["judgement"]
        else:
            arguments["p_terms"] = terms.written() if terms else None
        answer = await self._outcomes.answer(arguments)
        match answer:
            case {"first": False, "outcome": None} if terms:
                return None
            case {"first": bool(first), "outcome": str()}:
                recorded = OrderOutcome.read(answer, evidence)
                if not first and recorded.outcome is not outcome.outcome:
                    log.error(
                        "outcomes_differ",
                        order=str(key.order),
                        ours=outcome.outcome,
                        recorded=recorded.outcome,
                    )
                return recorded
        raise self._unexpected("record_order_outcome")

    async def _record_one(self, arguments: Arguments) -> Any:
        judged = "p_judgement" in arguments
        return await self._rpc(
            "record_judged_outcome" if judged else "record_order_outcome", arguments
        )

    async def reconcile(self, key: OrderKey) -> Reconciled:
        """The state of a claim, with credentials to look it up while it is open.

        Raises:
            TryLater: there is no such claim, so the database is not the one that the order was
                claimed in.
        """
        answer = await self._rpc(
            "reconcile_order", {"p_user": str(key.user), "p_decision": str(key.decision)}
        )
        match answer:
            case {
                "status": "open",
                "dhan_client_id": str(client),
                "access_token": str(token),
                "age_ms": int(age),
                "token_version": int(version),
            }:
                credentials = Credentials(DhanClientId(client), SecretStr(token))
                name = CorrelationId(str(answer["correlation_id"]))
                return OpenClaim(credentials, name, age / 1_000, TokenVersion(version))
            case {"status": "settled", "outcome": str()}:
                return RecordedOutcome(OrderOutcome.read(answer))
            case {"status": "refused", "reason": str(reason)}:
                return Unverifiable(reason)
            case {"status": "absent"}:
                raise TryLater(
                    f"the claim of order {key.order} has vanished: was the database restored "
                    "from a backup?"
                )
        raise self._unexpected("reconcile_order")

    async def refuse_token(self, user: UserId, version: TokenVersion, code: str) -> bool:
        """Note that Dhan refused this token; returns whether it is the one in force."""
        arguments = {"p_user": str(user), "p_token_version": version, "p_code": code}
        answer = await self._rpc("refuse_token", arguments)
        if isinstance(answer, bool):
            return answer
        raise self._unexpected("refuse_token")

    async def question_token(self, interval: float) -> Questioned | None:
        """A contested token that nobody has asked about for `interval` seconds, or None."""
        answer = await self._rpc("question_token", {"p_interval_ms": round(interval * 1_000)})
        match answer:
            case {"status": "none"}:
                return None
            case {
                "status": "questioned",
                "user_id": str(user),
                "dhan_client_id": str(client),
                "access_token": str(token),
                "token_version": int(version),
            }:
                credentials = Credentials(DhanClientId(client), SecretStr(token))
                return Questioned(UserId(UUID(user)), credentials, TokenVersion(version))
        raise self._unexpected("question_token")

    async def vouch_for_token(self, user: UserId, version: TokenVersion) -> None:
        """Note that Dhan says: this token lives, and is of the account it was stored for."""
        arguments = {"p_user": str(user), "p_token_version": version}
        await self._rpc("vouch_for_token", arguments)

    async def account_credentials(
        self, user: UserId, known: Connected | None = None
    ) -> Connected | None:
        """The token of `user` while one lives, whatever their switch says; else None.

        Returns `known` itself while nothing was stored since.
        """
        arguments = {"p_user": str(user), "p_known": known.token_version if known else None}
        match await self._rpc("account_credentials", arguments):
            case {"status": "refused", "reason": str()}:
                return None
            case {"status": "known"} if known:
                return known
            case {
                "status": "living",
                "dhan_client_id": str(client),
                "access_token": str(token),
                "token_version": int(version),
            }:
                credentials = Credentials(DhanClientId(client), SecretStr(token))
                return Connected(credentials, TokenVersion(version))
        raise self._unexpected("account_credentials")

    async def halts_in_force(self, known: Halts | None = None) -> Halts:
        """The halts in force; `known` itself while they are the same. Cheap: ask often."""
        arguments = {"p_known": known.digest if known else None}
        answer = await self._rpc("halts_in_force", arguments)
        try:
            match answer:
                case {"digest": str(digest), "halts": None} if known and digest == known.digest:
                    return known
                case {"digest": str(digest), "halts": list(rows)}:
                    return Halts(digest, tuple(_halt(row) for row in rows))
        except (KeyError, TypeError, ValueError):
            pass
        raise self._unexpected("halts_in_force")

    async def impose_halt(self, user: UserId, by: str, reason: str, until: datetime | None) -> None:
        """Halt one user, unless a halt that lasts as long is in force; None: until it is lifted."""
        await self._rpc(
            "impose_halt",
            {
                "p_user": str(user),
                "p_by": by,
                "p_reason": reason,
                "p_until": until.isoformat() if until else None,
            },
        )

    async def keys_since(self, known: Keys | None) -> Keys:
        """Everybody's keys; `known` itself while they are the same. Cheap: ask often."""
        match await self._rpc("trading_keys_digest", {}):
            case {"digest": str(digest)} if known and digest == known.digest:
                return known
            case {"digest": str(digest)}:
                return Keys(digest, tuple(await self.trading_keys()))
        raise self._unexpected("trading_keys_digest")

    async def trading_keys(self) -> list[KeyRow]:
        """All users' keys without their tokens."""
        rows: list[KeyRow] = []
        while True:
            after = str(rows[-1].user) if rows else None
            page = await self._rpc("trading_keys", {"p_after": after})
            try:
                rows += _key_rows(page)
            except (KeyError, TypeError, ValueError):
                raise self._unexpected("trading_keys") from None
            if len(page) < PAGE:
                return rows

    async def _rpc(self, function: str, arguments: dict[str, Any]) -> Any:
        return await self._ask(function, self._client.rpc(function, arguments).execute)

    async def _many(
        self, function: str, name: str, arguments: Sequence[Arguments]
    ) -> Sequence[Any]:
        answers = await self._ask(function, partial(ask, self._client, function, {name: arguments}))
        if isinstance(answers, list) and len(answers) == len(arguments):
            return answers
        raise self._unexpected(function)

    async def _ask(self, call: str, execute: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await self._answers.of(call, execute)
        except RowRefused as refused:
            raise _unreadable(refused) from None

    def _unexpected(self, call: str) -> StoreAway | Misconfigured:
        return self._answers.misfit(call, "answered in a form this version does not know")


async def retry_until_available(call: Callable[[], Awaitable[T]], machine: MonotonicClock) -> T:
    """Repeat an idempotent `call` until the database answers."""
    pause = 0.1
    while True:
        try:
            return await call()
        except StoreAway as error:
            log.warning("database_away", error=str(error), pause=pause)
        await machine.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


async def record_with_retry(
    store: Store,
    key: OrderKey,
    outcome: OrderOutcome,
    machine: MonotonicClock,
    evidence: Written | None = None,
) -> OrderOutcome:
    """Record an outcome, however long the database is away; returns the recorded one."""
    return await retry_until_available(
        lambda: store.record_outcome(key, outcome, evidence), machine
    )


def _unreadable(refused: RowRefused) -> Unreadable:
    if refused.code == _FOREIGN_KEY:
        return Unreadable(
            "not in the database: the decision or the user was never recorded there", "decision_id"
        )
    if refused.code == _UNIQUE:
        field = "dhan_correlation_id" if "correlation_id" in refused.text else "id"
        return Unreadable("already the name of another order", field)
    return Unreadable(f"the database refuses the order's ids (SQLSTATE {refused.code})", "id")


def _names(key: OrderKey) -> dict[str, Any]:
    return {
        "p_user": str(key.user),
        "p_decision": str(key.decision),
        "p_order": str(key.order),
    }


def _halt(row: dict[str, Any]) -> Halt:
    user = row["user_id"]
    return Halt(
        user=UserId(UUID(user)) if user else None,
        flatten=row["flatten"] is True,
        broker_kill=row["broker_kill"] is True,
        since=datetime.fromisoformat(row["since"]),
        reason=str(row["reason"]),
        all_orders=row.get("all_orders") is True,
    )


def _key_rows(page: Any) -> list[KeyRow]:
    if not isinstance(page, list):
        raise TypeError("rows come in a list")
    return [_key_row(row) for row in page]


def _key_row(row: dict[str, Any]) -> KeyRow:
    client, expiry = row["dhan_client_id"], row["token_expiry"]
    return KeyRow(
        user=UserId(UUID(row["user_id"])),
        client_id=DhanClientId(client) if client else None,
        enabled=row["is_trading_enabled"] is True,
        token_expiry=datetime.fromisoformat(expiry) if expiry else None,
        token_refused=row["token_refused"] is True,
        changed_at=datetime.fromisoformat(row["changed_at"]),
    )
