"""One account's observer: what it records and in which order, and how trouble stays with it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bus.records import Output
from dhan.outcomes import MANY_ROWS
from dhan.transport import Credentials, off_loop
from executors.metrics import BookMetrics
from executors.modes import Mode, validate_mode
from executors.orders import observer as observer_module
from executors.orders.account import (
    AccountView,
    BookAccess,
    Guardian,
    NoGuardian,
    OpenGuardian,
    no_guardian,
)
from executors.orders.book import DayBook
from executors.orders.observations import news
from executors.orders.observer import FIRST_PAUSE, LONGEST_PAUSE, Observer, ObserverDeps
from executors.store import Connected, TokenVersion
from executors.tokens import RefusedTokens
from schemas.codec import decode
from schemas.ids import DhanClientId, UserId
from schemas.market import trading_day
from schemas.messages import OrderEvent
from schemas.units import UtcNs
from tests.dhan.broker import Answer, ScriptedDhan, json_answer, trading_error
from tests.executors.factories import TEN_O_CLOCK, USER
from tests.executors.harness import CLIENT, FastMachine

TOKEN = "token-of-the-observed-account"
ORDER = {
    "orderId": "1",
    "correlationId": "AT1",
    "orderStatus": "TRADED",
    "transactionType": "BUY",
    "exchangeSegment": "NSE_EQ",
    "productType": "INTRADAY",
    "orderType": "LIMIT",
    "securityId": "2885",
    "quantity": 10,
    "price": 1500.0,
    "filledQty": 10,
    "averageTradedPrice": 1500.0,
    "updateTime": "2026-07-14 09:59:00",
}
TRADE = {
    "orderId": "1",
    "exchangeTradeId": "7",
    "transactionType": "BUY",
    "exchangeSegment": "NSE_EQ",
    "productType": "INTRADAY",
    "securityId": "2885",
    "tradedQuantity": 10,
    "tradedPrice": 1500.0,
    "exchangeTime": "2026-07-14 09:59:00",
}
POSITION = {
    "exchangeSegment": "NSE_EQ",
    "productType": "INTRADAY",
    "securityId": "2885",
    "netQty": 10,
    "buyQty": 10,
    "sellQty": 0,
    "dayBuyQty": 10,
    "daySellQty": 0,
}


class RefusalNotes:
    """Of the store what `RefusedTokens` asks for."""

    def __init__(self) -> None:
        self.refused: list[TokenVersion] = []

    async def refuse_token(self, user: UserId, version: TokenVersion, code: str) -> bool:  # noqa: ARG002  # as the store asks
        self.refused.append(version)
        return True


@dataclass
class Watched:
    """An observer whose events reach the book when `applies`, and what it recorded."""

    dhan: ScriptedDhan
    machine: FastMachine = field(default_factory=FastMachine)
    metrics: BookMetrics = field(default_factory=BookMetrics)
    notes: RefusalNotes = field(default_factory=RefusalNotes)
    books: dict[date, DayBook] = field(default_factory=dict)
    recorded: list[OrderEvent] = field(default_factory=list)
    applies: bool = True
    observer: Observer = field(init=False)

    async def send(self, output: Output) -> asyncio.Future[Any]:
        event = decode(OrderEvent, output.value)
        self.recorded.append(event)
        if self.applies:
            asyncio.get_running_loop().call_soon(self.apply, event)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def apply(self, event: OrderEvent) -> None:
        self.books.setdefault(event.trading_date, DayBook()).observe(event)
        self.observer.applied(event)

    def shows(self, **lists: list[Any]) -> None:
        """What the broker's books hold from now on."""
        for path in ("orders", "trades", "super/orders", "positions"):
            self.dhan.on("GET", f"/v2/{path}", json_answer(lists.get(path, [])))

    def fails(self, answer: Answer) -> None:
        self.dhan.on("GET", "/v2/orders", answer)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110  # the observer moves on
                await asyncio.sleep(0.01)

    def readings(self) -> int:
        return self.metrics.readings["whole"] + self.metrics.readings["partial"]


@asynccontextmanager
async def watched(
    dhan: ScriptedDhan, http: httpx.AsyncClient, open_guardian: OpenGuardian = no_guardian
) -> AsyncIterator[Watched]:
    """An observer of an account whose books are empty; it runs when `running` is entered."""
    made = Watched(dhan)
    made.shows()
    rules = validate_mode(Mode.PAPER, dhan.url)
    machine, notes = made.machine.time(), made.notes
    deps = ObserverDeps(
        http=http,
        base_url=rules.base_url,
        updates_url=rules.updates_url,
        recorder=made,
        tokens=RefusedTokens(notes, machine),  # type: ignore[arg-type]
        machine=machine,
        market=lambda: UtcNs(TEN_O_CLOCK),
        metrics=made.metrics,
        open_guardian=open_guardian,
        random=Random(1),
    )
    connected = Connected(Credentials(DhanClientId(CLIENT), SecretStr(TOKEN)), TokenVersion(3))
    made.observer = Observer(USER, connected, lambda _, day: made.books.get(day), deps)
    yield made


@asynccontextmanager
async def running(made: Watched) -> AsyncIterator[None]:
    task = asyncio.create_task(made.observer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_all_of_a_reading_is_recorded_before_the_reading(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    async with watched(dhan, http) as made:
        made.shows(orders=[ORDER], trades=[TRADE], positions=[POSITION])
        async with running(made):
            await made.until(lambda: any(event.book for event in made.recorded))

    kinds = [("order", "fill", "book")[_kind(event)] for event in made.recorded]
    assert kinds[:3] == ["order", "fill", "book"]


def _kind(event: OrderEvent) -> int:
    return 0 if event.order else 1 if event.fill else 2


async def test_what_the_book_knows_is_not_recorded_again(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    async with watched(dhan, http) as made:
        made.shows(orders=[ORDER], trades=[TRADE], positions=[POSITION])
        async with running(made):
            await made.until(lambda: made.readings() >= 4)

    assert len({event.id for event in made.recorded}) == len(made.recorded) == 3


async def test_a_reading_counts_once_it_is_in_the_book(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    async with watched(dhan, http) as made:
        made.applies = False
        async with running(made):
            await made.until(lambda: made.readings() >= 2)
            before = made.observer.read_at
            made.apply(made.recorded[-1])
            after = made.observer.read_at

    assert before is None
    assert after is not None


async def test_positions_that_disagree_are_read_once_more_before_they_are_recorded(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    async with watched(dhan, http) as made:
        made.shows(orders=[ORDER], trades=[TRADE], positions=[])
        async with running(made):
            await made.until(lambda: made.metrics.disagreements > 0)
            asked = [seen.path for seen in dhan.seen].count("/v2/positions")

    assert asked >= 2 * made.metrics.disagreements


async def test_an_account_that_cannot_be_read_waits_longer_each_time_and_then_goes_on(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    async with watched(dhan, http) as made:
        made.fails(trading_error("DH-908", status=500))
        async with running(made):
            await made.until(lambda: made.metrics.readings["failed"] >= 8)
            slept = list(made.machine.slept)
            made.shows()
            await made.until(lambda: made.readings() > 0)

    longer = [FIRST_PAUSE * 2**nth for nth in range(1, 6)] + [LONGEST_PAUSE]
    assert [seconds for seconds in slept if seconds in longer][:6] == longer
    assert made.notes.refused == []


async def test_a_token_that_is_refused_in_words_is_flagged_and_the_observer_ends(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    async with watched(dhan, http) as made:
        made.fails(trading_error("DH-901", status=401))
        async with asyncio.timeout(30):
            await made.observer.run()

    assert made.observer.token_refused
    assert made.notes.refused == [TokenVersion(3)]


async def test_a_bare_401_flags_no_token(dhan: ScriptedDhan, http: httpx.AsyncClient) -> None:
    async with watched(dhan, http) as made:
        made.fails(json_answer({}, 401))
        async with running(made):
            await made.until(lambda: made.metrics.readings["failed"] >= 2)

    assert made.notes.refused == []
    assert not made.observer.token_refused


async def test_a_guardian_that_raises_is_called_again_and_sees_book_and_credentials(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    views: list[AccountView] = []

    class Raising:
        async def step(self, view: AccountView, now: UtcNs) -> None:
            views.append(view)
            raise RuntimeError(f"of this account alone, at {now}")

        async def keep_exit(self, view: AccountView, now: UtcNs) -> None:
            """Not asked here."""

    def opened(_: UserId, __: BookAccess) -> Guardian:
        return Raising()

    async with watched(dhan, http, opened) as made:
        made.shows(orders=[ORDER], trades=[TRADE], positions=[POSITION])
        async with running(made):
            await made.until(lambda: bool(views) and views[-1].read_at is not None)
            count = len(views)
            await made.until(lambda: len(views) > count)

    assert made.metrics.guard_failures > 1
    assert views[-1].book is made.books[trading_day(TEN_O_CLOCK)]
    assert views[-1].credentials.access_token.get_secret_value() == TOKEN


@pytest.mark.parametrize("lost", ["orders", "trades", "super/orders", "positions"])
async def test_no_reading_is_made_of_three_lists(
    dhan: ScriptedDhan, http: httpx.AsyncClient, lost: str
) -> None:
    async with watched(dhan, http) as made:
        dhan.on("GET", f"/v2/{lost}", trading_error("DH-908", status=500))
        async with running(made):
            await made.until(lambda: made.metrics.readings["failed"] >= 1)

    assert made.recorded == []


async def test_a_long_book_is_compared_beside_the_event_loop(
    dhan: ScriptedDhan, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other accounts' stops wait on this loop."""
    threads = set[str]()

    def watched_in(name: str) -> None:
        function = getattr(observer_module, name)

        def watch(*arguments: Any) -> Any:
            threads.add(threading.current_thread().name)
            return function(*arguments)

        monkeypatch.setattr(observer_module, name, watch)

    for name in ("observe", "news", "disagrees"):
        watched_in(name)
    async with watched(dhan, http) as made:
        made.shows(orders=[ORDER | {"orderId": str(nth)} for nth in range(MANY_ROWS)])
        async with running(made):
            await made.until(lambda: made.readings() > 0)

    assert threads == {"dhan-long-answers_0"}


async def test_what_arrives_in_the_book_while_it_is_compared_is_not_recorded_again(
    dhan: ScriptedDhan, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watched(dhan, http) as made:
        made.applies = False
        made.shows(orders=[ORDER | {"orderId": str(nth)} for nth in range(MANY_ROWS)])

        async def slowly(work: Callable[[], Any], *, huge: bool = False) -> Any:
            found = await off_loop(work, huge=huge)
            if getattr(work, "func", None) is news:
                for event in list(made.recorded):
                    made.apply(event)
            return found

        async with running(made):
            await made.until(lambda: made.readings() > 0)
            monkeypatch.setattr(observer_module, "off_loop", slowly)
            made.observer.read_soon()
            await made.until(lambda: made.readings() > 1)

    ids = [event.id for event in made.recorded]
    assert len(ids) > MANY_ROWS
    assert len(ids) == len(set(ids))


async def test_a_guardian_is_told_that_the_book_is_behind_while_nothing_is_recorded(
    dhan: ScriptedDhan, http: httpx.AsyncClient
) -> None:
    """As while Kafka is away: it must look at the broker's own book."""
    views: list[AccountView] = []

    class Looker(NoGuardian):
        async def step(self, view: AccountView, now: UtcNs) -> None:  # noqa: ARG002  # as asked
            views.append(view)

    async with watched(dhan, http, lambda *_: Looker()) as made, running(made):
        await made.until(lambda: bool(views) and views[-1].read_at is not None)
        made.applies = False
        made.shows(orders=[ORDER], trades=[TRADE], positions=[POSITION])
        made.observer.read_soon()
        await made.until(lambda: views[-1].read_at is None)
        made.applies = True
        for event in made.recorded:
            made.apply(event)
        await made.until(lambda: views[-1].read_at is not None)
