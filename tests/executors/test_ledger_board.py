"""Nothing is entered whose intent the ledger has not signed; what closes asks nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from audit.ledger.entries import Entry
from audit.ledger.log import LedgerKey, Logs, batches_of, signed
from audit.ledger.notes import KeyType, Signer
from bus.records import Record
from executors.ledger import LedgerBoard
from executors.orders.worker import OrderWorker
from executors.risk.order_rate import OrderRate
from schemas.codec import encode
from schemas.ids import OrderId
from schemas.ledger import LedgerCheckpoint
from schemas.market import Side
from schemas.messages import Outcome
from schemas.units import UtcNs
from tests.dhan.broker import ScriptedDhan, json_answer
from tests.executors.factories import a_record, an_intent
from tests.executors.harness import World, run

PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


LEDGER = Signer.of("ledger.example", KeyType.LOG, b"1" * 32)
SOMEBODY = Signer.of("ledger.example", KeyType.LOG, b"2" * 32)


def a_head(*records: Record, by: Signer = LEDGER) -> LedgerCheckpoint:
    logs = Logs()
    (batch,) = batches_of(records, logs)
    return signed(logs, batch.day, batch.first, logs.accept(batch), by)


def a_board(patience: float = 30) -> LedgerBoard:
    return LedgerBoard(LedgerKey(LEDGER.public), patience)


def noted(board: LedgerBoard, offset: int = 7) -> tuple[OrderId, Record]:
    intent = an_intent()
    record = a_record(intent, intent.user_id, offset=offset)
    board.note(intent, record)
    return intent.id, record


def test_an_intent_has_a_leaf_once_a_signed_head_seals_its_record() -> None:
    board = a_board()
    (order, record), (later, _) = noted(board), noted(board, offset=8)

    before = board.holds(order)
    board.observe(a_head(replace(record, offset=6)))
    without = board.holds(order)
    board.observe(a_head(replace(record, offset=6), record))

    assert (before, without, board.holds(order)) == (False, False, True)
    assert not board.holds(later)


def test_a_head_from_before_the_intent_was_read_counts_also_when_it_comes_twice() -> None:
    board, intent = a_board(), an_intent()
    record = a_record(intent, intent.user_id)
    board.observe(a_head(record))

    board.note(intent, record)
    first = board.holds(intent.id)
    board.note(intent, record)

    assert first
    assert board.holds(intent.id)


def test_a_head_that_the_ledger_did_not_sign_names_nothing() -> None:
    board = a_board()
    order, record = noted(board)

    board.observe(a_head(record, by=SOMEBODY))

    assert not board.holds(order)


def test_a_head_of_somebody_else_is_not_believed_with_the_ledger_s_seals_either() -> None:
    board = a_board()
    order, record = noted(board)
    seals, foreign = a_head(record).seals, a_head(record, by=SOMEBODY)

    board.observe(foreign.model_copy(update={"seals": seals}))

    assert not board.holds(order)


def test_a_seal_is_of_the_place_that_its_leaf_has_in_the_log() -> None:
    board, logs = a_board(), Logs()
    order, record = noted(board)
    for each in (replace(record, offset=5), replace(record, offset=6), record):
        (batch,) = batches_of([each], logs)
        head = signed(logs, batch.day, batch.first, logs.accept(batch), LEDGER)

    board.observe(head)

    assert (head.since, board.holds(order)) == (2, True)


@pytest.mark.parametrize(
    "change",
    [
        {"value": encode(an_intent())},
        {"key": b"somebody"},
        {"headers": {"decided_at": b"1"}},
        {"published_at": UtcNs(1_000_000)},
    ],
)
def test_a_leaf_of_another_record_in_its_place_is_none(change: dict[str, Any]) -> None:
    board = a_board()
    order, record = noted(board)
    head = a_head(replace(record, **change))

    board.observe(head)

    assert LedgerKey(LEDGER.public).signed(head)
    assert not board.holds(order)


def test_a_head_that_names_a_place_beside_its_seals_is_not_believed() -> None:
    board = a_board()
    order, record = noted(board)
    elsewhere = a_head(replace(record, offset=6))

    board.observe(elsewhere.model_copy(update={"places": (str(Entry.of(record)),)}))

    assert not board.holds(order)


async def test_who_waits_for_a_leaf_goes_on_when_it_is_signed() -> None:
    board = a_board()
    order, record = noted(board)
    waiting = asyncio.ensure_future(board.reached(order))
    await asyncio.sleep(0)

    board.observe(a_head(replace(record, offset=6)))
    await asyncio.sleep(0)
    board.observe(a_head(record))

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
    board.observe(a_head(a_record(logged, user)))
    entered = await run(worker(), logged)
    budget.observe(entered)
    closing = await worker()(a_record(exit_, user, offset=8))  # no head seals it

    assert (denied.outcome, denied.reason_code) == (Outcome.DENIED, "ledger_behind")
    assert entered.outcome is Outcome.ACCEPTED
    assert [each for each in closing if b'"outcome":"accepted"' in each.value]
