"""Plays stories on real order workers, Kafka and Postgres, and Dhan's simulator."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from datetime import time as datetime_time
from functools import partial
from typing import Any, TypeAlias, TypeVar

import asyncpg
import httpx
from aiokafka.errors import KafkaError
from postgrest.exceptions import APIError

from bus.publisher import Publisher
from bus.records import Output, message_output
from schemas import ticks
from schemas.errors import Misconfigured, TryLater
from schemas.ids import DecisionId, OrderId, UserId
from schemas.market import Action
from schemas.topics import DECISIONS, TICKS
from schemas.units import IST, Price, UtcNs
from simulator.faults import Fault, FaultKind
from simulator.faults.fault import UNLIMITED
from simulator.matching.enums import Status
from tests.crash.orders.bare import Bare, bare
from tests.crash.orders.stage import CLOCK, FIRST_LOOK, Stage, Worker
from tests.crash.orders.story import BOOKS, Event, Kind, Story
from tests.crash.orders.verdict import BookedOrder, Heard, Held, Known, Traded, wrong, wrong_results
from tests.database.fixtures import SignedInUser
from tests.executors.books_worker import tell_clock
from tests.executors.crash_worker import PLAN
from tests.executors.factories import RELIANCE, some_ticks

ENDS_WITHIN = 60.0  # seconds; a limit for a broken run, not a measurement
AGREES_WITHIN = 40.0  # seconds until corrections have been looked for
MARKET_SECONDS = 100  # of the market, for each run
VALID = UtcNs.seconds(MARKET_SECONDS)
FUNDS = 100_000_000  # rupees of each account
CONNECTS_WITHIN = 2.0  # seconds until a new token is seen
WORTH_KEEPING = 1.5  # seconds without a stop, after which the broker's books are kept
BELL = datetime_time(15, 6)  # IST: the square-off of shares is due
PHONES_WITHIN = 5.0  # seconds that a person waits for a first trade of ATS
PHONED = 7  # shares
NAP = 0.02  # seconds
# what callers see of a broker or database that is away; a broker that is starting knows no topic
AWAY = (
    OSError,
    asyncpg.PostgresError,
    APIError,
    httpx.HTTPError,
    TryLater,
    KafkaError,
    Misconfigured,
)
T = TypeVar("T")
Verdict: TypeAlias = Callable[[Heard, list[BookedOrder], Known], list[str]]


@dataclass
class Run:
    """One story being played."""

    stage: Stage
    story: Story
    users: list[UserId] = field(default_factory=list)
    accounts: dict[UserId, str] = field(default_factory=dict)
    decisions: list[DecisionId] = field(default_factory=list)
    off: dict[UserId, datetime] = field(default_factory=dict)
    people: dict[UserId, SignedInUser] = field(default_factory=dict)
    dead: set[UserId] = field(default_factory=set)
    revived: set[UserId] = field(default_factory=set)
    without_token: dict[UserId, tuple[float, float]] = field(default_factory=dict)
    joined: list[Worker] = field(default_factory=list)
    bare: Bare = Bare()  # noqa: RUF009  # frozen
    late: float = 0.0  # seconds by which this process, and so the simulated Dhan, was late at most

    async def play(self) -> list[str]:
        """Play it; returns what was wrong."""
        watching = asyncio.create_task(self._watch_lateness())
        try:
            return await self._play()
        finally:
            watching.cancel()

    async def _watch_lateness(self) -> None:
        while True:
            due = time.monotonic() + NAP
            await asyncio.sleep(NAP)
            self.late = max(self.late, time.monotonic() - due)

    async def _play(self) -> list[str]:
        await self._users()
        await self._quotes()
        began, tasks = time.monotonic(), []
        for event in self.story.events:
            await asyncio.sleep(max(0.0, began + event.at - time.monotonic()))
            tasks.append(asyncio.create_task(self._happen(event)))
        await asyncio.gather(*tasks)
        complaints = await self._settled(wrong) or await self._flat()
        await self._measure()
        complaints = complaints or await self._settled(_all_wrong)
        self.stage.simulator.faults.clear()
        await self._leave()
        return complaints

    async def _users(self) -> None:
        stage = self.stage
        for _ in range(self.story.users):
            stage.accounts += 1
            name, token = f"12{stage.accounts:08}", f"token-of-crash-{stage.accounts}"
            await self._new_account(name, token)
            person = await stage.world.person()
            await person.connect_dhan(client_id=name, token=token)
            await person.switch(on=True)
            user = UserId(person.id)
            self.users.append(user)
            self.people[user], self.accounts[user] = person, name
        await asyncio.sleep(1.0)  # polled twice a second: who is told off must have been seen on

    async def _quotes(self) -> None:
        """Prices of the market minutes in which this run's orders may leave."""
        exchange = self.stage.simulator.exchange
        await self.stage.move_on(MARKET_SECONDS)
        price = exchange.book.last(RELIANCE.id)
        assert price is not None
        seconds = range(2 * MARKET_SECONDS)
        prints = [(RELIANCE, exchange.now + UtcNs.seconds(each), int(price)) for each in seconds]
        batch = ticks.encode(some_ticks(*prints))
        number = ticks.partition_of(RELIANCE.id, PLAN.instrument)
        async with Publisher(self.stage.connection) as publisher:
            await publisher.send_and_wait(Output(TICKS, b"0", batch, number))

    async def _happen(self, event: Event) -> None:
        match event.kind:
            case Kind.DECIDE:
                await self._decide(event)
            case Kind.SWITCH_OFF:
                await self._switch_off(self.users[event.who])
            case Kind.HALT:
                await self._halt_in_the_middle(self.users[event.who])
            case Kind.KILL_TOKEN:
                await self._kill_token(self.users[event.who])
            case Kind.NEW_TOKEN:
                await self._new_token(self.users[event.who])
            case Kind.PHONE:
                await self._order_by_phone(self.accounts[self.users[event.who]], event.what)
            case Kind.LOSE_STOP:
                await self._lose_stop(self.accounts[self.users[event.who]])
            case Kind.BELL:
                pass  # `_flat` rings it
            case Kind.KILL | Kind.FREEZE | Kind.JOIN | Kind.KILL_DATABASE | Kind.KILL_BROKER:
                await self._happen_to_process(event)
            case Kind.FAULT | Kind.STORM | Kind.SILENCE | Kind.ODD_UPDATES:
                await self._happen_at_dhan(event)

    async def _happen_to_process(self, event: Event) -> None:
        stage = self.stage
        match event.kind:
            case Kind.KILL:
                await self._kill(stage.workers[event.who])
            case Kind.FREEZE:
                await stage.freeze(stage.workers[event.who], event.lasting)
            case Kind.JOIN:
                await self._join()
            case Kind.KILL_DATABASE:
                await stage.kill_database()
            case Kind.KILL_BROKER:
                await stage.kill_broker()

    async def _happen_at_dhan(self, event: Event) -> None:
        faults = self.stage.simulator.faults
        match event.kind:
            case Kind.FAULT:
                fault = Fault(FaultKind(event.what))
                if event.lasting:
                    fault = replace(fault, delay=event.lasting)
                faults.add(fault, seed=1)
            case Kind.STORM:
                faults.add(Fault(FaultKind(event.what), times=int(event.lasting)), seed=1)
            case Kind.SILENCE:
                await self._silence(event.lasting)
            case Kind.ODD_UPDATES:
                odd = Fault(FaultKind(event.what), endpoint="/orderupdate", chance=0.3, times=20)
                faults.add(odd, seed=self.story.nth)

    async def _kill(self, worker: Worker) -> None:
        async def kill() -> None:
            worker.signal(signal.SIGKILL)

        if worker is self.stage.workers[BOOKS]:
            await self.stage.without_guardian(worker, kill)
        else:
            await kill()

    async def _join(self) -> None:
        began = time.monotonic()
        worker = await self.stage.join(f"books-of-{self.story.seed}-{self.story.nth}-{began:.0f}")
        self.joined.append(worker)
        await worker.joined()
        # who had its partitions before has given them up by then
        self.stage.away.append((began, time.monotonic() + FIRST_LOOK))

    async def _silence(self, seconds: float) -> None:
        """Dhan answers nothing but 500 to these accounts, for a while."""
        faults = [
            Fault(FaultKind.ERROR, client_id=account, endpoint="* /v2/*", times=UNLIMITED)
            for account in self.accounts.values()
        ]
        self.stage.simulator.faults.add(*faults, seed=1)
        await asyncio.sleep(seconds)
        self.stage.simulator.faults.take_back(*faults)

    async def _new_account(self, name: str, token: str) -> None:
        url = f"{self.stage.simulator.url}/control/users"
        body = {"client_id": name, "token": token, "funds": FUNDS}
        (await self.stage.world.http.post(url, json=body)).raise_for_status()

    async def _kill_token(self, user: UserId) -> None:
        self.dead.add(user)
        self.without_token[user] = (time.monotonic(), float("inf"))
        url = f"{self.stage.simulator.url}/control/tokens/kill"
        body = {"client_id": self.accounts[user]}
        (await self.stage.world.http.post(url, json=body)).raise_for_status()

    async def _new_token(self, user: UserId) -> None:
        """The user connects again; within two seconds the account is observed again."""
        if user not in self.dead:
            return
        name, token = self.accounts[user], f"another-token-of-{self.accounts[user]}"
        await self._new_account(name, token)
        await _again(lambda: self.people[user].connect_dhan(client_id=name, token=token))
        self.dead.remove(user)
        self.revived.add(user)
        began, _ = self.without_token[user]
        self.without_token[user] = (began, time.monotonic() + CONNECTS_WITHIN + FIRST_LOOK)

    async def _order_by_phone(self, account: str, side: str) -> None:
        """A person orders where ATS has traded already: elsewhere it is no business of ours."""
        deadline = time.monotonic() + PHONES_WITHIN
        while not await self._has_traded(account):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.1)
        url = f"{self.stage.simulator.url}/control/orders"
        order = {
            "dhanClientId": account,
            "transactionType": side,
            "exchangeSegment": "NSE_EQ",
            "productType": "INTRADAY",
            "orderType": "MARKET",
            "validity": "DAY",
            "securityId": str(RELIANCE.id.security_id),
            "quantity": PHONED,
            "price": 0,
        }
        body = {"client_id": account, "order": order}
        (await self.stage.world.http.post(url, json=body)).raise_for_status()

    async def _has_traded(self, account: str) -> bool:
        orders = (await self._books(account))["orders"]
        return any(row["filledQty"] and row["correlationId"][:2] == "AT" for row in orders)

    async def _decide(self, event: Event) -> None:
        stage, exchange = self.stage, self.stage.simulator.exchange
        now, price = exchange.now, exchange.book.last(RELIANCE.id)
        assert price is not None
        decision = await _again(
            lambda: stage.world.decision(
                event_time=now,
                action=Action(event.what),
                reference_price=Price(price),
                valid_until=UtcNs(now + VALID),
            )
        )

        async def publish() -> None:
            async with Publisher(stage.connection) as publisher:
                key = str(decision.instrument)
                await publisher.send_and_wait(message_output(DECISIONS, decision, key))

        await _again(publish)
        self.decisions.append(decision.id)

    async def _switch_off(self, user: UserId) -> None:
        self.off[user] = await self._moment_of(partial(self.stage.world.switch_off, user))

    async def _halt_in_the_middle(self, user: UserId) -> None:
        halt = "select halt_trading($1, 'crash test', 'in the middle', false, false)"
        at = await self._moment_of(lambda: self.stage.world.sql(halt, user))
        self.off[user] = min(at, self.off.get(user, at))

    async def _moment_of(self, act: Callable[[], Awaitable[Any]]) -> datetime:
        """Do something in the database; returns when it stood there, by its own clock."""

        async def done() -> datetime:
            await act()
            rows = await self.stage.world.sql("select clock_timestamp() as now")
            at: datetime = rows[0]["now"]
            return at

        return await _again(done)

    async def _settled(self, verdict: Verdict) -> list[str]:
        """Wait until nothing is wrong any more; returns what still is when time is over."""
        deadline = time.monotonic() + ENDS_WITHIN + AGREES_WITHIN
        while True:
            complaints = verdict(self._heard(), self._booked(), await self._known())
            if not complaints or time.monotonic() > deadline:
                return complaints
            await asyncio.sleep(0.3)

    def _heard(self) -> Heard:
        mine, heard = set(self.decisions), self.stage.heard
        return Heard(
            {k: each for k, each in heard.intents.items() if each.decision_id in mine},
            {k: each for k, each in heard.executions.items() if each.decision_id in mine},
            heard.other_bytes,
            {k: each for k, each in heard.positions.items() if k[0] in self.accounts},
            {k: each for k, each in heard.trades.items() if each.user_id in self.accounts},
        )

    def _booked(self) -> list[BookedOrder]:
        ours = set(self.accounts.values())
        return [
            BookedOrder(
                order.request.client_id,
                order.request.correlation_id,
                order.order_id,
                order.status is Status.REJECTED,
            )
            for order in self.stage.simulator.exchange.book.all()
            if order.request.client_id in ours
        ]

    async def _known(self) -> Known:
        rows = await _again(
            lambda: self.stage.world.sql(
                "select order_id, claimed_at from private.order_claims where user_id = any ($1)"
                " and not closes",
                self.users,
            )
        )
        return Known(
            self.decisions,
            self.accounts,
            [
                user
                for user in self.users
                if user not in self.off and user not in self.dead | self.revived
            ],
            self.off,
            {OrderId(row["order_id"]): row["claimed_at"] for row in rows},
            self.dead,
            *await self._held(),
        )

    async def _held(self) -> tuple[dict[tuple[UserId, str], Held], dict[UserId, list[Traded]]]:
        """The broker's own positions and trades of this run's accounts."""
        held, traded = {}, {}
        for user, account in self.accounts.items():
            books = await self._books(account)
            for row in books["positions"]:
                held[user, f"{row['exchangeSegment']}:{row['securityId']}"] = Held.of(row)
            traded[user] = [Traded.of(row) for row in books["trades"]]
        return held, traded

    async def _lose_stop(self, account: str) -> None:
        """The exchange drops the stops of an account's super orders, and says nothing."""
        stage = self.stage
        for made in (await self._books(account))["super_orders"]:
            lose = Fault(FaultKind.LOSE, client_id=account, endpoint="/orderupdate")
            stage.simulator.faults.add(lose, seed=1)
            url = f"{stage.simulator.url}/control/orders/{made['orderId']}/lose"
            await stage.world.http.post(url, json={"leg": "STOP_LOSS_LEG"})  # 400: it had none

    async def _books(self, account: str) -> Any:
        url = f"{self.stage.simulator.url}/control/books/{account}"
        return (await self.stage.world.http.get(url)).raise_for_status().json()

    async def _flat(self) -> list[str]:
        """Have everybody's positions closed, by the clock or a halt; who is not flat in time."""
        if any(event.kind is Kind.BELL for event in self.story.events):
            now = self.stage.simulator.exchange.now
            bell = datetime.combine(now.ist().date(), BELL, tzinfo=IST)
            tell_clock(self.stage.home / CLOCK, UtcNs.from_datetime(bell))
        else:
            for user in self.users:
                await _again(partial(self._halt, user))
        living = {u: a for u, a in self.accounts.items() if u not in self.dead}
        deadline = time.monotonic() + AGREES_WITHIN
        while True:
            held = [account for account in living.values() if not await self._is_flat(account)]
            if not held or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.3)
        return [f"{account} is not flat" for account in held]

    async def _measure(self) -> None:
        """How long positions of living accounts had no stop, by the broker's own record."""
        for user, account in self.accounts.items():
            if user not in self.dead:
                books = await self._books(account)
                zero = time.monotonic() - books["machine_time"]
                away = [*self.stage.away, *filter(None, [self.without_token.get(user)])]
                record = books["protection"]
                found = bare(record, [(begin - zero, end - zero) for begin, end in away])
                self.bare = self.bare.worse(found)
                if found.guarded > WORTH_KEEPING:
                    kept = self.stage.home / f"books-{self.story.nth}-{account}.json"
                    struck = [
                        each.as_json()
                        for each in self.stage.simulator.faults.journal
                        if each.client_id == account
                    ]
                    seen = {"zero": zero, "user": str(user), "faults": struck}
                    kept.write_text(json.dumps(books | seen, indent=1))

    async def _halt(self, user: UserId) -> None:
        await self.stage.world.sql(
            "select halt_trading($1, 'crash test', 'the run is over', true, false)", user
        )

    async def _is_flat(self, account: str) -> bool:
        books = await self._books(account)
        live = {"TRANSIT", "PENDING", "PART_TRADED", "TRIGGERED"}
        waiting = any(order["orderStatus"] in live for order in books["orders"])
        return not waiting and not any(row["net"] for row in books["positions"])

    async def _leave(self) -> None:
        """Nobody of this run trades, or is looked after, in the next."""
        for worker in self.joined:
            books = self.stage.workers[BOOKS]
            began, loads = time.monotonic(), books.loads()
            await worker.end()
            await books.loaded(loads + 1)
            self.stage.away.append((began, time.monotonic() + FIRST_LOOK))

        async def disconnected() -> None:
            await self.stage.world.sql(
                "update public.user_trading_keys set is_trading_enabled = false,"
                " dhan_access_token = null, token_expiry = null where user_id = any ($1)",
                self.users,
            )

        await _again(disconnected)


def _all_wrong(heard: Heard, booked: list[BookedOrder], known: Known) -> list[str]:
    return [*wrong(heard, booked, known), *wrong_results(heard, known)]


async def _again(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat `call` while broker or database are away."""
    deadline = time.monotonic() + ENDS_WITHIN
    while True:
        try:
            return await call()
        except AWAY:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)
