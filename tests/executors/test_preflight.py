"""A preflight is red for each single wrong thing; then nothing is entered, and exits leave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ats.commands.preflight import newest, verdict_lines
from audit.rejudge import rejudge
from bus.database import StoreAway
from bus.records import Output, Record
from executors.addresses import Addresses
from executors.clock import MonotonicClock
from executors.funds import AGAIN_AFTER, HOLDS_FOR, FundsBoard
from executors.orders.worker import OrderWorker, WorkerDeps
from executors.preflights import (
    GREEN_AGAIN,
    RED_AGAIN,
    BooksRead,
    PreflightBoard,
    PreflightDeps,
    PreflightStore,
    PreflightSweep,
    preflight,
)
from executors.reasons import for_operator, for_user
from executors.risk.gate import FEED_DEAD_AFTER
from executors.risk.preflight import CHECKS, Red, judge_preflight
from executors.risk.situation import Funds
from executors.sessions import ACTIVE, UserState
from executors.store import KeyRow
from schemas.calendar import EVERY_DAY, Calendar
from schemas.codec import decode, encode
from schemas.ids import UserId, derive
from schemas.market import trading_day
from schemas.messages import BookRead, ObservedBy, OrderEvent, Outcome, Preflight, PreflightFacts
from schemas.messages import Position as PositionMessage
from schemas.units import NS_PER_SECOND, Paise, Quantity, UtcNs
from tests.dhan.broker import ScriptedDhan, hang_up, json_answer
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, a_decision, an_intent
from tests.executors.harness import run
from tests.executors.test_family import MINE, Family, an_exit, family, family_stack, shown

__all__ = ["family", "family_stack"]  # fixtures

NOW = UtcNs(TEN_O_CLOCK)
DAY = trading_day(NOW)
TOMORROW = datetime.fromtimestamp(NOW / NS_PER_SECOND, tz=UTC) + timedelta(hours=20)
EXIT = {"pnlExitStatus": "ACTIVE", "profit": "100000000.00", "loss": "5000.00"}
USER = UserId(derive("user", "of the preflight"))


def a_book_read(user: UserId, day: date = DAY, *, whole: bool = True) -> OrderEvent:
    return OrderEvent(
        id=derive("book_read", user, day.isoformat(), whole),
        event_time=NOW,
        user_id=user,
        observed_by=ObservedBy.ORDER_BOOK,
        trading_date=day,
        book=BookRead(whole=whole, orders=0, trades=0, positions=()),
    )


def a_position(user: UserId, *, agrees: bool | None) -> PositionMessage:
    return PositionMessage(
        id=derive("position", user, str(agrees)),
        event_time=NOW,
        user_id=user,
        trading_date=DAY,
        instrument=RELIANCE.id,
        bought=Quantity(10),
        bought_value=Paise(1_500_000),
        sold=Quantity(0),
        sold_value=Paise(0),
        net=10,
        realised=Paise(0),
        resting_stop=Quantity(10),
        by_trades=True,
        agrees=agrees,
    )


@dataclass
class Morning:
    """A member on a morning on which all is well, until a test changes something."""

    family: Family
    dhan: ScriptedDhan
    user: UserId
    expiry: datetime = TOMORROW
    instruments_of: date = DAY
    calendar: Calendar = EVERY_DAY
    feed_clock: UtcNs | None = NOW
    books: BooksRead = field(default_factory=BooksRead)
    board: PreflightBoard = field(default_factory=lambda: PreflightBoard(required=True))
    told: list[Preflight] = field(default_factory=list)
    away: int = 0  # calls that the database does not answer
    sweep: PreflightSweep | None = None
    funds: FundsBoard = field(init=False)

    def __post_init__(self) -> None:
        machine = self.family.machine
        self.funds = FundsBoard(lambda: machine.now, required=True)

    async def publish(self, output: Output) -> None:
        self.told.append(decode(Preflight, output.value))

    async def record(self, message: Preflight) -> None:
        self.away -= 1
        if self.away >= 0:
            raise StoreAway("x")
        await PreflightStore(self.family.world.client).record(message)

    async def kept(self) -> list[tuple[bool, list[str]]]:
        """What the user reads."""
        rows = await self.family.world.sql(
            "select green, reds from preflights where user_id = $1", self.user
        )
        return [(row["green"], row["reds"]) for row in rows]

    def worker(self) -> WorkerDeps:
        deps = self.family.deps(self.user, preflight=self.board.red)
        pre_trade = replace(
            deps.pre_trade,
            funds=self.funds.of,
            entering=self.funds.sent,
        )
        deps = replace(deps, pre_trade=pre_trade)
        state = UserState(ACTIVE, MINE, self.expiry)
        deps.pre_trade.active.replace({self.user: state}, deps.machine.monotonic())
        return deps

    async def look(self, deps: WorkerDeps) -> None:
        rules, machine = self.family.rules(), self.family.machine.time()
        addresses = deps.pre_trade.addresses
        assert isinstance(addresses, Addresses)
        self.sweep = self.sweep or PreflightSweep(
            PreflightDeps(
                store=deps.store,
                http=self.family.http,
                rules=rules,
                addresses=addresses,
                active=deps.pre_trade.active,
                books=self.books,
                calendar=self.calendar,
                kinds=(RELIANCE.id,),
                instruments_of=self.instruments_of,
                pnl_exit_wanted=lambda _: True,
                market=lambda: NOW,
                feed_clock=lambda: self.feed_clock,
                publish=self.publish,
                record=self.record,
                funds=self.funds,
                machine=machine,
            ),
            self.board,
        )
        await self.sweep.round()


async def a_morning(family: Family, dhan: ScriptedDhan) -> Morning:
    dhan.on("GET", "/v2/fundlimit", json_answer({"availabelBalance": 98440.0}))
    dhan.on("GET", "/v2/pnlExit", json_answer(EXIT))
    morning = Morning(family, dhan, await family.member(MINE))
    morning.books.observe(a_book_read(morning.user))
    return morning


Wrong = Callable[[Morning], Any]


def asked(path: str, answer: Any) -> Wrong:
    return lambda morning: morning.dhan.on("GET", path, answer)


def is_set(name: str, value: Any) -> Wrong:
    return lambda morning: setattr(morning, name, value)


WRONG: dict[str, tuple[Wrong, Red]] = {
    "the token ends at noon": (
        is_set("expiry", TOMORROW - timedelta(hours=18)),
        Red.TOKEN_ENDS_IN_SESSION,
    ),
    "another address": (asked("/v2/ip/getIP", shown("203.0.113.8")), Red.ADDRESS_MISMATCH),
    "no address told": (asked("/v2/ip/getIP", hang_up), Red.ADDRESS_UNVERIFIED),
    "funds not told": (asked("/v2/fundlimit", hang_up), Red.FUNDS_UNREADABLE),
    "no funds": (asked("/v2/fundlimit", json_answer({"availabelBalance": 0.0})), Red.NO_FUNDS),
    "yesterday's instruments": (
        is_set("instruments_of", DAY - timedelta(days=1)),
        Red.INSTRUMENTS_OLD,
    ),
    "an unknown day": (is_set("calendar", Calendar(coverage=())), Red.DAY_NOT_IN_CALENDAR),
    "no feed": (is_set("feed_clock", None), Red.FEED_COLD),
    "a dead feed": (is_set("feed_clock", UtcNs(NOW - FEED_DEAD_AFTER - 1)), Red.FEED_COLD),
    "a book never read": (is_set("books", BooksRead()), Red.BOOK_UNREAD),
    "positions that differ": (
        lambda morning: morning.books.observe(a_position(morning.user, agrees=False)),
        Red.BOOK_DISAGREES,
    ),
    "no exit at a loss": (
        asked("/v2/pnlExit", json_answer(EXIT | {"pnlExitStatus": "INACTIVE"})),
        Red.PNL_EXIT_UNARMED,
    ),
}


async def test_on_a_good_morning_it_is_green_and_entries_leave(
    family: Family, dhan: ScriptedDhan
) -> None:
    morning = await a_morning(family, dhan)
    deps = morning.worker()
    await morning.look(deps)

    told = await run(OrderWorker(deps), await family.world.intent(morning.user))

    assert (told.outcome, told.reason_code) == (Outcome.ACCEPTED, "accepted")
    assert [(each.green, each.reds) for each in morning.told] == [(True, ())]
    assert morning.told[0].facts.funds == Paise(9_844_000)


@pytest.mark.parametrize(("wrong", "red"), WRONG.values(), ids=WRONG)
async def test_for_each_single_wrong_thing_it_is_red_nothing_is_entered_and_exits_leave(
    family: Family, dhan: ScriptedDhan, wrong: Wrong, red: Red
) -> None:
    morning = await a_morning(family, dhan)
    wrong(morning)
    deps = morning.worker()
    await morning.look(deps)

    told = await run(OrderWorker(deps), await family.world.intent(morning.user))

    assert [(each.green, each.reds) for each in morning.told] == [(False, (red.value,))]
    assert await morning.kept() == [(False, [red.value])]
    assert (told.outcome, told.reason_code) == (Outcome.DENIED, "preflight_red")
    assert for_user(red) in told.reason
    assert await an_exit(family, deps, morning.user) == (Outcome.ACCEPTED, "accepted")


async def test_before_the_first_look_of_the_day_nothing_is_entered_and_exits_leave(
    family: Family, dhan: ScriptedDhan
) -> None:
    morning = await a_morning(family, dhan)
    deps = morning.worker()
    morning.board.note(morning.user, DAY - timedelta(days=1), (), 0.0)

    told = await run(OrderWorker(deps), await family.world.intent(morning.user))

    assert (told.outcome, told.reason_code) == (Outcome.DENIED, "preflight_red")
    assert for_user(Red.PREFLIGHT_MISSING) in told.reason
    assert await an_exit(family, deps, morning.user) == (Outcome.ACCEPTED, "accepted")


async def test_what_was_red_is_looked_at_again_after_a_minute_and_told_when_it_healed(
    family: Family, dhan: ScriptedDhan
) -> None:
    morning = await a_morning(family, dhan)
    asked("/v2/fundlimit", hang_up)(morning)
    deps = morning.worker()
    await morning.look(deps)
    asked("/v2/fundlimit", json_answer({"availabelBalance": 1.0}))(morning)
    family.machine.now += RED_AGAIN - 1
    await morning.look(deps)
    soon = morning.board.red(morning.user, DAY)
    family.machine.now += 1
    await morning.look(deps)
    healed = morning.board.red(morning.user, DAY)
    calls = len(dhan.seen)
    family.machine.now += GREEN_AGAIN - 1
    await morning.look(deps)

    assert (soon, healed) == (Red.FUNDS_UNREADABLE.value, "")
    assert [each.green for each in morning.told] == [False, True]
    assert len(dhan.seen) == calls  # a green one is left in peace


async def test_what_the_database_did_not_take_is_written_when_it_is_back(
    family: Family, dhan: ScriptedDhan
) -> None:
    morning = await a_morning(family, dhan)
    morning.away = 1
    deps = morning.worker()
    await morning.look(deps)
    before = await morning.kept()
    await morning.look(deps)

    assert (before, await morning.kept()) == ([], [(True, [])])
    assert len(morning.told) == 1


# Funds


async def test_an_order_is_cut_to_what_the_account_pays_for_and_the_next_to_what_is_left(
    family: Family, dhan: ScriptedDhan
) -> None:
    morning = await a_morning(family, dhan)
    asked("/v2/fundlimit", json_answer({"availabelBalance": 45_000.0}))(morning)
    deps = morning.worker()
    await morning.look(deps)
    calls = len(dhan.seen)
    first = await run(OrderWorker(deps), await family.world.intent(morning.user))
    second = await run(OrderWorker(deps), await family.world.intent(morning.user))
    third = await run(OrderWorker(deps), await family.world.intent(morning.user))

    assert first.evidence
    assert second.evidence
    assert (first.outcome, first.quantity, first.evidence.cut_by) == (Outcome.ACCEPTED, 10, ())
    assert (second.quantity, second.evidence.cut_by) == (10, ())
    assert (third.outcome, third.quantity) == (Outcome.ACCEPTED, 9)
    assert third.evidence
    assert third.evidence.cut_by == ("funds_too_small",)
    assert rejudge(third)
    assert [each.path for each in dhan.seen[calls:]].count("/v2/fundlimit") == 0  # nobody waits


async def test_after_an_order_the_funds_alone_are_asked_again_and_not_at_once(
    family: Family, dhan: ScriptedDhan
) -> None:
    morning = await a_morning(family, dhan)
    deps = morning.worker()
    await morning.look(deps)
    await run(OrderWorker(deps), await family.world.intent(morning.user))
    dhan.seen.clear()
    await morning.look(deps)
    soon = len(dhan.seen)
    family.machine.now += AGAIN_AFTER
    await morning.look(deps)
    await morning.look(deps)

    assert soon == 0
    assert [each.path for each in dhan.seen] == ["/v2/fundlimit"]


def a_funds_board(machine: Any) -> FundsBoard:
    board = FundsBoard(lambda: machine.now, required=True)
    board.note(USER, DAY, Paise(2_000_000), machine.now)
    return board


def test_funds_of_another_day_or_too_long_ago_are_unknown() -> None:
    machine = SimpleNamespace(now=0.0)
    board, order = a_funds_board(machine), an_intent().id

    assert board.of(USER, DAY, order) == Funds(free=Paise(2_000_000))
    assert board.of(USER, DAY + timedelta(days=1), order) == Funds(known=False)
    machine.now = HOLDS_FOR
    board.note(USER, DAY, None, machine.now)  # asked in vain
    assert board.of(USER, DAY, order).known
    machine.now += 1
    assert board.of(USER, DAY, order) == Funds(known=False)


def test_what_left_just_before_a_look_is_still_counted_and_only_once() -> None:
    machine, intent = SimpleNamespace(now=0.0), an_intent(USER)
    board, other = a_funds_board(machine), an_intent().id
    free = 2_000_000 - intent.quantity * intent.price

    board.sent(intent)
    board.sent(intent)  # another try
    left = [board.of(USER, DAY, each).free for each in (other, intent.id)]
    machine.now = 0.5
    board.note(USER, DAY, Paise(2_000_000), machine.now)
    early = board.of(USER, DAY, other).free
    machine.now = 10.0
    due = board.is_due(USER)
    board.note(USER, DAY, Paise(free), machine.now)

    assert left == [free, 2_000_000]
    assert (early, due) == (free, True)
    assert (board.of(USER, DAY, other).free, board.is_due(USER)) == (free, False)


def test_a_fill_asks_for_another_look_and_paper_money_for_none() -> None:
    machine = SimpleNamespace(now=0.0)
    board, paper = a_funds_board(machine), FundsBoard(lambda: machine.now, required=False)
    machine.now = AGAIN_AFTER

    before = board.is_due(USER)
    board.observe(a_position(USER, agrees=True))

    assert (before, board.is_due(USER)) == (False, True)
    assert paper.of(USER, DAY, an_intent().id) == Funds()


# Accounts beside each other


async def test_who_is_not_answered_keeps_nobody_else_waiting() -> None:
    slow, quick = sorted(UserId(derive("user", "beside", nth)) for nth in range(2))
    quick_was_seen, told = asyncio.Event(), list[Preflight]()

    class Sweep(PreflightSweep):
        async def facts(self, user: UserId, *_: object) -> PreflightFacts:
            if user == slow:
                await quick_was_seen.wait()
            else:
                quick_was_seen.set()
            return GOOD

    async def publish(output: Output) -> None:
        told.append(decode(Preflight, output.value))

    async def found(_: object) -> bool:
        return True

    async def recorded(_: object) -> None:
        pass

    states = {user: UserState(ACTIVE, MINE, TOMORROW) for user in (slow, quick)}
    deps: Any = SimpleNamespace(
        store=SimpleNamespace(account_credentials=found),
        rules=SimpleNamespace(allows=lambda _: True),
        active=SimpleNamespace(states=states),
        market=lambda: NOW,
        machine=MonotonicClock(),
        publish=publish,
        record=recorded,
        funds=FundsBoard(MonotonicClock().monotonic, required=True),
    )

    await asyncio.wait_for(Sweep(deps, PreflightBoard(required=True)).round(), 5)

    assert [each.user_id for each in told] == [quick, slow]


# The judgement

GOOD = PreflightFacts(
    now=NOW,
    trading_date=DAY,
    token_expiry=UtcNs.from_datetime(TOMORROW),
    session_close=UtcNs(NOW + UtcNs.minutes(300)),
    address="as_registered",
    funds=Paise(1),
    instruments_of=DAY,
    day_known=True,
    feed_clock=NOW,
    book_read=True,
    book_agrees=True,
    pnl_exit="armed",
)


def test_all_wrong_things_are_named_and_a_record_is_judged_as_it_was() -> None:
    facts = GOOD.model_copy(update={"funds": Paise(0), "feed_clock": None, "pnl_exit": "unknown"})
    message = preflight(USER, facts, judge_preflight(facts))

    again = decode(Preflight, encode(message))

    assert judge_preflight(GOOD) == ()
    assert again.reds == ("no_funds", "feed_cold", "pnl_exit_unarmed")
    assert tuple(red.value for red in judge_preflight(again.facts)) == again.reds


def test_on_a_day_without_a_session_no_token_ends_in_one() -> None:
    closed = GOOD.model_copy(update={"session_close": None, "token_expiry": None})

    assert judge_preflight(closed) == ()


def test_every_reason_has_a_check_and_a_wrong_morning() -> None:
    checked = {red for red, _ in CHECKS}

    assert checked == set(Red) - {Red.PREFLIGHT_MISSING} == {red for _, red in WRONG.values()}


def test_paper_money_asks_for_no_preflight() -> None:
    assert PreflightBoard(required=False).red(USER, DAY) == ""


def test_a_book_counts_for_its_day_and_when_it_was_read_whole() -> None:
    books = BooksRead()
    books.observe(a_book_read(USER, whole=False))
    partial = books.read(USER, DAY)
    books.observe(a_book_read(USER))
    books.observe(a_position(USER, agrees=False))
    differs = books.agrees(USER, DAY)
    books.observe(a_position(USER, agrees=True))

    assert (partial, books.read(USER, DAY), books.read(USER, DAY + timedelta(days=1))) == (
        *(False, True, False),
    )
    assert (differs, books.agrees(USER, DAY)) == (False, True)


# `ats preflight`


def test_the_newest_verdict_of_today_counts_and_who_has_none_is_red() -> None:
    red = GOOD.model_copy(update={"funds": None})
    later = GOOD.model_copy(update={"now": UtcNs(NOW + 1)})
    told = [preflight(USER, each, judge_preflight(each)) for each in (later, red)]
    records = [
        Record("ats.preflights", 0, n, b"", encode(each), NOW) for n, each in enumerate(told)
    ]
    rows = [
        KeyRow(user, MINE, True, TOMORROW, False, TOMORROW)
        for user in (USER, UserId(a_decision().id))
    ]

    verdicts = newest(records)
    today, tomorrow = (verdict_lines(rows, verdicts, day) for day in (DAY, DAY + timedelta(days=1)))

    assert [reds for _, _, reds in today] == [(), ("preflight_missing",)]
    assert [reds for _, _, reds in tomorrow] == [("preflight_missing",)] * 2
    assert "ats executors" in for_operator("preflight_missing")
    assert for_operator("of a later version") == ""
