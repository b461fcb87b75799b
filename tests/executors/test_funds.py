"""What an account can still pay for: Dhan's last word, less what has left since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from executors.funds import AGAIN_AFTER, BLOCKED_WITHIN, FundsBoard
from executors.risk.situation import Funds
from schemas.ids import OrderId, derive
from schemas.messages import OrderIntent
from schemas.units import Paise, Price, Quantity
from tests.executors.factories import an_intent

DAY = date(2026, 11, 23)
FREE = Paise(1_000_000)
ORDER = an_intent(quantity=Quantity(10), price=Price(10_000))  # a tenth of what is free
ANOTHER = OrderId(derive("order", "another"))


@dataclass
class Clock:
    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


def a_board(clock: Clock) -> FundsBoard:
    board = FundsBoard(clock.monotonic, required=True)
    board.note(ORDER.user_id, DAY, FREE, clock.now)
    return board


def free(board: FundsBoard, order: OrderIntent, apart_from: OrderId = ANOTHER) -> Funds:
    return board.of(order.user_id, DAY, apart_from)


def test_an_order_that_left_is_taken_off_and_its_next_try_is_not() -> None:
    board = a_board(Clock())
    board.sent(ORDER)

    assert free(board, ORDER).free == FREE - 100_000
    assert free(board, ORDER, apart_from=ORDER.id).free == FREE


def test_an_order_sent_shortly_before_a_look_is_counted_and_looked_for_again() -> None:
    clock = Clock()
    board = a_board(clock)
    board.sent(ORDER)

    clock.now += BLOCKED_WITHIN / 2
    board.note(ORDER.user_id, DAY, FREE, clock.now)

    assert free(board, ORDER).free == FREE - 100_000
    clock.now += AGAIN_AFTER
    assert board.is_due(ORDER.user_id)


def test_an_order_that_dhan_has_long_blocked_is_counted_once() -> None:
    clock = Clock()
    board = a_board(clock)
    board.sent(ORDER)

    clock.now += BLOCKED_WITHIN * 2
    board.note(ORDER.user_id, DAY, Paise(FREE - 100_000), clock.now)

    assert free(board, ORDER).free == FREE - 100_000
    clock.now += AGAIN_AFTER
    assert not board.is_due(ORDER.user_id)
