"""Paper orders against a tape: what they may have, and that no death of the process loses any."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Misconfigured, TryLater
from schemas.units import NS_PER_SECOND, Paise, UtcNs
from simulator.api.orders import Rest
from simulator.matching.enums import Status
from simulator.matching.order import Order
from simulator.paper.config import LATENCY
from simulator.paper.day import PaperDay
from simulator.paper.journal import Entry
from simulator.paper.requests import named_in
from tests.simulator.factories import RELIANCE, until
from tests.simulator.paper import (
    ONE,
    PARTITION,
    TWO,
    Paper,
    a_batch,
    a_body,
    asked,
    book_of,
    placed,
)


@pytest.fixture
def paper(tmp_path: Path) -> Paper:
    return Paper(tmp_path / "paper")


def fills(order: Order) -> list[tuple[int, int]]:
    return [(trade.price, trade.quantity) for trade in order.trades]


async def test_an_order_gets_what_traded_after_it_at_the_price_that_traded(paper: Paper) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        order = await placed(server, quantity=10)
        await paper.arrives(server)
        on_arrival = fills(order)
        paper.later()
        await paper.trades(server, 150_500, 100)
        paper.later()
        await paper.trades(server, 149_900, 4)
        paper.later()
        await paper.trades(server, 150_000, 50)

    assert on_arrival == []
    assert fills(order) == [(149_900, 4), (150_000, 6)]
    assert order.status is Status.TRADED


async def test_a_packet_that_repeats_a_trade_fills_nothing(paper: Paper) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        order = await placed(server)
        await paper.arrives(server)
        for _ in range(3):
            paper.later()
            await paper.shows(server, a_batch(paper, 149_000, 500))

    assert fills(order) == []


async def test_a_trade_before_the_order_fills_nothing_however_late_it_is_read(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await paper.trades(server, 151_000, 500)
        before = paper.now
        paper.later(5)
        order = await placed(server)
        await paper.arrives(server)
        paper.later()
        # received before the order was placed, and read now: we were behind
        await paper.trades(server, 149_000, 500, seconds_ago=5, received=before)
        # traded before the order arrived, and told after it
        await paper.trades(server, 149_000, 500, seconds_ago=6)
        late = fills(order)
        paper.later()
        await paper.trades(server, 149_500, 500)

    assert late == []
    assert fills(order) == [(149_500, 10)]


async def test_of_what_traded_between_two_packets_only_the_last_trade_has_a_price(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        order = await placed(server, quantity=1_000)
        await paper.arrives(server)
        paper.later()
        paper.volume[RELIANCE] += 5_000
        await paper.trades(server, 149_000, 7)

    assert fills(order) == [(149_000, 7)]


async def test_all_accounts_share_what_traded_and_the_better_limit_comes_first(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        one = await placed(server, quantity=10)
        two = await placed(server, dhanClientId=TWO, quantity=10, price=1501.0)
        await paper.arrives(server)
        paper.later()
        await paper.trades(server, 149_500, 12)

    assert (fills(two), fills(one)) == ([(149_500, 10)], [(149_500, 2)])


async def test_an_immediate_order_takes_of_the_first_trade_after_it_or_is_cancelled(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        part = await placed(server, validity="IOC", quantity=10)
        low = await placed(server, validity="IOC", price=1400.0)
        await paper.arrives(server)
        paper.later()
        await paper.trades(server, 149_000, 4)
        silent = await placed(server, validity="IOC")
        await paper.arrives(server)
        paper.later(2)
        await server.day.let_time_pass()
        waited = silent.status
        paper.later(2)
        await server.day.let_time_pass()

    assert (fills(part), part.status) == ([(149_000, 4)], Status.CANCELLED)
    assert (fills(low), low.status) == ([], Status.CANCELLED)
    assert (waited, silent.status) == (Status.PENDING, Status.CANCELLED)


async def test_the_exits_of_a_super_order_trade_at_later_prints_than_their_entry(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        body = {
            "dhanClientId": ONE,
            "transactionType": "BUY",
            "exchangeSegment": "NSE_EQ",
            "productType": "INTRADAY",
            "orderType": "LIMIT",
            "securityId": "2885",
            "quantity": 10,
            "price": 1500.0,
            "targetPrice": 1510.0,
            "stopLossPrice": 1480.0,
            "trailingJump": 0,
        }
        await asked(server, "POST", "/v2/super/orders", body)
        await paper.arrives(server)
        paper.later()
        await paper.trades(server, 149_500, 50)
        stop = server.day.book.all()[1]
        rests = (stop.status, stop.request.quantity)
        paper.later()
        await paper.trades(server, 147_900, 50)
        triggered = fills(stop)
        paper.later()
        await paper.trades(server, 147_500, 50)
        (row,) = await asked(server, "GET", "/v2/super/orders")

    assert rests == (Status.PENDING, 10)
    assert triggered == []  # the print that triggers it is not one it can have
    assert fills(stop) == [(147_500, 10)]
    assert row["orderStatus"] == "CLOSED"


async def test_outside_of_the_session_nothing_trades_and_at_its_end_what_rests_expires(
    paper: Paper,
) -> None:
    paper.now = UtcNs(paper.session.open - 120 * NS_PER_SECOND)
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        order = await placed(server)
        await paper.arrives(server)
        paper.later(2)
        await paper.trades(server, 149_000, 500)
        early = order.status
        paper.now = paper.session.close
        await server.day.let_time_pass()
        refused = await asked(server, "POST", "/v2/orders", a_body())

    assert early is Status.PENDING
    assert (fills(order), order.status) == ([], Status.EXPIRED)
    assert refused["errorCode"] == "DH-906"


async def test_an_account_is_opened_when_it_is_first_named_and_its_token_is_kept_nowhere(
    paper: Paper,
) -> None:
    token = jwt.encode({"dhanClientId": TWO, "iss": "dhan"}, "a-secret-of-dhan" * 4)
    async with paper.life() as server, aiohttp.ClientSession() as session:
        await server.start()
        headers = {"access-token": token}
        for who, sent in ((ONE, headers | {"client-id": ONE}), (TWO, headers)):
            body = a_body(dhanClientId=who)
            async with session.post(f"{server.url}/v2/orders", json=body, headers=sent) as reply:
                assert (reply.status, (await reply.json())["orderStatus"]) == (200, "TRANSIT")
        async with session.get(f"{server.url}/v2/orders") as anonymous:
            assert anonymous.status == 401
        async with session.get(f"{server.url}/v2/charts/intraday", headers=headers) as data:
            assert data.status == 404
        owners = [order.request.client_id for order in server.day.book.all()]

    assert owners == [ONE, TWO]
    assert named_in(token) == TWO
    written = b"".join(path.read_bytes() for path in paper.folder.iterdir())
    assert written
    assert token.encode() not in written


async def test_fills_are_told_over_the_order_updates_of_dhan(paper: Paper) -> None:
    async with paper.life() as server, aiohttp.ClientSession() as session:
        await server.start()
        async with session.ws_connect(f"{server.url}/orderupdate") as socket:
            asks = {"MsgCode": 42, "ClientId": ONE, "Token": "any"}
            await socket.send_json({"LoginReq": asks, "UserType": "SELF"})
            await until(lambda: server._updates.listeners == 1)
            await paper.trades(server, 149_000, 500)
            await placed(server)
            await placed(server, dhanClientId=TWO)
            await paper.arrives(server)
            paper.later()
            await paper.trades(server, 149_500, 500)
            heard = [await socket.receive_json(timeout=5) for _ in range(3)]

    assert [(one["Data"]["clientId"], one["Data"]["status"]) for one in heard] == [
        (ONE, "Transit"),
        (ONE, "Pending"),
        (ONE, "Traded"),
    ]


async def test_the_next_day_begins_with_the_money_and_the_shares_of_the_last(
    paper: Paper,
) -> None:
    async with paper.life(funds=Paise.from_rupees(100_000)) as server:
        await paper.trades(server, 149_000, 500)
        await placed(server, productType="CNC", quantity=10)
        await placed(server, quantity=10)
        await paper.arrives(server)
        paper.later()
        await paper.trades(server, 150_000, 20)
        paper.later()
        await paper.trades(server, 151_000, 20)
        paper.now = UtcNs(paper.now + 24 * 3_600 * NS_PER_SECOND)
        async with aiohttp.ClientSession() as session:
            await server.start()
            await until(lambda: server.day.day == paper.session.day + timedelta(days=1))
            headers = {"access-token": "any", "client-id": ONE}
            async with session.get(f"{server.url}/v2/fundlimit", headers=headers) as reply:
                money = await reply.json()
    async with paper.life(funds=Paise.from_rupees(100_000)) as again:
        (share,) = await asked(again, "GET", "/v2/holdings")
        orders = await asked(again, "GET", "/v2/orders")

    # ten shares for delivery were paid; the ten of the day were closed at the last price
    assert money["sodLimit"] == 100_000 - 15_000 + 10 * 10
    assert (share["securityId"], share["totalQty"], share["avgCostPrice"]) == ("2885", 10, 1500.0)
    assert orders == []


async def a_day(paper: Paper, server: Any) -> None:
    """A bit of everything that changes a book."""
    await paper.trades(server, 149_000, 500)
    first = await placed(server, quantity=30)
    await paper.arrives(server)
    paper.later()
    await paper.trades(server, 149_500, 12)
    path = f"/v2/orders/{first.order_id}"
    change = {
        "dhanClientId": ONE,
        "orderId": first.order_id,
        "orderType": "LIMIT",
        "legName": "",
        "quantity": 25,
        "price": 1490.0,
        "disclosedQuantity": 0,
        "triggerPrice": 0,
        "validity": "DAY",
    }
    await asked(server, "PUT", path, change)
    paper.later()
    await paper.trades(server, 149_200, 9)
    await placed(server, dhanClientId=TWO, transactionType="SELL", price=1495.0, quantity=8)
    await asked(server, "DELETE", path)
    paper.later()
    await paper.trades(server, 149_600, 6)
    paper.later()
    await paper.trades(server, 149_700, 6)
    await asked(server, "DELETE", "/v2/positions")
    paper.later(0.02)


async def test_killed_after_any_entry_it_comes_back_with_exactly_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, had = Paper(tmp_path / "whole"), list[Any]([[]])
    apply = PaperDay._apply

    async def watched(day: PaperDay, entry: Entry) -> web.StreamResponse | None:
        reply = await apply(day, entry)
        had.append(book_of(day))
        return reply

    monkeypatch.setattr(PaperDay, "_apply", watched)
    async with whole.life() as server:
        await a_day(whole, server)
    monkeypatch.undo()
    lines = next(whole.folder.iterdir()).read_bytes().splitlines(keepends=True)

    for kept, state in enumerate(had, start=1):
        dead = Paper(tmp_path / f"dead-{kept}", now=whole.now)
        dead.folder.mkdir()
        # the last line is torn in the middle: nobody was answered because of it
        torn = lines[kept][: len(lines[kept]) // 2] if kept < len(lines) else b""
        (dead.folder / "2026-11-23.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
        server = dead.server()
        await server.recover({})
        assert book_of(server.day) == state
        await server.stop()
    assert len(had) == len(lines) > 10


async def test_an_order_that_was_answered_is_filled_by_what_traded_while_nobody_was_alive(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        await placed(server)
    copy = paper.folder.parent / "dead"
    shutil.copytree(paper.folder, copy)  # what kill -9 leaves
    paper.later()
    for price, quantity in ((150_500, 50), (149_900, 4), (149_800, 50)):
        paper.later()
        paper.volume[RELIANCE] += quantity
        paper.tape.append((paper.offset, a_batch(paper, price, quantity)))
        paper.offset += 1
    paper.later(60)

    paper.folder = copy
    async with paper.life() as again:
        (order,) = again.day.book.all()
        once = fills(order)
    async with paper.life() as twice:
        (order,) = twice.day.book.all()

    assert once == [(149_900, 4), (149_800, 6)]
    assert fills(order) == once


@pytest.mark.parametrize("hours", [8, 24])
async def test_what_traded_before_the_close_fills_what_rested_however_late_it_is_read(
    paper: Paper, hours: int
) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        await placed(server, productType="CNC")
        await placed(server, dhanClientId=TWO, validity="IOC")
    copy = paper.folder.parent / "dead"
    shutil.copytree(paper.folder, copy)
    paper.later(60)
    paper.volume[RELIANCE] += 50
    paper.tape.append((paper.offset, a_batch(paper, 149_500, 50)))
    paper.offset += 1
    paper.later(hours * 3_600)

    paper.folder = copy
    server = paper.server()
    begin = await server.recover({})
    for offset, batch in paper.tape[begin[PARTITION] :]:
        await server.show(PARTITION, offset, batch)
    resting, immediate = server.day.book.all()
    day = server.day.day
    server.caught_up()
    await server.stop()

    assert day == paper.session.day
    assert fills(resting) == [(149_500, 10)]
    assert (fills(immediate), immediate.status) == ([], Status.CANCELLED)
    assert server.day.day == day + timedelta(days=hours // 24)


async def test_after_a_torn_line_the_journal_goes_on(paper: Paper) -> None:
    async with paper.life() as server:
        await placed(server)
    path = next(paper.folder.iterdir())
    path.write_bytes(path.read_bytes() + b'{"kind":"call","now":17')

    async with paper.life() as server:
        await placed(server)
    async with paper.life() as server:
        assert len(server.day.book.all()) == 2


async def test_the_tape_is_read_on_from_the_record_after_the_last_one_that_mattered(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        for _ in range(3):
            await paper.trades(server, 149_000, 5)
        await placed(server)
    again = paper.server()
    begin = await again.recover({PARTITION: 99})
    before = next(paper.folder.iterdir()).read_bytes()
    for offset, batch in paper.tape:  # and what is shown twice is taken in once
        await again.show(PARTITION, offset, batch)
    await again.stop()

    assert begin == {PARTITION: 3}
    assert next(paper.folder.iterdir()).read_bytes() == before


async def test_a_day_that_is_read_again_under_other_settings_is_the_same_day(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await a_day(paper, server)
        wanted = book_of(server.day)

    poor = {"funds": Paise(1), "latency": UtcNs(60 * NS_PER_SECOND)}
    async with paper.life(**poor) as again:
        assert book_of(again.day) == wanted


async def test_an_instrument_that_was_ordered_must_not_vanish_from_the_master(
    paper: Paper,
) -> None:
    async with paper.life() as server:
        await a_day(paper, server)

    with pytest.raises(Misconfigured, match="NSE_EQ:2885, which is not in the instrument master"):
        await paper.server(instruments={}).recover({})


async def test_what_cannot_be_written_is_not_done_and_the_process_ends(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 100  # bytes the disk still takes
    write = os.write

    def full(file: int, data: Any) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken, room = min(room, len(data)), 0
        return write(file, data[:taken])

    headers = {"access-token": "any", "client-id": ONE}
    async with paper.life() as server, aiohttp.ClientSession(headers=headers) as session:
        await placed(server)
        await server.start()
        assert server.ticking is not None
        with monkeypatch.context() as patch:
            patch.setattr("os.write", full)
            async with session.post(f"{server.url}/v2/orders", json=a_body()) as reply:
                failed = await reply.json()
        async with session.post(f"{server.url}/v2/orders", json=a_body()) as reply:
            later = await reply.json()
        with pytest.raises(TryLater, match="could not be written"):
            await asyncio.wait_for(server.ticking, 10)
    async with paper.life() as again:
        assert len(again.day.book.all()) == 1

    assert failed["errorCode"] == later["errorCode"] == "DH-908"


async def test_a_request_that_breaks_its_handler_breaks_no_start(
    paper: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> web.StreamResponse:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(Rest, "cancel", broken)
    async with paper.life() as server:
        order = await placed(server)
        reply = await asked(server, "DELETE", f"/v2/orders/{order.order_id}")
    async with paper.life() as again:
        assert len(again.day.book.all()) == 1

    assert reply["errorCode"] == "DH-908"


async def test_one_folder_is_for_one_process(paper: Paper) -> None:
    async with paper.life():
        with pytest.raises(Misconfigured, match="another `ats paper`"):
            await paper.server().recover({})


async def test_a_damaged_journal_is_refused_and_left_alone(paper: Paper) -> None:
    async with paper.life() as server:
        await paper.trades(server, 149_000, 500)
        await placed(server)
        await paper.arrives(server)
    path = next(paper.folder.iterdir())
    damaged = path.read_bytes().replace(b'"kind":"call"', b'"kind":"call')
    path.write_bytes(damaged)

    with pytest.raises(Misconfigured, match="line 3 is no entry"):
        await paper.server().recover({})
    assert path.read_bytes() == damaged


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("order"),
            st.sampled_from(["BUY", "SELL"]),
            st.integers(1, 40),
            st.integers(-6, 6),
            st.sampled_from(["DAY", "IOC"]),
        ),
        st.tuples(st.just("print"), st.integers(-6, 6), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.sampled_from([0.03, 0.4, 1.0, 4.0])),
        st.tuples(st.just("die")),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps=steps)
def test_no_fill_is_better_than_the_tape_whatever_is_ordered_and_whenever_it_dies(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]
) -> None:
    asyncio.run(_no_fill_is_better(Paper(tmp_path_factory.mktemp("paper")), steps))


async def _no_fill_is_better(paper: Paper, steps: list[tuple[Any, ...]]) -> None:
    arrived: dict[str, UtcNs] = {}
    prints: dict[tuple[int, int], int] = {}
    lives = paper.life()
    server = await lives.__aenter__()
    await paper.trades(server, 150_000, 10)
    for step, *details in steps:
        if step == "order":
            side, quantity, away, validity = details
            price = (150_000 + away * 50) / 100
            order = await placed(
                server, transactionType=side, quantity=quantity, price=price, validity=validity
            )
            arrived[order.order_id] = UtcNs(paper.now + LATENCY)
        elif step == "print":
            away, quantity = details
            price = 150_000 + away * 50
            second = paper.now // NS_PER_SECOND
            prints[second, price] = prints.get((second, price), 0) + quantity
            await paper.trades(server, price, quantity)
        elif step == "wait":
            paper.later(details[0])
            await server.day.let_time_pass()
        else:
            seen = book_of(server.day)
            await lives.__aexit__(None, None, None)
            lives = paper.life()
            server = await lives.__aenter__()
            assert book_of(server.day) == seen
    orders = server.day.book.all()
    await lives.__aexit__(None, None, None)

    taken: dict[tuple[str, int, int], int] = {}
    for order in orders:
        side = order.request.side
        for trade in order.trades:
            assert (trade.second, trade.price) in prints
            assert trade.second * NS_PER_SECOND + NS_PER_SECOND > arrived[order.order_id]
            within = trade.price - order.request.price
            assert within <= 0 if side == "BUY" else within >= 0
            key = (side, trade.second, trade.price)
            taken[key] = taken.get(key, 0) + trade.quantity
    for (_, second, price), quantity in taken.items():
        assert quantity <= prints[second, price]
