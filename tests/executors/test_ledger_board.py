"""Nothing is entered whose intent the ledger has not signed; what closes asks nobody."""

from __future__ import annotations

import asyncio
from datetime import date

from executors.ledger import LedgerBoard
from executors.orders.worker import OrderWorker
from executors.risk.order_rate import OrderRate
from schemas.ids import derive
from schemas.ledger import LedgerCheckpoint
from schemas.market import Side
from schemas.messages import OrderIntent, Outcome
from tests.dhan.broker import ScriptedDhan, json_answer
from tests.executors.factories import TEN_O_CLOCK, a_record, an_intent
from tests.executors.harness import World, run

PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


def a_head(*places: str) -> LedgerCheckpoint:
    return LedgerCheckpoint(
        id=derive("head", *places),
        event_time=TEN_O_CLOCK,
        day=date(2026, 7, 14),
        size=len(places),
        note="a note",
        since=0,
        places=places,
    )


def a_board(*, signed: bool = True, patience: float = 30) -> LedgerBoard:
    return LedgerBoard(lambda _: signed, patience)


def noted(board: LedgerBoard, offset: int = 7) -> OrderIntent:
    intent = an_intent()
    board.note(intent, a_record(intent, intent.user_id, offset=offset))
    return intent


def test_an_intent_has_a_leaf_once_a_signed_head_names_its_place() -> None:
    board = a_board()
    intent, later = noted(board), noted(board, offset=8)

    before = board.holds(intent.id)
    board.observe(a_head("ats.orders-0@6", "ats.orders-1@9"))
    without = board.holds(intent.id)
    board.observe(a_head("ats.orders-0@7"))

    assert (before, without, board.holds(intent.id)) == (False, False, True)
    assert not board.holds(later.id)


def test_a_head_that_the_ledger_did_not_sign_names_nothing() -> None:
    board = a_board(signed=False)
    intent = noted(board)

    board.observe(a_head("ats.orders-0@7"))

    assert not board.holds(intent.id)


async def test_who_waits_for_a_leaf_goes_on_when_it_is_signed() -> None:
    board = a_board()
    intent = noted(board)
    waiting = asyncio.ensure_future(board.reached(intent.id))
    await asyncio.sleep(0)

    board.observe(a_head("ats.orders-0@6"))
    await asyncio.sleep(0)
    board.observe(a_head("ats.orders-0@7"))

    await asyncio.wait_for(waiting, 30)


async def test_without_a_signed_leaf_an_entry_is_denied_and_an_exit_leaves(
    scripted: World, dhan: ScriptedDhan
) -> None:
    dhan.on("POST", "/v2/orders", PLACED)
    user = await scripted.user()
    entry, logged = await scripted.intent(user), await scripted.intent(user)
    exit_ = await scripted.intent(user, side=Side.SELL, quantity=logged.quantity)
    board, budget = a_board(patience=0), OrderRate()

    def worker() -> OrderWorker:
        return scripted.worker(user, ledger=board, budget=budget)

    denied = await run(worker(), entry)
    board.observe(a_head("ats.orders-0@7"))
    entered = await run(worker(), logged)
    budget.observe(entered)
    closing = await worker()(a_record(exit_, user, offset=8))  # no head names it

    assert (denied.outcome, denied.reason_code) == (Outcome.DENIED, "ledger_behind")
    assert entered.outcome is Outcome.ACCEPTED
    assert [each for each in closing if b'"outcome":"accepted"' in each.value]
