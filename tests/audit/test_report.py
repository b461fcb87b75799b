"""The report of a day: its figures, its positions, and that one user's shows nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.amounts import clock
from audit.days import DayReader
from audit.replay.recorded import span_of
from audit.report.day import report_of
from audit.report.equity import drawdown
from audit.report.figures import figures_of
from audit.report.page import page
from audit.report.record import read_record
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Record, TopicPartition, message_output
from bus.stored import Since
from executors.charges.bill import Computed, Estimated
from executors.charges.book import billed, fills_of
from executors.charges.charges import charges, estimate
from executors.charges.day import DayTrades
from executors.charges.rates import Rates, shipped_rates
from executors.orders.round_trips import round_trips
from schemas.codec import encode
from schemas.ids import UserId
from schemas.market import Side
from schemas.messages import Candle, DeadLetter, Decision, Message, OrderIntent, Origin, Trade
from schemas.topics import BY_NAME, TRADES, PartitionPlan, Topic
from schemas.units import UtcNs
from tests.audit.conftest import anew
from tests.audit.report_day import ANN, BOB, TOPIC_OF, a_trade, at, held, recorded, the_day
from tests.audit.scorecard_days import MONDAY

RATES = shipped_rates()
WorkedOut = Callable[[DayTrades, Rates], Computed | Estimated]
SILENT = lambda *_: None  # noqa: E731


def test_the_figures_are_those_of_quantstats() -> None:
    """Golden: quantstats 0.0.86 of the same results (average_win and so on times a million)."""
    paise = [1250.5, -830.25, 0.0, 410.75, -220.0, -95.5, -1310.0, 2750.25, 15.0, -640.75]

    found = figures_of(paise)

    assert found.win_rate == pytest.approx(0.4444444444444444)
    assert found.profit_factor == pytest.approx(1.4295171968351366)
    assert found.payoff == pytest.approx(1.7868964960439206)
    assert found.average_win == pytest.approx(1106.625)
    assert found.average_loss == pytest.approx(-619.3)
    assert (found.best, found.worst, found.longest_losing) == (2750.25, -1310.0, 3)


def test_a_day_without_a_loss_has_no_profit_factor_and_one_without_a_trade_no_figure() -> None:
    won, nothing = figures_of([5.0, 1.0]), figures_of([])

    assert (won.profit_factor, won.payoff, won.win_rate) == (None, None, 1.0)
    assert (nothing.win_rate, nothing.best, nothing.number) == (None, None, 0)


def test_the_course_marks_what_is_held_at_each_minute_and_falls_from_its_highest_value() -> None:
    report = report_of(recorded(the_day()), RATES)

    assert [each.value for each in report.course] == [0, 800, 300, 1_800, 2_000, 2_000]
    assert [each.exposure for each in report.course] == [0, 101_000, 100_500, 102_000, 0, 0]
    assert (report.drawdown, drawdown(())) == (500, 0)
    assert report.most_exposed == 102_000


def test_a_position_says_why_it_was_entered_what_ended_it_and_what_its_entry_lost() -> None:
    (position,) = report_of(recorded(the_day()), RATES).positions

    assert (position.symbol, position.side, position.quantity) == ("TCS", Side.BUY, 10)
    assert (position.entry, position.exit, position.gross) == (10_020, 10_220, 2_000)
    assert (position.rule, position.because) == ("ema_cross", "The trend <is> up.")
    assert position.left_because == "square off"
    assert position.slippage == pytest.approx(20.0)


def test_charges_of_positions_come_to_the_bill_of_the_day() -> None:
    more = [a_trade(8, Side.SELL, 7, 10_200, 2), a_trade(9, Side.BUY, 7, 10_100, 3)]
    day = [*the_day(), *more]
    fills = [each.fill for each in day if isinstance(each, Trade)]

    report = report_of(recorded(day), RATES)

    assert report.charges == pytest.approx(billed(fills, MONDAY, RATES))
    assert report.charges is not None
    assert report.net == pytest.approx(report.gross - report.charges - 50.5)


@pytest.mark.parametrize(
    ("left", "by", "other"),
    [(7, charges, estimate), (6, estimate, charges)],
    ids=["closed", "still held"],
)
def test_a_closed_day_has_the_bill_of_the_contract_note_and_an_open_one_an_estimate(
    left: int, by: WorkedOut, other: WorkedOut
) -> None:
    fills = [
        a_trade(1, Side.BUY, 7, 10_013, 1).fill,
        a_trade(2, Side.SELL, left, 10_027, 2).fill,
    ]
    day = DayTrades(MONDAY, fills_of(fills))

    assert by(day, RATES).total != other(day, RATES).total
    assert billed(fills, MONDAY, RATES) == by(day, RATES).total


def test_what_is_sold_short_stands_in_the_market_too() -> None:
    short = [a_trade(1, Side.SELL, 10, 10_020, 1), a_trade(2, Side.BUY, 10, 10_000, 4.5)]
    bars = [each for each in the_day() if isinstance(each, Candle)]

    report = report_of(recorded([*bars, *short]), RATES)

    assert report.most_exposed == 102_000
    assert [each.value for each in report.course[1:4]] == [-800, -300, -1_800]


def test_one_user_long_and_another_short_stand_in_the_market_both_and_earn_nothing() -> None:
    both = [a_trade(1, Side.BUY, 10, 10_000, 1), a_trade(1, Side.SELL, 10, 10_000, 1, user=BOB)]
    bars = [each for each in the_day() if isinstance(each, Candle)]

    report = report_of(recorded([*bars, *both], None), RATES)

    assert report.most_exposed == 2 * 102_200
    assert {each.value for each in report.course} == {0}


def test_what_a_leg_opened_beyond_its_entry_is_no_order_of_ours() -> None:
    name = next(each for each in the_day() if isinstance(each, OrderIntent)).dhan_correlation_id
    day = [*the_day(), a_trade(7, Side.SELL, 3, 10_220, 5, name=name)]

    opened = report_of(recorded(day), RATES).positions

    assert [(each.side, each.order is None) for each in opened] == [
        (Side.BUY, False),
        (Side.SELL, True),
    ]


def test_a_short_position_without_a_stop_counts_too() -> None:
    day = [*the_day(), held(1.5, -10, 0), held(1.6, -10, 10)]

    assert report_of(recorded(day), RATES).unprotected == pytest.approx((6.0, 6.0))


def test_a_user_bears_a_share_of_the_thinking_and_everybody_all_of_it() -> None:
    of_ann, of_all = (report_of(recorded(the_day(who), who), RATES) for who in (ANN, None))

    assert (of_ann.thinking, of_all.thinking) == (50.5, 101.0)


def test_what_is_still_held_counts_in_no_figure_and_is_named() -> None:
    day = [*the_day(), a_trade(5, Side.BUY, 3, 10_100, 5)]

    report = report_of(recorded(day), RATES)

    assert report.figures.number == 1
    assert [each.held for each in report.positions] == [0, 3]
    assert "3 still held" in page(report)


def test_seconds_without_a_stop_are_counted_between_records_of_a_position() -> None:
    day = [*the_day(), held(1.5, 10, 0), held(1.6, 10, 10), held(4.5, 0, 0)]

    report = report_of(recorded(day), RATES)

    assert report.unprotected == pytest.approx((6.0, 6.0))
    assert [each.kind for each in report.incidents] == ["unprotected"]


def test_a_position_whose_fills_come_to_something_else_is_an_incident() -> None:
    wrong = held(4.5, 0, 0).model_copy(update={"realised": 1_999})

    (incident,) = report_of(recorded([*the_day(), wrong]), RATES).incidents

    assert incident.kind == "books"
    assert "₹20.00, the position to ₹19.99" in incident.what


def test_failures_and_dead_letters_are_incidents_by_how_often_they_came() -> None:
    day = the_day()
    decision = next(each for each in day if isinstance(each, Decision))
    lost = decision.model_copy(update={"origin": Origin.FAILSAFE, "reason_code": "timeout"})
    letter = DeadLetter(
        id=decision.id, event_time=at(1), topic="ats.ticks", partition=0, offset=1,
        reason="no ticks", field="magic", key=None, value=None,
    )  # fmt: skip

    found = report_of(recorded([lost, *day, letter], None), RATES).incidents

    assert [(each.kind, each.what) for each in found] == [
        ("no decision", "HOLD by the safety net: timeout"),
        ("dead letter", "ats.ticks: no ticks"),
    ]


def test_the_page_says_from_when_to_when_prices_are_recorded_as_half_a_day_looks_whole() -> None:
    day = the_day()
    last = max(each.event_time for each in day if isinstance(each, Candle))
    half = [each for each in day if not (isinstance(each, Candle) and each.event_time == last)]

    until = {clock(last), clock(UtcNs(last - UtcNs.minutes(1)))}
    said = [
        page(report_of(recorded(those), RATES)).partition("recorded from ")[2][:20]
        for those in (day, half)
    ]

    assert {each.split(" to ")[1] for each in said} == until
    bare = [each for each in day if not isinstance(each, Candle)]
    assert "No prices of what was traded" in page(report_of(recorded(bare), RATES))


def test_what_came_from_outside_is_escaped() -> None:
    written = page(report_of(recorded(the_day()), RATES))

    assert "The trend &lt;is&gt; up." in written
    assert "<is>" not in written


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 9), st.integers(1, 999))))
def test_round_trips_earn_what_the_broker_counts_once_all_is_closed(
    orders: Sequence[tuple[Side, int, int]],
) -> None:
    fills = [a_trade(nth, *order, nth) for nth, order in enumerate(orders)]
    net = sum(each.fill.quantity * (1 if each.fill.side is Side.BUY else -1) for each in fills)
    if net:
        closing = Side.SELL if net > 0 else Side.BUY
        fills.append(a_trade(len(fills), closing, abs(net), 500, len(fills)))

    trips = round_trips(fills)

    value = dict.fromkeys(Side, 0)
    for each in fills:
        value[each.fill.side] += each.fill.quantity * each.fill.price
    assert sum(trip.gross for trip in trips) == value[Side.SELL] - value[Side.BUY]
    assert all(trip.exit for trip in trips)


class Copy:
    """A copy of topics, each of one partition."""

    def __init__(self, *records: Record) -> None:
        self._records = records

    async def read(self, topics: Sequence[Topic], since: Since) -> AsyncGenerator[Record, None]:
        assert since == "start"
        for each in self._records:
            if each.topic in {topic.name for topic in topics}:
                yield each

    def read_in_order(self, topics: Sequence[Topic]) -> AsyncGenerator[Record, None]:
        raise NotImplementedError

    def extents(self, topics: Sequence[Topic]) -> dict[TopicPartition, tuple[int, int]]:
        return {TopicPartition(topic.name, 0): (0, len(self._records)) for topic in topics}


async def test_what_of_the_day_cannot_be_read_is_named_by_its_place_and_of_other_days_not() -> None:
    trade = next(each for each in the_day() if isinstance(each, Trade))
    half = encode(trade).replace(b'"fill":', b'"filled":')
    today, later = UtcNs(at(1)), UtcNs(at(1) + UtcNs.minutes(24 * 60))
    copy = Copy(
        Record(TRADES.name, 0, 0, b"key", encode(trade), today),
        Record(TRADES.name, 0, 1, b"key", half, today),
        Record(TRADES.name, 0, 2, b"key", None, today),
        Record(TRADES.name, 0, 3, b"key", b"no message", later),
    )

    async def left_out(user: UserId | None) -> list[str]:
        days = DayReader(copy, span_of(MONDAY, MONDAY), SILENT)
        record = await read_record(days, MONDAY, user)
        found = report_of(record, RATES).incidents
        return [each.what.split(": ")[0] for each in found if each.kind == "left out"]

    assert await left_out(None) == [
        "ats.trades-0@1 cannot be read",
        "ats.trades-0@2 cannot be read",
    ]
    assert await left_out(ANN) == []


async def test_the_page_of_one_user_holds_no_byte_of_another(broker: KafkaConnection) -> None:
    await anew(broker, PartitionPlan(1, 1))
    both = [*the_day(None), held(2, 10, 0, user=BOB)]
    async with Publisher(broker) as publisher:
        for each in both:
            topic = BY_NAME[TOPIC_OF[type(each)]]
            await publisher.send_and_wait(message_output(topic, each, "key", 0))

    days = DayReader(broker, span_of(MONDAY, MONDAY), SILENT)
    record = await read_record(days, MONDAY, ANN)
    written = page(report_of(record, RATES))

    of_bob, of_ann = (
        _names(each for each in both if getattr(each, "user_id", None) == user)
        for user in (BOB, ANN)
    )
    shown = written + repr(record)
    assert len(of_bob - of_ann) > 5
    assert [each for each in of_bob - of_ann if each in shown] == []
    assert str(ANN) in written


def _names(messages: Iterable[Message]) -> set[str]:
    """Ids, and names at the broker."""
    found = set[str]()
    for each in messages:
        found |= {str(value) for key, value in each if key.endswith("id") and value}
        if isinstance(each, Trade):
            found |= {each.fill.dhan_order_id, each.dhan_correlation_id} - {""}
    return found
