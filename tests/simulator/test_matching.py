"""What becomes of an order against the ladder of the last print, and what never becomes one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from schemas.market import Side
from schemas.units import Paise, Price, Quantity
from simulator.market import depth
from simulator.market.characters import DayProfile
from simulator.market.generator import Plan, generate
from simulator.matching.enums import Change, OrderType, Product, Status, Validity
from simulator.matching.ladder import Ladder
from simulator.matching.ledger import Account, Holding
from simulator.matching.order import Modification, Order
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Circuits, Rules, StopMarket
from simulator.refusals import Code, Refusal
from simulator.streaming import packets
from tests.simulator.factories import DAY, NIFTY, RELIANCE, THE_SHARE, USER, a_request

NOON = 1_795_415_400
TICK = 5
LAST = 100_000


def a_book(
    *,
    last: int | None = LAST,
    purse: Account | None = None,
    circuits: Circuits | None = None,
    **rules: Any,
) -> OrderManager:
    book = OrderManager(
        DAY,
        {RELIANCE: THE_SHARE, NIFTY: replace(THE_SHARE, id=NIFTY)},
        circuits={RELIANCE: circuits} if circuits else {},
        rules=Rules(**rules),
        purses=lambda _: purse or Account(None),
    )
    if last is not None:
        book.on_price(RELIANCE, last, NOON - 1)
    return book


def placed(book: OrderManager, **changed: Any) -> Order:
    order = book.place(a_request(**changed), NOON)
    assert isinstance(order, Order), order
    return order


def refused(book: OrderManager, **changed: Any) -> Refusal:
    refusal = book.place(a_request(**changed), NOON)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def ask(level: int, last: int = LAST, second: int = NOON - 1) -> tuple[int, int]:
    """Price and quantity a buyer meets at `level`."""
    return depth.ask_price(last, TICK, level), depth.quantity(second, last, depth.ASK, level)


def fills(order: Order) -> list[tuple[int, int]]:
    return [(trade.price, trade.quantity) for trade in order.trades]


def modified(book: OrderManager, order: Order, **wish: Any) -> Order | Refusal:
    return book.modify(USER.client_id, order.order_id, Modification(**wish), NOON)


def test_a_large_order_eats_level_after_level_and_the_rest_waits() -> None:
    levels = [ask(level) for level in range(3)]
    wanted = sum(quantity for _, quantity in levels) + 7
    order = placed(a_book(), quantity=Quantity(wanted), price=Paise(levels[-1][0]))

    assert fills(order) == levels
    assert (order.status, order.remaining) == (Status.PART_TRADED, 7)


def test_the_average_price_is_exact() -> None:
    (first, one), (second, two) = ask(0), ask(1)
    order = placed(a_book(), quantity=Quantity(one + two), price=Paise(second))

    average = order.snapshot(Change.TRADED).average_price
    assert average * (one + two) == first * one + second * two


def test_what_one_order_took_the_next_does_not_get_until_the_market_prints_again() -> None:
    book, (price, there) = a_book(), ask(0)
    first = placed(book, quantity=Quantity(there), price=Paise(price))
    second = placed(book, price=Paise(price))

    assert (first.status, second.status) == (Status.TRADED, Status.PENDING)
    book.on_price(RELIANCE, LAST, NOON + 1)
    assert second.status is Status.TRADED


def test_of_those_who_wait_the_better_price_comes_first_then_the_older() -> None:
    book = a_book()
    there = ask(0, 99_000, NOON + 1)[1]
    cheap, dear, late = (
        placed(book, quantity=Quantity(there), price=Paise(price))
        for price in (99_000, 99_010, 99_010)
    )

    book.on_price(RELIANCE, 99_000, NOON + 1)

    assert dear.trades[0].price == 99_000
    assert dear.status is Status.TRADED
    assert late.filled > 0
    assert cheap.filled == 0


def test_immediate_or_cancel_takes_what_is_there_and_drops_the_rest() -> None:
    price, there = ask(0)
    order = placed(
        a_book(), quantity=Quantity(there + 1), price=Paise(price), validity=Validity.IOC
    )

    assert fills(order) == [(price, there)]
    assert (order.status, order.remaining) == (Status.CANCELLED, 1)


def test_a_market_order_beyond_its_protection_rests_as_a_limit() -> None:
    book = a_book(market_protection=1)  # 0.1 % of a rupee: one level at most
    order = placed(book, order_type=OrderType.MARKET, price=Paise(0), quantity=Quantity(5_000))

    assert (order.limit, order.shown_type) == (100_010, OrderType.LIMIT)
    assert {price for price, _ in fills(order)} == {100_000, 100_005, 100_010}
    assert order.status is Status.PART_TRADED


@pytest.mark.parametrize(
    ("side", "trigger", "limit", "before", "reached"),
    [(Side.BUY, 100_500, 100_600, 100_495, 100_500), (Side.SELL, 99_500, 99_400, 99_505, 99_500)],
)
def test_a_stop_waits_for_its_trigger_and_then_is_a_limit(
    side: Side, trigger: int, limit: int, before: int, reached: int
) -> None:
    book, heard = a_book(), []
    book.on_change(lambda snapshot: heard.append(snapshot.change))
    order = placed(
        book, side=side, order_type=OrderType.STOP_LOSS, price=Paise(limit), trigger=Paise(trigger)
    )

    book.on_price(RELIANCE, before, NOON + 1)
    assert (order.status, order.armed) == (Status.PENDING, True)

    book.on_price(RELIANCE, reached, NOON + 2)
    assert order.status is Status.TRADED
    assert heard[-2:] == [Change.TRIGGERED, Change.TRADED]


def test_a_triggered_stop_whose_limit_the_market_has_jumped_over_rests() -> None:
    book = a_book()
    order = placed(
        book, order_type=OrderType.STOP_LOSS, price=Paise(100_600), trigger=Paise(100_500)
    )

    book.on_price(RELIANCE, 101_000, NOON + 1)
    assert (order.status, order.armed, order.filled) == (Status.PENDING, False, 0)

    book.on_price(RELIANCE, 100_600, NOON + 2)
    assert order.status is Status.TRADED


@pytest.mark.parametrize(
    ("mode", "outcome"),
    [
        (StopMarket.WAITS, "armed"),
        (StopMarket.TRADES_AT_ONCE, "traded"),
        (StopMarket.REFUSED, "refused"),
    ],
)
def test_a_stop_without_limit_does_what_the_switch_says(mode: StopMarket, outcome: str) -> None:
    book = a_book(stop_market=mode)
    order = book.place(
        a_request(order_type=OrderType.STOP_LOSS_MARKET, price=Paise(0), trigger=Paise(100_500)),
        NOON,
    )

    if isinstance(order, Refusal):
        assert (outcome, order.code) == ("refused", Code.ORDER)
        return
    assert order.status is (Status.TRADED if outcome == "traded" else Status.PENDING)
    book.on_price(RELIANCE, 100_500, NOON + 1)
    assert order.status is Status.TRADED
    assert outcome == "traded" or order.limit == 101_505  # one percent beyond the trigger


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"order_type": OrderType.STOP_LOSS, "trigger": Paise(100_100), "price": Paise(100_000)},
            "beyond its trigger",
        ),
        (
            {
                "trigger": Paise(100_001),
                "order_type": OrderType.STOP_LOSS_MARKET,
                "price": Paise(0),
            },
            "Trigger price",
        ),
        ({"disclosed": Quantity(2)}, "Disclosed quantity"),
        ({"disclosed": Quantity(11)}, "Disclosed quantity"),
    ],
)
def test_an_order_against_itself_is_refused_at_the_door(
    change: Mapping[str, Any], words: str
) -> None:
    book = a_book()

    assert words in refused(book, **change).message
    assert book.all() == []


BAND = Circuits(Price(90_000), Price(110_000))


@pytest.mark.parametrize(
    ("change", "reason", "code"),
    [
        ({"price": Paise(110_005)}, "circuit", "EXCH"),
        ({"price": Paise(89_995)}, "circuit", "EXCH"),
        ({"quantity": Quantity(1_001)}, "freeze quantity", "RMS"),
    ],
)
@pytest.mark.parametrize("in_book", [True, False])
def test_what_the_risk_desk_or_the_exchange_refuses_is_rejected_in_the_book_or_at_the_door(
    change: Mapping[str, Any], reason: str, code: str, in_book: bool
) -> None:
    book = a_book(circuits=BAND, freeze_quantity=Quantity(1_000), reject_in_book=in_book)

    if not in_book:
        assert reason in refused(book, **change).message
        return
    order = placed(book, **change)
    assert (order.status, order.reason_code) == (Status.REJECTED, code)
    assert reason in order.reason


def test_at_the_lower_circuit_nobody_buys_and_at_the_upper_nobody_sells() -> None:
    book = a_book(circuits=BAND, last=90_000)
    stuck = placed(book, side=Side.SELL, price=Paise(90_000))
    assert stuck.filled == 0

    book.on_price(RELIANCE, 110_000, NOON + 1)
    assert stuck.status is Status.TRADED
    assert placed(book, price=Paise(110_000)).filled == 0


def test_without_bands_any_price_is_taken() -> None:
    assert (
        placed(a_book(circuits=BAND, price_bands=False), price=Paise(500_000)).status
        is Status.TRADED
    )


def test_a_modified_order_meets_the_market_again() -> None:
    book = a_book()
    order = placed(book, price=Paise(99_000))

    assert modified(book, order, price=Paise(100_000), quantity=Quantity(20)) is order

    assert (order.status, order.filled, order.modifications) == (Status.TRADED, 20, 1)


def test_the_quantity_of_a_modification_is_the_whole_order_not_its_rest() -> None:
    book, (price, there) = a_book(), ask(0)
    order = placed(book, quantity=Quantity(there + 10), price=Paise(price))

    too_little = modified(book, order, quantity=Quantity(there))
    modified(book, order, quantity=Quantity(there + 1))

    assert isinstance(too_little, Refusal)
    assert (order.request.quantity, order.remaining, order.status) == (
        there + 1,
        1,
        Status.PART_TRADED,
    )


def test_the_twenty_sixth_modification_is_refused() -> None:
    book = a_book()
    order = placed(book, price=Paise(99_000))

    outcomes = [modified(book, order, price=Paise(99_000 - TICK * step)) for step in range(26)]

    assert outcomes[:25] == [order] * 25
    assert isinstance(outcomes[25], Refusal)
    assert order.modifications == 25


@pytest.mark.parametrize("status", [Status.TRADED, Status.CANCELLED])
def test_a_finished_order_cannot_be_modified(status: Status) -> None:
    book = a_book()
    order = placed(book, price=Paise(100_000 if status is Status.TRADED else 99_000))
    book.cancel(USER.client_id, order.order_id, NOON)

    refusal = modified(book, order, price=Paise(99_500))

    assert order.status is status
    assert isinstance(refusal, Refusal)


@pytest.mark.parametrize(
    ("wish", "keeps_its_place"),
    [
        ({"quantity": Quantity(5)}, True),
        ({"quantity": Quantity(20)}, False),
        ({"price": Paise(99_000)}, True),
        ({"price": Paise(98_995)}, False),
    ],
)
def test_only_less_of_an_order_keeps_its_place_in_the_queue(
    wish: Mapping[str, Any], keeps_its_place: bool
) -> None:
    book = a_book()
    first, second = placed(book, price=Paise(99_000)), placed(book, price=Paise(99_000))

    modified(book, first, **wish)

    assert (first.priority < second.priority) is keeps_its_place


def test_with_market_hours_the_rest_expires_at_the_close_and_nothing_comes_after() -> None:
    book = a_book(market_hours=True)
    book.open(NOON)
    rest = placed(book, price=Paise(99_000))

    book.close(NOON + 1)

    assert rest.status is Status.EXPIRED
    assert "Market is Closed" in refused(book).message


def test_without_market_hours_orders_after_the_close_meet_the_last_book_each_in_full() -> None:
    book, (price, there) = a_book(market_hours=False), ask(0)
    book.open(NOON)
    book.close(NOON)

    late = [placed(book, quantity=Quantity(there), price=Paise(price)) for _ in range(3)]

    assert [order.status for order in late] == [Status.TRADED] * 3


@pytest.mark.parametrize("delay", [0, 1_800])
def test_an_after_market_order_is_sent_when_the_market_opens(delay: int) -> None:
    book = a_book()
    order = placed(book, after_market=True, after_open=delay)
    stood = []

    book.on_price(RELIANCE, LAST, NOON + 1)
    stood.append(order.status)
    book.open(NOON + 10)
    stood.append(order.status)
    book.on_price(RELIANCE, LAST, NOON + 10 + delay)
    stood.append(order.status)

    assert stood == [Status.PENDING, Status.PENDING if delay else Status.TRADED, Status.TRADED]
    assert "open" in refused(book, after_market=True).message


def test_an_account_cannot_order_more_than_it_can_pay_but_can_always_reduce() -> None:
    book = a_book(purse=Account(Paise(100_000_00)))  # 1,00,000 rupees: 5,00,000 of intraday shares
    held = placed(book, quantity=Quantity(490), order_type=OrderType.MARKET, price=Paise(0))
    book.on_price(RELIANCE, LAST, NOON)
    too_much = placed(book, quantity=Quantity(20))
    out = placed(book, side=Side.SELL, quantity=held.filled, price=Paise(99_000))

    assert (too_much.status, too_much.reason_code) == (Status.REJECTED, "RMS")
    assert "Margin Shortfall" in too_much.reason
    assert out.status is not Status.REJECTED


def test_an_order_cannot_grow_beyond_what_its_account_can_pay() -> None:
    book = a_book(purse=Account(Paise(200_000)))  # 2,000 rupees: ten intraday shares
    order = placed(book, price=Paise(99_000))

    refusal = modified(book, order, quantity=Quantity(11))

    assert isinstance(refusal, Refusal)
    assert "Margin Shortfall" in refusal.message
    assert modified(book, order, price=Paise(98_000)) is order


def test_margin_can_be_switched_off() -> None:
    book = a_book(purse=Account(Paise(1)), margin=False)

    assert placed(book).status is Status.TRADED


@pytest.mark.parametrize(("quantity", "status"), [(60, Status.TRADED), (61, Status.REJECTED)])
def test_delivery_sells_only_what_is_owned_and_not_pledged(quantity: int, status: Status) -> None:
    holdings = {RELIANCE: Holding(Quantity(100), Paise(90_000), Quantity(40))}
    book = a_book(purse=Account(Paise(100_000), holdings))
    there = depth.quantity(NOON - 1, LAST, depth.BID, 0)
    assert there >= 61, "one level takes it all"

    order = placed(
        book, side=Side.SELL, product=Product.CNC, price=Paise(99_000), quantity=Quantity(quantity)
    )

    assert order.status is status
    assert (status is Status.TRADED) or "Holding" in order.reason


@pytest.mark.parametrize("repeat", [True, False])
def test_a_repeated_correlation_id_is_taken_or_refused_as_the_switch_says(repeat: bool) -> None:
    book = a_book(repeat_correlation_id=repeat)
    placed(book)

    again = book.place(a_request(), NOON)

    assert isinstance(again, Order if repeat else Refusal)


def test_an_order_held_back_is_in_transit_until_the_exchange_takes_or_rejects_it() -> None:
    book = a_book()
    taken, rejected = (book.place(a_request(), NOON, hold=True) for _ in range(2))
    assert isinstance(taken, Order)
    assert isinstance(rejected, Order)
    assert taken.status is rejected.status is Status.TRANSIT

    book.release(taken, NOON)
    book.reject(rejected, "EXCH: no", NOON)
    book.release(rejected, NOON)

    assert (taken.status, rejected.status) == (Status.TRADED, Status.REJECTED)


def test_the_market_can_be_made_to_take_an_order_now() -> None:
    book = a_book()
    order = placed(book, price=Paise(99_000), quantity=Quantity(3_000))

    book.fill_now(order, NOON)

    assert (order.status, fills(order)) == (Status.TRADED, [(99_000, 3_000)])


def test_a_ladder_near_zero_has_no_bids_below_a_tick() -> None:
    ladder = Ladder.around(Price(2 * TICK), NOON, Paise(TICK))

    assert [level.price for level in ladder.take(Side.SELL, None, 10_000)] == [TICK]


def test_a_modification_is_checked_like_an_order() -> None:
    book = a_book(circuits=BAND)
    order = placed(book, price=Paise(99_000))

    for wish in (
        {"price": Paise(99_001)},
        {"price": Paise(120_000)},
        {"quantity": Quantity(100_001)},
    ):
        assert isinstance(modified(book, order, **wish), Refusal)
    assert (order.request.price, order.modifications) == (99_000, 0)


@pytest.mark.parametrize("character", [DayProfile.TRENDING, DayProfile.CRASH])
def test_an_order_meets_exactly_the_depth_that_the_full_packet_shows(character: DayProfile) -> None:
    market = generate(1, DAY, plan=Plan(1, character))
    place = market.by_id[RELIANCE]
    listing, tape = market.listings[place], market.source.tape(place)
    tape = tape[:: max(1, len(tape) // 300)]
    circuits = Circuits(listing.lower_circuit, listing.upper_circuit)

    for row, shown in zip(tape, packets.full(tape)["depth"], strict=True):
        ladder = Ladder.around(
            Price(row["price"]), int(row["second"]), listing.instrument.tick_size, circuits
        )
        for side, name in ((Side.SELL, "bid"), (Side.BUY, "ask")):
            levels = [
                (round(level[f"{name}_price"] * 100), level[f"{name}_quantity"]) for level in shown
            ]
            assert ladder.take(side, None, 1_000_000) == [level for level in levels if level[1]]
