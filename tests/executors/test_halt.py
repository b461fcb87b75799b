"""What halts everybody, as the account page is told it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, time
from unittest.mock import AsyncMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.clock import LiveClock, MonotonicClock, ReplayClock
from executors.halt import halted, kinds_of
from executors.halts import HaltBoard, HaltPoller
from executors.quotes import QuoteCache
from executors.risk.denial import Denial
from executors.risk.gate import FEED_DEAD_AFTER, judge
from executors.risk.situation import Quote
from executors.store import Halt, Halts, Store
from schemas.calendar import EVERY_DAY, Calendar, ClosingAuction, Coverage
from schemas.ids import InstrumentId, Segment, UserId
from schemas.instruments import Instruments
from schemas.market import Instrument
from schemas.units import UtcNs
from tests.executors.factories import (
    NEVER,
    RELIANCE,
    TEN_O_CLOCK,
    USER,
    an_intent,
    some_ticks,
    the_situation_for,
)
from tests.executors.harness import World

HALF_PAST_THREE = UtcNs(TEN_O_CLOCK + UtcNs.minutes(330))
LATE = UtcNs(TEN_O_CLOCK + UtcNs.minutes(305))  # 15:05
KNOWS_NOTHING = Calendar(coverage=())


def halt(
    now: UtcNs | None = TEN_O_CLOCK,
    *,
    everybody_halted: bool = False,
    calendar: Calendar = EVERY_DAY,
    feed_clock: UtcNs | None = TEN_O_CLOCK,
) -> Denial | None:
    return halted(
        now,
        everybody_halted=everybody_halted,
        calendar=calendar,
        kinds=[RELIANCE.id],
        feed_clock=feed_clock,
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (halt(), None),
        (halt(everybody_halted=True), Denial.KILL_SWITCH),
        (halt(None, feed_clock=None), Denial.FEED_DEAD),
        (halt(feed_clock=None), Denial.FEED_DEAD),
        (halt(feed_clock=UtcNs(TEN_O_CLOCK - FEED_DEAD_AFTER)), None),
        (halt(feed_clock=UtcNs(TEN_O_CLOCK - FEED_DEAD_AFTER - 1)), Denial.FEED_DEAD),
        (halt(HALF_PAST_THREE, feed_clock=HALF_PAST_THREE), Denial.OUTSIDE_SESSION),
        (halt(calendar=KNOWS_NOTHING), Denial.DAY_NOT_IN_CALENDAR),
        (halt(LATE, feed_clock=LATE), Denial.AFTER_LAST_ENTRY),
    ],
)
def test_a_halt_has_the_code_that_denies_every_order(
    found: Denial | None, expected: Denial | None
) -> None:
    assert found is expected


@given(
    now=st.sampled_from([TEN_O_CLOCK, HALF_PAST_THREE - 1, HALF_PAST_THREE])
    | st.integers(TEN_O_CLOCK - UtcNs.minutes(120), HALF_PAST_THREE + UtcNs.minutes(120)),
    behind=st.none() | st.sampled_from([0, FEED_DEAD_AFTER, FEED_DEAD_AFTER + 1]),
    calendar=st.sampled_from([EVERY_DAY, KNOWS_NOTHING]),
)
def test_it_says_what_the_gate_says_of_an_order_that_breaks_no_other_rule(
    now: int, behind: int | None, calendar: Calendar
) -> None:
    moment = UtcNs(now)
    feed_clock = None if behind is None else UtcNs(now - behind)
    intent = an_intent().model_copy(update={"valid_until": UtcNs(now + 1)})
    context = replace(
        the_situation_for(intent),
        now=moment,
        calendar=calendar,
        feed_clock=feed_clock,
        quote=Quote(intent.reference_price, moment),
    )

    found = halt(moment, calendar=calendar, feed_clock=feed_clock)

    assert found is judge(intent, context)


def a_halt_of(user: UserId | None) -> Halt:
    return Halt(user, flatten=False, broker_kill=False, since=datetime.now(UTC), reason="test")


def test_the_page_is_told_of_a_halt_of_everybody_and_not_of_one_users() -> None:
    board = HaltBoard()
    before = board.everybody
    board.replace(Halts("1", (a_halt_of(USER),)))
    one = board.everybody
    board.replace(Halts("2", (a_halt_of(USER), a_halt_of(None))))

    assert (before, one, board.everybody) == (False, False, True)


async def test_a_halt_is_known_within_a_second_although_nothing_tells_of_it() -> None:
    store, board, slept = AsyncMock(), HaltBoard(), list[float]()
    store.halts_in_force.return_value = Halts("1", ())

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        store.halts_in_force.return_value = Halts("2", (a_halt_of(None),))
        if board.everybody:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await HaltPoller(store, board, MonotonicClock(sleep=sleep)).run()

    assert board.halted(USER)
    assert slept[0] < 1.0


def test_the_market_is_open_while_any_kind_of_share_trades() -> None:
    auction = ClosingAuction(since=date(2026, 1, 1), close=time(15, 15))
    other = replace(RELIANCE, id=InstrumentId(Segment.NSE_EQ, 1))
    calendar = Calendar(
        coverage=(Coverage(first=date.min, last=date.max),),
        closing_auction=(auction,),
        auction_shares=Instruments([RELIANCE.id]),
    )
    now = UtcNs(HALF_PAST_THREE - UtcNs.minutes(5))

    def at(*shares: Instrument) -> Denial | None:
        kinds = kinds_of(shares, calendar)
        return halted(
            now,
            everybody_halted=False,
            calendar=calendar,
            kinds=kinds,
            feed_clock=now,
            square_off=NEVER,
        )

    assert at(RELIANCE, other) is None
    assert at(RELIANCE) is Denial.OUTSIDE_SESSION


def test_a_replay_tells_its_feeds_time_and_a_live_market_the_walls() -> None:
    book = QuoteCache(1)
    nothing_yet = ReplayClock().of_market(book.feed_clock)

    book.apply(0, some_ticks((RELIANCE, TEN_O_CLOCK, 150_000)))

    assert nothing_yet is None
    assert ReplayClock().of_market(book.feed_clock) == TEN_O_CLOCK
    assert LiveClock(wall=lambda: 7).of_market(book.feed_clock) == 7


async def test_a_halt_of_all_orders_stops_and_another_only_halts(scripted: World) -> None:
    stopped, halted = await scripted.user(), await scripted.user()
    impose = "select public.impose_halt($1, 'Asha', 'drill', $2)"
    await scripted.sql(impose, stopped, True)
    await scripted.sql(impose, halted, False)
    board, heard = HaltBoard(), list[tuple[set[UserId | None], bool]]()

    poller = HaltPoller(
        Store(scripted.client),
        board,
        MonotonicClock(),
        lambda halts: heard.append(({each.user for each in halts.in_force}, board.halted(stopped))),
    )
    await poller.poll()
    await poller.poll()

    (users, held_already), *again = heard
    assert users >= {stopped, halted}  # and those of other tests on this database
    assert (held_already, again) == (False, []), "once, and before they hold"
    assert (board.halted(stopped), board.stopped(stopped)) == (True, True)
    assert (board.halted(halted), board.stopped(halted)) == (True, False)
