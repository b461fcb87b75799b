"""What each user's day came to, and whether our books say what the broker's do."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from rich.console import Console

from ats.demo.account_tables import book_promises, tell_accounts
from ats.demo.accounts import (
    Account,
    BookPromise,
    Closing,
    account_day,
    closings_of,
    disagreements,
    not_flat,
)
from ats.demo.broker_book import BrokerBook, read_book
from ats.demo.pauses import SquareOffWait
from ats.demo.result import DayEnd
from executors.charges.bill import BillState
from executors.charges.rates import shipped_rates
from executors.orders.exits import ExitKind, exit_name
from schemas.errors import Unreadable
from schemas.ids import DhanOrderId, InstrumentId, OrderId, correlation_id, derive
from schemas.market import Side
from schemas.messages import ExitReason, ObservedFill, Position, Trade
from schemas.units import IST, Paise, Price, Quantity, UtcNs
from simulator.matching.enums import Status
from tests.ats.factories import ASHA, DAY, OPEN, TCS

RATES = shipped_rates()
ENTRY = correlation_id(OrderId(derive("order", "entry")))
CLOSE = exit_name(ExitKind.CLOSE, ASHA, TCS, DAY, 0)
STOP = exit_name(ExitKind.STOP, ASHA, TCS, DAY, 0)
PLACE = {"exchangeSegment": "NSE_EQ", "securityId": "11536"}
NOBODY_SLEPT = {"worst": 0, "total": 0}


def an_order(number: str, **changes: Any) -> dict[str, Any]:
    plain = {"orderStatus": "TRADED", "correlationId": ENTRY, "legName": "NA", "source": "P"}
    return PLACE | plain | {"orderId": number, "tradingSymbol": "TCS"} | changes


def a_trade(number: str, side: Side, quantity: int = 10, price: int = 300_000) -> dict[str, Any]:
    told = {
        "orderId": number,
        "exchangeTradeId": f"T{number}",
        "transactionType": side,
        "tradedQuantity": quantity,
        "value_paise": str(quantity * price),
    }
    return PLACE | told


def a_position(bought: int, bought_value: int, sold: int, sold_value: int) -> dict[str, Any]:
    earned = min(bought, sold) * (sold_value / sold - bought_value / bought) if sold else 0
    told = {
        "productType": "INTRADAY",
        "bought": bought,
        "sold": sold,
        "net": bought - sold,
        "bought_paise": str(bought_value),
        "sold_paise": str(sold_value),
        "realised_paise": str(round(earned)),
    }
    return PLACE | told


def a_book(
    orders: Sequence[dict[str, Any]] = (),
    trades: Sequence[dict[str, Any]] = (),
    positions: Sequence[dict[str, Any]] = (),
    spells: Mapping[str, float] = NOBODY_SLEPT,
) -> BrokerBook:
    protection = {"machine_seconds": spells, "market_seconds": NOBODY_SLEPT}
    told = {"orders": orders, "trades": trades, "positions": positions, "protection": protection}
    return read_book(told)


def ours(number: str, side: Side, quantity: int = 10, price: int = 300_000) -> Trade:
    return Trade(
        id=derive("trade", number),
        event_time=OPEN,
        user_id=ASHA,
        trading_date=DAY,
        fill=ObservedFill(
            trade_id=f"T{number}",
            dhan_order_id=DhanOrderId(number),
            instrument=TCS,
            side=side,
            product="INTRADAY",
            quantity=Quantity(quantity),
            price=Price(price),
            traded_at=OPEN,
        ),
    )


def our_position(bought: int, bought_value: int, sold: int, sold_value: int) -> Position:
    closed = min(bought, sold)
    earned = closed * (sold_value / sold - bought_value / bought) if closed else 0
    return Position(
        id=derive("position", "test"),
        event_time=UtcNs(OPEN),
        user_id=ASHA,
        trading_date=DAY,
        instrument=TCS,
        bought=Quantity(bought),
        bought_value=Paise(bought_value),
        sold=Quantity(sold),
        sold_value=Paise(sold_value),
        net=bought - sold,
        realised=Paise(round(earned)),
        resting_stop=Quantity(0),
        by_trades=True,
        agrees=True,
    )


def closed_at_the_target() -> Account:
    """Ten bought at 3,000 and sold at 3,100 rupees."""
    counted = (10, 3_000_000, 10, 3_100_000)
    target = an_order("2", correlationId="", legName="TARGET_LEG")
    trades = [a_trade("1", Side.BUY), a_trade("2", Side.SELL, price=310_000)]
    book = a_book([an_order("1"), target], trades, [a_position(*counted)])
    told = (ours("1", Side.BUY), ours("2", Side.SELL, price=310_000))
    return Account("asha", book, told, {TCS: our_position(*counted)})


def still_open() -> Account:
    counted = (10, 3_000_000, 0, 0)
    book = a_book([an_order("1")], [a_trade("1", Side.BUY)], [a_position(*counted)])
    return Account("asha", book, (ours("1", Side.BUY),), {TCS: our_position(*counted)})


@pytest.mark.parametrize(
    ("order", "reason", "closing"),
    [
        ({"legName": "TARGET_LEG", "correlationId": ""}, None, Closing.TARGET),
        ({"legName": "STOP_LOSS_LEG", "correlationId": ""}, None, Closing.STOP),
        ({"correlationId": STOP}, None, Closing.STOP),
        ({"correlationId": CLOSE}, ExitReason.SQUARE_OFF, Closing.SQUARE_OFF),
        ({"correlationId": CLOSE}, ExitReason.HALT, Closing.HALT),
        ({"correlationId": CLOSE}, ExitReason.STOP_PASSED, Closing.NO_STOP),
        ({"correlationId": CLOSE}, None, Closing.GUARDIAN),
        ({"correlationId": ENTRY}, None, Closing.DECISION),
        ({"correlationId": ""}, None, Closing.BROKER),
        ({"correlationId": "", "source": "N"}, None, Closing.BY_HAND),
    ],
)
def test_each_way_out_is_named(
    order: dict[str, Any], reason: ExitReason | None, closing: Closing
) -> None:
    trades = [a_trade("1", Side.BUY), a_trade("2", Side.SELL)]
    book = a_book([an_order("1"), an_order("2", **order)], trades)

    assert closings_of(book, {CLOSE: reason} if reason else {}) == {TCS: {closing: 1}}


def test_what_closed_a_position_is_counted_by_order_and_what_opened_it_is_not() -> None:
    trades = [
        a_trade("1", Side.SELL, 6),
        a_trade("5", Side.SELL, 4),
        a_trade("2", Side.BUY, 4),
        a_trade("2", Side.BUY, 3),
        a_trade("3", Side.BUY, 3),
        a_trade("4", Side.BUY, 5),
    ]
    orders = [an_order(number) for number in "12345"]

    assert closings_of(a_book(orders, trades), {}) == {TCS: {Closing.DECISION: 2}}


def test_a_closed_day_has_the_bill_of_a_finished_day() -> None:
    day = account_day(closed_at_the_target(), DAY, RATES, Paise(0))

    assert day.result
    assert (day.gross, day.result.state) == (100_000, BillState.COMPUTED)
    assert 0 < day.result.charges < 10_000
    assert day.result.after_everything == day.gross - day.result.charges
    assert [each.end for each in day.positions] == ["target"]


def test_what_is_still_open_is_said_and_its_charges_are_an_estimate() -> None:
    day = account_day(still_open(), DAY, RATES, Paise(0))

    assert day.result
    assert day.result.state is BillState.ESTIMATED
    assert [each.end for each in day.positions] == ["open: +10"]


def test_what_was_only_ordered_is_no_position_of_the_day() -> None:
    nothing = replace(closed_at_the_target(), positions={TCS: our_position(0, 0, 0, 0)})

    assert account_day(nothing, DAY, RATES, Paise(0)).positions == ()


def test_thinking_is_taken_off_what_charges_left() -> None:
    day = account_day(closed_at_the_target(), DAY, RATES, Paise(700))

    assert day.result
    assert day.result.after_everything == day.result.after_charges - 700


def test_a_day_before_all_rates_is_charged_by_the_newest_and_it_is_said() -> None:
    recorded = date(2016, 8, 16)

    day = account_day(closed_at_the_target(), recorded, RATES, Paise(0))

    assert day.result
    assert day.charged_by == max(row.valid_from for row in RATES.rows)
    assert f"Charges by the rates of {day.charged_by}" in said(closed_at_the_target(), day=recorded)


def test_what_no_rate_is_known_for_has_no_result_and_a_reason() -> None:
    contract = InstrumentId.parse("NSE_FNO:11536")
    account = closed_at_the_target()
    fills = {each: each.fill.model_copy(update={"instrument": contract}) for each in account.trades}
    trades = [each.model_copy(update={"fill": fill}) for each, fill in fills.items()]

    day = account_day(replace(account, trades=trades), DAY, RATES, Paise(0))

    assert day.result is None
    assert str(contract) in day.unknown


def test_equal_books_have_no_disagreement() -> None:
    assert disagreements(closed_at_the_target()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"trades": ()}, "asha: 2 of the broker's 2 trades are not among ours"),
        (
            {"trades": (ours("1", Side.BUY), ours("2", Side.SELL, price=310_001))},
            "asha: 1 of our 2 trades are not among the broker's",
        ),
        (
            {"trades": (*closed_at_the_target().trades, ours("3", Side.BUY))},
            "asha: 1 of our 3 trades are not among the broker's",
        ),
        (
            {"positions": {TCS: our_position(10, 3_000_000, 10, 3_100_001)}},
            "asha: TCS: we count 10 bought for 3000000 paise and 10 sold for 3100001",
        ),
        ({"positions": {}}, "asha: TCS: we count 0 bought for 0 paise"),
        (
            {
                "positions": {
                    TCS: our_position(10, 3_000_000, 10, 3_100_000).model_copy(
                        update={"realised": Paise(99_999)}
                    )
                }
            },
            "asha: TCS: we count a P&L of 99999 paise, the broker 100000 paise",
        ),
    ],
)
def test_each_difference_of_a_paisa_or_a_trade_is_named(change: dict[str, Any], says: str) -> None:
    assert says in "\n".join(disagreements(replace(closed_at_the_target(), **change)))


def test_who_holds_something_or_may_still_trade_is_not_flat() -> None:
    account = still_open()
    waiting = account.book.orders[0].model_copy(update={"status": Status.PENDING})
    book = account.book.model_copy(update={"orders": (waiting,)})

    assert not_flat(closed_at_the_target()) == []
    assert not_flat(account) == ["asha holds +10 TCS"]
    assert "asha has 1 orders that may still trade" in not_flat(replace(account, book=book))


def an_end(*accounts: Account, **changes: Any) -> DayEnd:
    whole: dict[str, Any] = {"day": DAY, "generated": True} | changes
    return DayEnd(accounts=accounts, **whole)


def test_who_is_still_open_at_the_end_breaks_the_promise_of_flatness() -> None:
    broken = book_promises(an_end(still_open()))[BookPromise.FLAT]

    assert broken == ["asha holds +10 TCS"]
    assert book_promises(an_end(closed_at_the_target()))[BookPromise.FLAT] == []


def test_what_the_broker_squared_off_by_itself_breaks_the_promise_of_flatness() -> None:
    by_itself = an_order("2", correlationId="")
    account = closed_at_the_target()
    book = account.book.model_copy(
        update={"orders": a_book([an_order("1"), by_itself]).orders},
    )

    assert book_promises(an_end(replace(account, book=book)))[BookPromise.FLAT] == [
        "asha: the broker itself squared off TCS"
    ]


def test_the_wait_for_the_square_off_is_told() -> None:
    at = UtcNs.from_datetime(datetime(2026, 11, 23, 15, 5, tzinfo=IST))

    assert "15:05 IST: the market waited 3.4 s" in said(
        closed_at_the_target(), square_off=SquareOffWait(at, 3.4)
    )
    assert "although not everybody was flat by the broker's own book: asha holds +10 TCS." in said(
        still_open(), square_off=SquareOffWait(at, 90.0, ["asha holds +10 TCS"])
    )


def said(account: Account, **changes: Any) -> str:
    out = io.StringIO()
    tell_accounts(Console(file=out, width=200), an_end(account, **changes), Paise(0))
    return out.getvalue()


def test_the_tables_have_the_closing_the_charges_and_the_cost_of_thinking() -> None:
    account = closed_at_the_target()
    day = account_day(account, DAY, RATES, Paise(0))
    assert day.result

    shown = said(account)

    [position] = [line for line in shown.splitlines() if "TCS" in line]
    assert "target" in position
    [result] = [line for line in shown.splitlines() if str(day.result.charges) in line]
    assert str(day.result.after_charges) in result
    assert str(Paise(0)) in result


def test_a_generated_market_says_nothing_about_returns_and_it_is_said() -> None:
    assert "It says nothing about returns." in said(closed_at_the_target())
    assert "A recorded day" in said(closed_at_the_target(), generated=False)


def test_seconds_without_a_resting_stop_are_the_brokers() -> None:
    book = a_book(spells={"worst": 1.25, "total": 3.5})

    assert "1.25" in said(Account("asha", book))
    assert "3.50" in said(Account("asha", book))


def test_an_answer_that_is_no_book_is_refused() -> None:
    with pytest.raises(Unreadable, match="cannot be read"):
        read_book({"orders": []})
