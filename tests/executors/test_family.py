"""In mode `family` declared members trade, each from their own address, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any
from unittest.mock import Mock
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from ats.embedded.postgres import EmbeddedPostgres
from bus.database import StoreAway
from bus.records import Output
from dhan.egress import Egress
from dhan.static_ip import SeenAddress
from dhan.transport import OrderUrl
from executors.accounts import Accounts
from executors.addresses import LOOK_AGAIN, Addresses, judge_address
from executors.members import Member, MemberBoard, MemberPoller, Members, MemberStore
from executors.metrics import BookMetrics
from executors.modes import Mode, ModeRules
from executors.orders.account import no_guardian
from executors.orders.connected import ConnectedAccounts
from executors.orders.observer import ObserverDeps
from executors.orders.outcomes import execution
from executors.orders.worker import OrderWorker, WorkerDeps
from executors.risk.situation import Address
from executors.store import OrderOutcome, Store
from executors.tokens import RefusedTokens
from schemas.ids import DhanClientId, DhanOrderId, UserId
from schemas.market import Side
from schemas.messages import Execution, Outcome
from schemas.units import Price, UtcNs
from simulator.config import SimulatedUser, SimulatorConfig
from simulator.server import Simulator
from tests.database.fixtures import SupabaseStack, an_order_worker_reports, own_stack
from tests.dhan.broker import Answer, ScriptedDhan, hang_up, json_answer, trading_error
from tests.executors.factories import TEN_O_CLOCK, a_decision, an_intent
from tests.executors.harness import CLIENT, FastMachine, World, run, world_at

MINE, SPOUSES = DhanClientId(CLIENT), DhanClientId("1100000002")
SOURCES = {MINE: "127.0.0.2", SPOUSES: "127.0.0.3"}
TOKENS = {account: f"simulated-token-of-{account}" for account in SOURCES}
PLACED = json_answer({"orderId": "52211", "orderStatus": "TRANSIT"})


def shown(detected: str | None = "203.0.113.7", **more: Any) -> Answer:
    known = {"primaryIP": "203.0.113.7", "secondaryIP": None, "ordersAllowed": True}
    return json_answer(known | ({"detectedIP": detected} if detected else {}) | more)


@dataclass
class Family:
    """A world whose order workers trade a family, and what they know of its members."""

    world: World
    http: httpx.AsyncClient
    machine: FastMachine = field(default_factory=FastMachine)
    board: MemberBoard = field(default_factory=lambda: MemberBoard(needed=True))

    async def member(self, account: DhanClientId, address: str = "203.0.113.7") -> UserId:
        """A declared member who is connected and switched on."""
        person = await self.world.person()
        user = UserId(person.id)
        await self.declare(user, account, address)
        await person.connect_dhan(client_id=account, token=TOKENS[account])
        account_page: Any = (await person.client.rpc("own_account", {}).execute()).data
        terms = {"p_terms": account_page["platform"]}
        await person.client.rpc("switch_trading_on", terms).execute()
        return user

    async def declare(self, user: UserId, account: DhanClientId, address: str) -> None:
        await self.world.sql(
            "select declare_member($1, $2, 'dependent_child', 'signed letter', '2026-11-01', "
            "$3::text::inet, 'Asha')",
            *(user, account, address),
        )
        await self.look()

    async def end(self, account: DhanClientId) -> None:
        await self.world.sql("select end_membership($1, 'Asha', 'moved out')", account)
        await self.look()

    async def look(self) -> None:
        store = MemberStore(self.world.client)
        await MemberPoller(store, self.board, self.machine.time()).poll()

    def rules(self, egress: dict[DhanClientId, str] | None = None) -> ModeRules:
        url = OrderUrl.parse(self.world.broker_url)
        return ModeRules(Mode.FAMILY, url, None, Egress(egress or SOURCES, named_only=True))

    def deps(self, *users: UserId, **changes: Any) -> WorkerDeps:
        rules = self.rules()
        addresses = Addresses(rules, self.http, self.board, self.machine.time())
        facts = {"addresses": addresses, "is_member": self.board.admits} | changes
        return self.world.surroundings(*users, rules=rules, **facts)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def family_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """A database whose order workers report mode `family`."""
    # its own for each module that asks
    async with own_stack(postgres, f"family_{uuid4().hex}") as stack:
        await an_order_worker_reports(stack.dsn, "family")
        yield stack


@asynccontextmanager
async def a_family(stack: SupabaseStack, url: str, egress: Egress) -> AsyncIterator[Family]:
    rules = ModeRules(Mode.FAMILY, OrderUrl.parse(url), None, egress)
    async with rules.open_client() as http, world_at(stack, http, url) as world:
        yield Family(world, http)
        await world.sql(
            "update family_members set ended_at = now(), ended_by = 'x', end_reason = 'over' "
            "where ended_at is null"
        )


@pytest_asyncio.fixture
async def family(family_stack: SupabaseStack, dhan: ScriptedDhan) -> AsyncIterator[Family]:
    """With a Dhan that says what a test tells it."""
    dhan.on("GET", "/v2/profile", json_answer({"dhanClientId": CLIENT}))
    dhan.on("GET", "/v2/ip/getIP", shown())
    dhan.on("POST", "/v2/orders", PLACED)
    async with a_family(family_stack, dhan.url, Egress(SOURCES, named_only=True)) as made:
        yield made


async def entry(family: Family, deps: WorkerDeps, user: UserId) -> tuple[Outcome, str]:
    told = await run(OrderWorker(deps), await family.world.intent(user))
    return told.outcome, told.reason_code


async def an_exit(family: Family, deps: WorkerDeps, user: UserId) -> tuple[Outcome, str]:
    """What becomes of the sale of ten that were bought this morning."""
    told = await the_exit(family, deps, user)
    return told.outcome, told.reason_code


async def the_exit(family: Family, deps: WorkerDeps, user: UserId) -> Execution:
    bought = OrderOutcome(Outcome.ACCEPTED, "accepted", dhan_order_id=DhanOrderId("1"))
    deps.pre_trade.budget.observe(execution(an_intent(user, a_decision()), bought))
    sale = await family.world.intent(user, side=Side.SELL, price=Price(149_700))
    return await run(OrderWorker(deps), sale)


def asked(dhan: ScriptedDhan, path: str) -> int:
    return sum(request.path.endswith(path) for request in dhan.seen)


# Two members, on the wire


@asynccontextmanager
async def a_strict_exchange() -> AsyncIterator[Simulator]:
    """It takes orders from the address that an account has registered, and from no other."""
    users = tuple(SimulatedUser(account, token) for account, token in TOKENS.items())
    config = SimulatorConfig(users=users, order_rate_limit=None, shares=5, static_ip=True)
    simulator = Simulator(config)
    await simulator.start()
    try:
        async with httpx.AsyncClient(base_url=simulator.url) as http:
            for account, address in SOURCES.items():
                body = {"dhanClientId": account, "ip": address, "ipFlag": "PRIMARY"}
                headers = {"access-token": TOKENS[account], "client-id": account}
                answer = await http.post("/v2/ip/setIP", json=body, headers=headers)
                assert answer.status_code == 200, answer.text
        yield simulator
    finally:
        await simulator.stop()


async def test_two_members_trade_from_their_own_addresses_and_from_each_others_nothing_enters(
    family_stack: SupabaseStack,
) -> None:
    swapped = Egress({MINE: SOURCES[SPOUSES], SPOUSES: SOURCES[MINE]}, named_only=True)
    own = Egress(SOURCES, named_only=True)
    told: list[list[tuple[Outcome, str]]] = []
    async with a_strict_exchange() as exchange:
        for egress in (own, swapped):
            async with a_family(family_stack, f"{exchange.url}/v2", egress) as family:
                users = [await family.member(account, SOURCES[account]) for account in SOURCES]
                deps = family.deps(*users)
                told.append([await entry(family, deps, user) for user in users])
                told.append([await an_exit(family, deps, user) for user in users])

    accepted, differs = (Outcome.ACCEPTED, "accepted"), (Outcome.DENIED, "address_mismatch")
    assert told[:3] == [[accepted] * 2, [accepted] * 2, [differs] * 2]
    # exits are tried: it is the exchange that refuses them
    assert [outcome for outcome, _ in told[3]] == [Outcome.REJECTED] * 2


# Who is no member


async def test_who_was_never_declared_is_refused_at_the_claim_and_dhan_hears_nothing(
    family: Family, dhan: ScriptedDhan
) -> None:
    user = await family.member(MINE)
    alter = "alter table family_members {} trigger all"
    delete = "delete from family_members"
    for statement in (alter.format("disable"), delete, alter.format("enable")):
        await family.world.sql(statement)
    deps = family.deps(user)

    outcomes = [await entry(family, deps, user), await an_exit(family, deps, user)]

    assert outcomes == [(Outcome.DENIED, "not_a_member")] * 2
    assert dhan.seen == []


async def test_the_gate_too_refuses_who_is_no_member_any_more_when_the_claim_was_given(
    family: Family, dhan: ScriptedDhan
) -> None:
    user = await family.member(MINE)
    deps = family.deps(user, is_member=lambda *_: False)

    assert await entry(family, deps, user) == (Outcome.DENIED, "not_a_member")
    assert await an_exit(family, deps, user) == (Outcome.ACCEPTED, "accepted")
    assert asked(dhan, "/orders") == 1


async def test_after_a_declaration_was_ended_no_entry_leaves_and_exits_do(
    family: Family, dhan: ScriptedDhan
) -> None:
    user = await family.member(MINE)
    await family.end(MINE)
    deps = family.deps(user)

    assert await entry(family, deps, user) == (Outcome.DENIED, "not_a_member")
    assert await an_exit(family, deps, user) == (Outcome.ACCEPTED, "accepted")


async def test_a_token_of_another_account_than_the_declared_one_trades_nothing(
    family: Family, dhan: ScriptedDhan
) -> None:
    user = await family.member(SPOUSES)  # and Dhan says that the token is of MINE
    deps = family.deps(user)

    outcomes = [await entry(family, deps, user), await an_exit(family, deps, user)]

    assert outcomes == [(Outcome.DENIED, "account_mismatch")] * 2
    assert asked(dhan, "/orders") == 0


# Where Dhan sees them


async def test_the_address_is_asked_for_before_the_first_order_of_the_day_and_then_no_more(
    family: Family, dhan: ScriptedDhan
) -> None:
    user = await family.member(MINE)
    deps = family.deps(user)

    outcomes = [(await entry(family, deps, user))[0] for _ in range(3)]
    paths = [request.path for request in dhan.seen if "profile" not in request.path]

    assert outcomes == [Outcome.ACCEPTED] * 3
    assert paths == ["/v2/ip/getIP", *["/v2/super/orders"] * 3]


WRONG = {
    "seen elsewhere": (shown("203.0.113.8"), "address_mismatch"),
    "not the registered one": (shown(primaryIP="203.0.113.9"), "address_mismatch"),
    "orders not allowed": (shown(ordersAllowed=False), "address_mismatch"),
    "none registered": (
        json_answer([{"message": "no address", "status": "ERROR"}]),
        "address_unverified",
    ),
    "not told": (shown(None), "address_unverified"),
    "connection lost": (hang_up, "address_unverified"),
    "refused": (trading_error("DH-905"), "address_unverified"),
}


@pytest.mark.parametrize(("answer", "code"), WRONG.values(), ids=WRONG)
async def test_while_the_address_is_not_the_registered_one_nothing_is_entered_but_exits_leave(
    family: Family, dhan: ScriptedDhan, answer: Answer, code: str
) -> None:
    user = await family.member(MINE)
    deps = family.deps(user)
    dhan.on("GET", "/v2/ip/getIP", answer)

    assert await entry(family, deps, user) == (Outcome.DENIED, code)
    assert await an_exit(family, deps, user) == (Outcome.ACCEPTED, "accepted")
    assert asked(dhan, "/getIP") == 1


async def test_what_was_wrong_is_looked_at_again_after_half_a_minute(
    family: Family, dhan: ScriptedDhan
) -> None:
    user = await family.member(MINE)
    deps = family.deps(user)
    dhan.on("GET", "/v2/ip/getIP", shown("203.0.113.8"))
    first = await entry(family, deps, user)
    dhan.on("GET", "/v2/ip/getIP", shown())
    family.machine.now += LOOK_AGAIN - 1
    soon = await entry(family, deps, user)
    family.machine.now += 2

    assert (first[1], soon[1]) == ("address_mismatch", "address_mismatch")
    assert await entry(family, deps, user) == (Outcome.ACCEPTED, "accepted")


async def test_another_address_that_is_declared_is_compared_at_once(
    family: Family, dhan: ScriptedDhan
) -> None:
    user = await family.member(MINE)
    deps = family.deps(user)
    before = await entry(family, deps, user)
    await family.end(MINE)
    await family.declare(user, MINE, "203.0.113.8")
    await family.world.sql(
        "update user_trading_keys set is_trading_enabled = true where user_id = $1", user
    )

    assert before == (Outcome.ACCEPTED, "accepted")
    assert await entry(family, deps, user) == (Outcome.DENIED, "address_mismatch")


ADDRESSES = st.sampled_from(["203.0.113.7", "203.0.113.8", "2001:db8::7"])


@given(
    ADDRESSES,
    st.builds(
        SeenAddress,
        st.none() | ADDRESSES,
        st.lists(ADDRESSES, max_size=2).map(tuple),
        st.none() | st.booleans(),
    ),
)
def test_an_address_is_right_only_where_dhan_sees_the_declared_one_and_nothing_speaks_against_it(
    declared: str, seen: SeenAddress
) -> None:
    verdict = judge_address(declared, seen)

    if verdict is Address.AS_REGISTERED:
        assert seen.detected == declared
        assert declared in (*seen.registered, seen.detected)
        assert seen.orders_allowed is not False
    if seen.detected not in (None, declared):
        assert verdict is Address.ANOTHER


# Who is watched in `ats books`


class Nowhere:
    """Takes no record: nothing of this test is to be told."""

    async def send(self, output: Output) -> asyncio.Future[Any]:  # noqa: ARG002  # as the publisher
        return asyncio.get_running_loop().create_future()


async def test_members_are_watched_also_after_their_declaration_was_ended_and_nobody_else_is(
    family: Family, dhan: ScriptedDhan
) -> None:
    dhan.on("GET", "/v2/", json_answer([]))
    user = await family.member(MINE)
    rules, machine, metrics = family.rules(), family.machine.time(), BookMetrics()
    store = Store(family.world.client)
    tokens = RefusedTokens(store, machine)
    deps = ObserverDeps(
        http=family.http,
        base_url=rules.base_url,
        updates_url=rules.updates_url,
        recorder=Nowhere(),
        tokens=tokens,
        machine=machine,
        market=lambda: UtcNs(TEN_O_CLOCK),
        metrics=metrics,
        open_guardian=no_guardian,
        random=Random(1),
        egress=rules.egress,
    )

    async def watched(board: MemberBoard) -> int:
        """How many accounts are watched by whom `board` is known to."""
        accounts = ConnectedAccounts(
            *(store, Accounts(rules, family.http, tokens), rules, deps, Mock()),
            partitions=1,
            wall=lambda: datetime.now(UTC),
            minds=board.minds,
        )
        accounts.owned({0: Mock(books={})})
        await accounts.poll()
        count = metrics.accounts
        accounts.owned({})
        return count

    declared = await watched(family.board)
    await family.end(MINE)
    ended = await watched(family.board)
    undeclared = await watched(MemberBoard(needed=True))

    assert (declared, ended, undeclared) == (1, 1, 0)
    assert family.board.minds(user, MINE)


# What is known of members


class Told:
    """A store that answers what it was given, in turn."""

    def __init__(self, *answers: Members | Exception) -> None:
        self._answers = iter(answers)

    async def declared(self, known: Members | None = None) -> Members:  # noqa: ARG002  # as the store
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_while_the_database_is_away_the_members_known_last_hold() -> None:
    user = UserId(a_decision().id)
    board = MemberBoard(needed=True)
    known = Members("1", (Member(user, MINE, "203.0.113.7", in_force=True),))
    store: Any = Told(StoreAway("x"), known, StoreAway("x"))  # of the store only this
    heard = list[bool]()
    poller = MemberPoller(
        store,
        board,
        FastMachine().time(),
        lambda _: heard.append(board.admits(user, MINE)),
    )
    admitted = []
    for _ in range(3):
        await poller.poll()
        admitted.append((board.admits(user, MINE), board.minds(user, MINE)))

    assert admitted == [(False, False), (True, True), (True, True)]
    assert heard == [False], "once, and before they hold"
    assert not board.admits(user, SPOUSES)


def test_an_ended_member_is_minded_and_not_admitted_and_elsewhere_everybody_is() -> None:
    user = UserId(a_decision().id)
    board, anybody = MemberBoard(needed=True), MemberBoard(needed=False)
    board.replace(Members("1", (Member(user, MINE, "203.0.113.7", in_force=False),)))

    assert (board.admits(user, MINE), board.minds(user, MINE)) == (False, True)
    assert (anybody.admits(user, SPOUSES), anybody.minds(user, SPOUSES)) == (True, True)
