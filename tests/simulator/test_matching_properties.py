"""What holds whatever users and market do, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.market import Side
from schemas.units import Paise, Quantity
from simulator.market import depth
from simulator.matching.enums import Change, Leg, OrderType, Product, Status, Validity
from simulator.matching.ledger import PositionKey
from simulator.matching.order import Modification, Order, OrderSnapshot
from simulator.matching.order_manager import OrderManager
from simulator.matching.super_orders import Exits, SuperOrders
from simulator.refusals import Refusal
from tests.simulator.factories import DAY, RELIANCE, THE_SHARE, USER, a_request

START = 1_795_415_400
OVER = {Status.TRADED, Status.REJECTED, Status.CANCELLED, Status.EXPIRED}

prices = st.integers(19_900, 20_100).map(lambda ticks: ticks * 5)
quantities = st.integers(1, 3_000)
sides = st.sampled_from(list(Side))
orders = st.fixed_dictionaries(
    {
        "side": sides,
        "order_type": st.sampled_from(list(OrderType)),
        "validity": st.sampled_from(list(Validity)),
        "quantity": quantities.map(Quantity),
        "price": prices.map(Paise),
        "trigger": prices.map(Paise),
        "product": st.sampled_from([Product.INTRADAY, Product.MARGIN]),
    }
)
wishes = st.fixed_dictionaries({"price": prices.map(Paise), "quantity": quantities.map(Quantity)})
moves = st.one_of(
    st.tuples(st.just("print"), prices),
    st.tuples(st.just("place"), orders),
    st.tuples(st.just("cancel"), st.integers(0, 20)),
    st.tuples(st.just("modify"), st.tuples(st.integers(0, 20), wishes)),
    st.tuples(st.just("fill"), st.integers(0, 20)),
)


class Played:
    """A book to which the moves were made, and all it said."""

    def __init__(self) -> None:
        self.book = OrderManager(DAY, {RELIANCE: THE_SHARE})
        self.heard: list[OrderSnapshot] = []
        self.taken: Counter[tuple[int, Side]] = Counter()
        self.second = START
        self.prints: dict[int, int] = {}
        self.forced = False
        self.book.on_change(self._hear)

    def _hear(self, snapshot: OrderSnapshot) -> None:
        self.heard.append(snapshot)
        if snapshot.trade and not self.forced:
            self.taken[self.second, snapshot.request.side] += snapshot.trade.quantity

    def make(self, move: tuple[str, Any]) -> None:
        kind, what = move
        if kind == "print":
            self.second += 1
            self.prints[self.second] = what
            self.book.on_price(RELIANCE, what, self.second)
        elif kind == "place":
            self.book.place(_sound(what), self.second)
        elif self.book.all():
            place = what if isinstance(what, int) else what[0]
            order = self.book.all()[place % len(self.book.all())]
            self._touch(kind, order, what)

    def _touch(self, kind: str, order: Order, what: Any) -> None:
        if kind == "cancel":
            self.book.cancel(USER.client_id, order.order_id, self.second)
        elif kind == "modify":
            self.book.modify(USER.client_id, order.order_id, Modification(**what[1]), self.second)
        else:
            self.forced = True
            self.book.fill_now(order, self.second)
            self.forced = False


def _sound(what: dict[str, Any]) -> Any:
    request = a_request(**what)
    if not request.order_type.has_price:
        request = replace(request, price=Paise(0))
    return request if request.order_type.waits_for_trigger else replace(request, trigger=Paise(0))


def after(made: list[tuple[str, Any]]) -> Played:
    played = Played()
    for move in made:
        played.make(move)
    return played


whatever = st.lists(moves, max_size=40).map(after)


@given(whatever)
def test_what_is_filled_and_what_remains_are_the_whole(played: Played) -> None:
    for order in played.book.all():
        assert order.filled + order.remaining == order.request.quantity
        assert (order.status is Status.TRADED) == (order.remaining == 0)


@given(whatever)
def test_nobody_trades_beyond_the_limit(played: Played) -> None:
    for told in played.heard:
        if told.trade:
            assert told.limit is not None
            beyond = told.trade.price - told.limit
            assert (beyond if told.request.side is Side.BUY else -beyond) <= 0


@given(whatever)
def test_a_finished_order_never_changes_again(played: Played) -> None:
    last: dict[str, Status] = {}
    for told in played.heard:
        assert last.get(told.order_id) not in OVER
        last[told.order_id] = told.status


@given(whatever)
def test_the_average_price_times_the_quantity_is_what_was_paid_to_the_paisa(played: Played) -> None:
    for order in played.book.all():
        told = order.snapshot(Change.TRADED) if order.trades else order.snapshot(Change.ACCEPTED)
        assert told.average_price * told.filled == sum(
            trade.price * trade.quantity for trade in order.trades
        )


@given(whatever)
def test_positions_are_the_sum_of_trades_and_cash_is_conserved(played: Played) -> None:
    units: Counter[PositionKey] = Counter()
    cash: dict[PositionKey, Fraction] = {}
    for order in played.book.all():
        key = PositionKey(RELIANCE, order.request.product)
        sign = 1 if order.request.side is Side.BUY else -1
        units[key] += sign * order.filled
        cash[key] = cash.get(key, Fraction(0)) - sign * order.traded_value

    for position in played.book.ledger.of(USER.client_id):
        key = PositionKey(RELIANCE, position.product)
        assert position.net == units[key]
        assert position.sold_value - position.bought_value == cash[key]
        last = played.book.last(RELIANCE) or 0
        assert position.realised + position.unrealised(last) == cash[key] + position.net * last


@given(whatever)
def test_no_print_gives_more_than_its_ladder_shows(played: Played) -> None:
    for (second, side), taken in played.taken.items():
        salt = depth.ASK if side is Side.BUY else depth.BID
        price = played.prints[second]
        assert taken <= sum(
            depth.quantity(second, price, salt, level) for level in range(depth.LEVELS)
        )


@given(whatever, st.integers(1, 3_000), st.sampled_from([Product.CNC, Product.MTF]))
def test_a_conversion_changes_neither_the_units_nor_the_money(
    played: Played, quantity: int, to: Product
) -> None:
    ledger = played.book.ledger
    before = _totals(played)

    for position in ledger.of(USER.client_id):
        ledger.convert(USER.client_id, PositionKey(RELIANCE, position.product), quantity, to)

    assert _totals(played) == before


def _totals(played: Played) -> tuple[int, Fraction]:
    positions = played.book.ledger.of(USER.client_id)
    money = sum(
        (position.sold_value - position.bought_value for position in positions), start=Fraction(0)
    )
    return sum(position.net for position in positions), money


@given(st.permutations(["cancel", "print", "fill"]), quantities, prices)
def test_a_cancellation_and_a_fill_have_exactly_one_winner(
    race: list[str], quantity: int, price: int
) -> None:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE})
    book.on_price(RELIANCE, 100_000, START)
    order = book.place(a_request(price=Paise(90_000), quantity=Quantity(quantity)), START)
    assert isinstance(order, Order)
    answers = []
    steps: dict[str, Callable[[], Any]] = {
        "cancel": lambda: answers.append(book.cancel(USER.client_id, order.order_id, START)),
        "print": lambda: book.on_price(RELIANCE, price, START + 1),
        "fill": lambda: book.fill_now(order, START + 2),
    }

    for step in race:
        steps[step]()

    cancelled = not isinstance(answers[0], Refusal)
    assert (order.status is Status.CANCELLED) is cancelled
    assert (order.status is Status.TRADED) is not cancelled
    assert (order.remaining == 0) is not cancelled


exits = st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(0, 5))


@given(
    st.lists(st.tuples(sides, quantities, prices, exits), min_size=1, max_size=4),
    st.lists(prices, max_size=30),
)
def test_the_exits_of_a_super_order_never_leave_more_than_its_entry_brought(
    wanted: list[tuple[Side, int, int, tuple[int, int, int]]], path: list[int]
) -> None:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE})
    supers = SuperOrders(book)
    book.on_price(RELIANCE, 100_000, START)
    for side, quantity, price, (up, down, jump) in wanted:
        sign = 1 if side is Side.BUY else -1
        bounds = Exits(
            Paise(price + sign * up * 5), Paise(price - sign * down * 5), Paise(jump * 5)
        )
        supers.place(
            a_request(side=side, quantity=Quantity(quantity), price=Paise(price)), bounds, START
        )

    for second, price in enumerate(path, START + 1):
        book.on_price(RELIANCE, price, second)

        for made in supers.of(USER.client_id):
            assert 0 <= made.exited <= made.entry.filled
            standing = [leg.remaining for leg in made.legs.values() if leg.status.live]
            assert all(rest == made.open for rest in standing)
            assert made.open == 0 or len(standing) == 2, "what is open has a stop and a target"


meddling = st.one_of(
    st.tuples(st.just("print"), prices),
    st.tuples(st.just("cancel"), st.sampled_from(list(Leg))),
    st.tuples(st.just("stop"), st.tuples(prices, st.integers(0, 5))),
    st.tuples(st.just("target"), prices),
    st.tuples(st.just("entry"), wishes),
    st.tuples(st.just("fill"), st.integers(0, 5)),
    st.tuples(st.just("withdraw"), st.integers(0, 5)),
)


@given(sides, quantities, st.lists(meddling, max_size=25))
def test_whatever_the_user_does_to_its_legs_a_bracket_stands_for_what_is_open(
    side: Side, quantity: int, moves_made: list[tuple[str, Any]]
) -> None:
    book = OrderManager(DAY, {RELIANCE: THE_SHARE})
    supers = SuperOrders(book)
    book.on_price(RELIANCE, 100_000, START)
    bounds = Exits(Paise(101_000), Paise(99_000), Paise(50))
    bounds = bounds if side is Side.BUY else Exits(Paise(99_000), Paise(101_000), Paise(50))
    supers.place(a_request(side=side, quantity=Quantity(quantity)), bounds, START)
    (made,) = supers.of(USER.client_id)

    for second, (kind, what) in enumerate(moves_made, START + 1):
        _meddle(supers, book, kind, what, second)

        assert 0 <= made.exited <= made.entry.filled
        for leg, order in made.legs.items():
            assert not order.status.live or order.remaining == made.open
            assert leg not in made.cancelled or not order.status.live


def _meddle(supers: SuperOrders, book: OrderManager, kind: str, what: Any, second: int) -> None:
    (made,) = supers.of(USER.client_id)
    order_id, every = made.entry.order_id, book.all()
    if kind == "print":
        book.on_price(RELIANCE, what, second)
    elif kind == "cancel":
        supers.cancel(USER.client_id, order_id, what, second)
    elif kind == "fill":
        book.fill_now(every[what % len(every)], second)
    elif kind == "withdraw":
        book.cancel(USER.client_id, every[what % len(every)].order_id, second)
    elif kind == "entry":
        supers.modify(
            USER.client_id,
            order_id,
            Leg.ENTRY,
            Modification(**what),
            exits=made.exits,
            second=second,
        )
    else:
        leg = Leg.TARGET if kind == "target" else Leg.STOP_LOSS
        wanted = (
            Exits(target=Paise(what))
            if kind == "target"
            else Exits(stop=Paise(what[0]), jump=Paise(what[1] * 5))
        )
        supers.modify(USER.client_id, order_id, leg, Modification(), exits=wanted, second=second)
