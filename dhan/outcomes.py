"""What a call of Dhan's proves, in values one can act on without losing money.

The one rule: a reply counts as a refusal only when Dhan says so in words. Whatever else goes wrong
after the first byte left is `Unknown`, and the caller looks before it acts again
(`docs/dhan-adapter.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeAlias, TypeVar

import httpx

from dhan.fields import instrument, order_id, reason_of, word
from dhan.transport import Lost, Reply, Result, Unparsed, off_loop, trading_error
from schemas.errors import Unreadable
from schemas.ids import DhanOrderId, InstrumentId, Segment

RowT = TypeVar("RowT")
ListT = TypeVar("ListT")

MANY_ROWS: Final = 200  # are read beside the event loop: some 5 ms of work
HUGE_ROWS: Final = 2_000
# Dhan takes 7,000 orders a day; of trades there may be more. A longer list is no account's day.
MAX_ROWS: Final = 20_000

RATE_LIMIT: Final = "DH-904"
NO_DATA: Final = "DH-907"
_DEAD_TOKEN: Final = "DH-901"  # noqa: S105  # an error code
_ORDER_ERROR: Final = "DH-906"
_PASSING: Final = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS})
# Dhan's own failure: the request may have got through before it
_SERVER_SIDE: Final = frozenset({"DH-908", "DH-909"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """Dhan has the order, its change or its cancellation. That is no fill, and no end of it.

    Attributes:
        status: Dhan's word; "" when it answered without one (an empty 202).
    """

    order_id: DhanOrderId
    status: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Dhan refused in words; what was asked for will not happen.

    Attributes:
        token_refused: It was the account's token that Dhan did not accept: no further call with it
            can succeed.
    """

    code: str
    message: str
    order_id: DhanOrderId | None = None
    token_refused: bool = False


@dataclass(frozen=True, slots=True)
class InTransit:
    """The order is on its way to the exchange and cannot be cancelled yet: ask again soon."""

    message: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request certainly did not reach Dhan, and may be sent again.

    There was no connection, or the rate limit turned it away.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have happened. Look it up; never place an order again.

    Attributes:
        turned_away: 429 with a page of its own: whatever limits the rate before Dhan's order system
            answered. That the order went no further is likely, and nobody has measured it: a book
            read after it that lacks the order is believed sooner.
    """

    reason: str
    turned_away: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Dhan does not accept the account's token (any more), so it says nothing about the question.

    Asking again is useless until the user has connected anew.

    Attributes:
        in_words: Dhan itself said so. Else it was a bare 401, which any gateway on the way can
            answer, and which proves nothing about the token.
    """

    reason: str
    in_words: bool = True


@dataclass(frozen=True, slots=True)
class NoAccess:
    """Dhan refuses in words to show this, so it says nothing about what was asked.

    Asking again will hardly help: the account, its permissions or the address we call from must
    change first.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Rows(Generic[RowT]):
    """What Dhan lists, such as the day's trades.

    Attributes:
        whole: Every row could be read. Otherwise what is missing here may still be there.
        doubtful: What the rows that could not be read are about, as far as they tell.
        unplaced: One of these does not tell what it is about.
    """

    rows: tuple[RowT, ...]
    whole: bool = True
    doubtful: frozenset[InstrumentId] = field(default=frozenset(), compare=False)
    unplaced: bool = field(default=False, compare=False)


PlaceResult: TypeAlias = Accepted | Rejected | NotSent | Unknown
ChangeResult: TypeAlias = Accepted | Rejected | InTransit | NotSent | Unknown
NoAnswer: TypeAlias = TokenRefused | NoAccess | Unknown


def classify_placement(result: Result) -> PlaceResult:
    """What a result of POST /orders or /super/orders proves (docs/executors.md has the table)."""
    if isinstance(result, Lost):
        return _lost(result)
    if 200 <= result.status < 300:
        return _acknowledged(single(result.body))
    return refused(result)


def classify_change(result: Result, asked: DhanOrderId) -> ChangeResult:
    """What a result of changing or cancelling the order `asked` proves.

    Dhan answers 200 or 202, and 202 also without a body.
    """
    if isinstance(result, Lost):
        return _lost(result)
    if result.status == httpx.codes.ACCEPTED and result.body is None:
        return Accepted(asked, "")
    if 200 <= result.status < 300:
        answer = _acknowledged(single(result.body))
        about = answer.order_id if isinstance(answer, Accepted | Rejected) else asked
        return answer if about == asked else Unknown("answer_about_another_order")
    refusal = refused(result)
    if isinstance(refusal, Rejected) and _says_transit(refusal):
        return InTransit(refusal.message)
    return refusal


def refused(result: Reply) -> Rejected | NotSent | Unknown:
    """What a reply other than 2xx to a request that changes something proves."""
    code, message = trading_error(single(result.body))
    if (
        not 400 <= result.status < 500
        or not code
        or code in _SERVER_SIDE
        or result.status == httpx.codes.REQUEST_TIMEOUT
    ):
        limited = result.status == httpx.codes.TOO_MANY_REQUESTS
        return Unknown(describe(result, code), turned_away=limited and not code)
    if code == RATE_LIMIT:
        return NotSent(code, message)
    return Rejected(code, message, token_refused=_refuses_token(result, code))


def not_shown(result: Result) -> NoAnswer:
    """Why a result does not hold what was asked to be shown."""
    if isinstance(result, Lost):
        return Unknown(result.reason)
    code, _ = trading_error(single(result.body))
    answer = no_answer(result, code)
    if isinstance(answer, Unknown) and _refuses_access(result, code):
        return NoAccess(answer.reason)
    return answer


def no_answer(result: Reply, code: str) -> TokenRefused | Unknown:
    """What a reply that answers no question says: the token is refused, or nothing."""
    reason = describe(result, code)
    return TokenRefused(reason, bool(code)) if _refuses_token(result, code) else Unknown(reason)


async def read_list(result: Result, classify: Callable[[Result], ListT]) -> ListT | Unknown:
    """What `classify` says of a list, read beside the event loop where it is long."""
    rows = len(result.body) if isinstance(result, Reply) and isinstance(result.body, list) else 0
    if rows > MAX_ROWS:
        return Unknown("too_many_rows")
    if rows < MANY_ROWS:
        return classify(result)
    return await off_loop(partial(classify, result), huge=rows >= HUGE_ROWS)


def read_rows(body: list[Any], read: Callable[[Mapping[str, Any]], RowT | None]) -> Rows[RowT]:
    """The rows that `read` can make something of; one that it cannot costs the list its `whole`.

    `read` returns None, or raises `Unreadable`, for a row that it cannot use.
    """
    found = [_row(row, read) for row in body]
    readable = tuple(row for row in found if row is not None)
    lost = [row for row, read_as in zip(body, found, strict=True) if read_as is None]
    places = [_place(row) for row in lost if not _is_elsewhere(row)]
    return Rows(readable, not lost, frozenset(filter(None, places)), None in places)


def _place(row: object) -> InstrumentId | None:
    try:
        return instrument(row, word(row, "exchangeSegment")) if isinstance(row, Mapping) else None
    except Unreadable:
        return None


def _is_elsewhere(row: object) -> bool:
    """Whether it names a segment that ATS does not know, so it cannot be ours."""
    segment = word(row, "exchangeSegment") if isinstance(row, Mapping) else ""
    return bool(segment) and segment not in Segment.__members__


def _row(row: object, read: Callable[[Mapping[str, Any]], RowT | None]) -> RowT | None:
    if not isinstance(row, Mapping):
        return None
    try:
        return read(row)
    except Unreadable:
        return None


def single(body: Any) -> Any:
    """The object itself, or the only element of an array: Dhan's documents disagree."""
    return body[0] if isinstance(body, list) and len(body) == 1 else body


def describe(reply: Reply, code: str) -> str:
    """A reply that is no answer, as a word for logs and people."""
    if code:
        return f"http_{reply.status}_{code}"
    return f"http_{reply.status}_{'not_json' if isinstance(reply.body, Unparsed) else 'unreadable'}"


def _acknowledged(body: object) -> Accepted | Rejected | Unknown:
    if not isinstance(body, Mapping):
        return Unknown("acknowledgement_unreadable")
    number, status = order_id(body, "orderId"), word(body, "orderStatus")
    if number is None or not status:
        return Unknown("acknowledgement_unreadable")
    if status == "REJECTED":
        return Rejected("REJECTED", reason_of(body) or "rejected on entry", number)
    return Accepted(number, status)


def _lost(lost: Lost) -> NotSent | Unknown:
    if lost.may_have_arrived:
        return Unknown(lost.reason)
    return NotSent(lost.reason, "the request did not leave")


def _says_transit(refusal: Rejected) -> bool:
    """Whether Dhan said "Order is in Transit state" (measured)."""
    return refusal.code == _ORDER_ERROR and "transit" in refusal.message.lower()


def _refuses_token(result: Reply, code: str) -> bool:
    return result.status == httpx.codes.UNAUTHORIZED or (
        400 <= result.status < 500 and code == _DEAD_TOKEN
    )


def _refuses_access(result: Reply, code: str) -> bool:
    passes = result.status in _PASSING or code in _SERVER_SIDE or code == RATE_LIMIT
    return 400 <= result.status < 500 and bool(code) and not passes
