from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from schemas.ids import InstrumentId, Segment
from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.matching.enums import Change
from simulator.matching.order_manager import (
    Order,
    OrderManager,
    OrderRequest,
    OrderType,
    Status,
    Validity,
)
from simulator.refusals import Code, Refusal
from tests.simulator.factories import DAY, NIFTY, OTHER, RELIANCE, THE_SHARE, USER, a_request

NOON = 1_795_415_400


def a_book(last: int | None = 100_000, **changed: Any) -> OrderManager:
    """A book with one share, last traded at 1,000.00."""
    share = replace(THE_SHARE, **changed)
    book = OrderManager(DAY, {RELIANCE: share, NIFTY: replace(share, id=NIFTY)})
    if last is not None:
        book.on_price(RELIANCE, last, NOON - 1)
    return book


def placed(book: OrderManager, request: OrderRequest) -> Order:
    order = book.place(request, NOON)
    assert isinstance(order, Order), order
    return order


@pytest.mark.parametrize(
    ("side", "price", "traded"),
    [(Side.BUY, 100_000, 100_000), (Side.BUY, 101_000, 100_000), (Side.SELL, 99_000, 99_995)],
)
def test_a_marketable_limit_trades_at_once_at_the_best_level(
    side: Side, price: int, traded: int
) -> None:
    order = placed(a_book(), a_request(side=side, price=Paise(price)))

    assert (order.status, order.traded_price, order.filled) == (Status.TRADED, traded, 10)


@pytest.mark.parametrize(
    ("side", "price", "passing", "meeting", "traded"),
    [(Side.BUY, 99_500, 99_505, 99_400, 99_400), (Side.SELL, 100_500, 100_500, 100_600, 100_595)],
)
def test_a_resting_limit_trades_at_the_first_print_whose_ladder_meets_it(
    side: Side, price: int, passing: int, meeting: int, traded: int
) -> None:
    book = a_book()
    order = placed(book, a_request(side=side, price=Paise(price)))

    book.on_price(RELIANCE, passing, NOON + 1)
    assert order.status is Status.PENDING

    book.on_price(RELIANCE, meeting, NOON + 2)
    assert (order.status, order.traded_price, order.updated_at) == (Status.TRADED, traded, NOON + 2)


def test_a_limit_waits_when_nothing_has_traded_yet() -> None:
    book = a_book(last=None)
    order = placed(book, a_request())

    assert order.status is Status.PENDING
    book.on_price(RELIANCE, 99_900, NOON)
    assert order.traded_price == 99_900


def test_a_market_order_becomes_a_limit_one_percent_away() -> None:
    book = a_book()
    buy = placed(book, a_request(order_type=OrderType.MARKET, price=Paise(0)))
    sell = placed(book, a_request(order_type=OrderType.MARKET, price=Paise(0), side=Side.SELL))

    assert (buy.limit, sell.limit) == (101_000, 99_000)
    assert (buy.traded_price, sell.traded_price) == (100_000, 99_995)


def test_a_market_order_without_any_price_is_refused() -> None:
    refusal = a_book(last=None).place(a_request(order_type=OrderType.MARKET, price=Paise(0)), NOON)

    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.ORDER


def test_an_ioc_order_that_meets_nothing_is_cancelled() -> None:
    book = a_book()
    order = placed(book, a_request(validity=Validity.IOC, price=Paise(99_000)))

    book.on_price(RELIANCE, 98_000, NOON + 1)

    assert order.status is Status.CANCELLED


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (a_request(instrument=InstrumentId(Segment.NSE_EQ, 1)), Code.INPUT, "Invalid SecurityId"),
        (a_request(instrument=NIFTY), Code.ORDER, "not tradable"),
        (a_request(price=Paise(100_001)), Code.ORDER, "tick size"),
        (a_request(quantity=Quantity(15)), Code.ORDER, "lot size"),
    ],
)
def test_an_order_against_the_instruments_rules_is_refused(
    request_: OrderRequest, code: Code, words: str
) -> None:
    refusal = a_book(lot_size=Quantity(10)).place(request_, NOON)

    assert isinstance(refusal, Refusal)
    assert refusal.code is code
    assert words in refusal.message


def test_a_cancelled_order_never_trades_and_a_traded_one_cannot_be_cancelled() -> None:
    book = a_book()
    resting = placed(book, a_request(price=Paise(99_000)))
    traded = placed(book, a_request())

    book.cancel(USER.client_id, resting.order_id, NOON)
    book.on_price(RELIANCE, 98_000, NOON + 1)

    assert resting.status is Status.CANCELLED
    refusal = book.cancel(USER.client_id, traded.order_id, NOON)
    assert isinstance(refusal, Refusal)
    assert traded.status is Status.TRADED


def test_a_user_sees_and_cancels_only_own_orders() -> None:
    book = a_book()
    mine = placed(book, a_request(price=Paise(99_000)))

    assert book.of(OTHER.client_id) == []
    assert book.by_id(OTHER.client_id, mine.order_id) is None
    assert book.by_correlation(OTHER.client_id, "AT0001") is None
    assert isinstance(book.cancel(OTHER.client_id, mine.order_id, NOON), Refusal)
    assert book.of(USER.client_id) == [mine]


def test_a_repeated_correlation_id_makes_a_second_order() -> None:
    book = a_book()
    first, second = placed(book, a_request()), placed(book, a_request())

    assert first.order_id != second.order_id
    assert book.by_correlation(USER.client_id, "AT0001") is first


def test_order_ids_count_up_within_the_day() -> None:
    book = a_book()

    ids = [placed(book, a_request()).order_id for _ in range(2)]

    assert ids == ["12611230000001", "12611230000002"]


def test_every_change_of_every_order_is_told_in_the_order_it_happened() -> None:
    book, heard = a_book(), []
    book.on_change(
        lambda snapshot: heard.append((snapshot.order_id[-1], snapshot.change, snapshot.status))
    )

    resting = placed(book, a_request(price=Paise(99_000)))
    placed(book, a_request())
    book.cancel(USER.client_id, resting.order_id, NOON + 1)

    assert heard == [
        ("1", Change.PLACED, Status.TRANSIT),
        ("1", Change.ACCEPTED, Status.PENDING),
        ("2", Change.PLACED, Status.TRANSIT),
        ("2", Change.ACCEPTED, Status.PENDING),
        ("2", Change.TRADED, Status.TRADED),
        ("1", Change.CANCELLED, Status.CANCELLED),
    ]
