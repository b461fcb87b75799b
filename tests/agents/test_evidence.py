"""What the analysts are told, worked out by hand."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.candles import NIFTY, CandleStore
from agents.entries import Circumstances
from agents.evidence import MOST_BYTES, MOST_DECISIONS, PLAIN_VERSION, evidence_of
from agents.levels import LEVELS
from agents.market_evidence import sector_so_far
from agents.model import Model
from schemas.codec import encode
from schemas.depth import Book, BookFault
from schemas.market import Action, Session, Timeframe
from schemas.market_context import DaySoFar, MarketContext
from schemas.messages import Signal
from schemas.units import Price, Quantity, UtcNs
from simulator.market.session import market_session
from tests.agents.bars import a_bar, daily_bars, values_of
from tests.agents.factories import AS_OF, DAY, Topic, a_journal, a_signal
from tests.agents.provider import Provider
from tests.agents.test_candles import a_store
from tests.agents.test_committee import decide
from tests.agents.test_entries import a_decision

SESSION = Session(DAY, market_session(DAY).open, market_session(DAY).close)
ALONE = Circumstances()


def with_features(**features: float) -> Signal:
    return a_signal().model_copy(update={"features": features})


def test_distances_are_in_average_true_ranges_and_positive_above_a_level() -> None:
    signal = with_features(atr_14=1_000, vwap=284_000, ema_50=287_500, macd_histogram=-30)

    assert evidence_of(signal, ALONE)["distances"] == {
        "one_atr_percent": 0.351,
        "above_vwap_atr": 1.0,
        "above_ema_50_atr": -2.5,
        "macd_histogram_atr": -0.03,
    }


@pytest.mark.parametrize("features", [{"vwap": 284_000}, {"vwap": 284_000, "atr_14": 1e-300}])
def test_without_a_range_there_are_no_distances(features: dict[str, float]) -> None:
    assert evidence_of(with_features(**features), ALONE)["distances"] == {}


@pytest.mark.parametrize(
    ("features", "trend"),
    [
        ({"ema_21": 3, "ema_50": 2, "ema_200": 1, "adx_14": 25}, ("rising", "trend")),
        ({"ema_21": 1, "ema_50": 2, "ema_200": 3, "adx_14": 24.9}, ("falling", "range")),
        ({"ema_21": 2, "ema_50": 3, "ema_200": 1}, ("mixed", None)),
        ({"ema_21": 2, "ema_50": 3}, (None, None)),
    ],
)
def test_the_trend_is_told_by_averages_in_order_and_by_the_adx(
    features: dict[str, float], trend: tuple[str | None, str | None]
) -> None:
    told = evidence_of(with_features(**features), ALONE)["trend"]

    assert isinstance(told, dict)
    assert (told.get("averages"), told.get("regime")) == trend


def test_minutes_to_the_close_are_of_the_day_s_own_session() -> None:
    told = evidence_of(a_signal(), Circumstances(SESSION))

    assert told["hours"] == {"since_open_minutes": 30, "to_close_minutes": 345}
    assert evidence_of(a_signal(), ALONE)["hours"] == {}


def test_our_own_decisions_are_told_with_what_they_gained_since_newest_first() -> None:
    sold = a_decision(Action.SELL, UtcNs.minutes(20)).model_copy(
        update={"reference_price": Price(290_000)}
    )
    bought = a_decision(ago=UtcNs.minutes(6)).model_copy(update={"reference_price": Price(286_000)})
    held, later = a_decision(Action.HOLD), a_decision(ago=UtcNs(-UtcNs.minutes(1)))
    around = Circumstances(None, (sold, bought, held, later))

    told = evidence_of(with_features(atr_14=500), around)["own_decisions"]

    assert told == [
        {
            "action": "BUY",
            "confidence": 70,
            "ago_minutes": 6,
            "gained_since_percent": -0.35,
            "gained_since_atr": -2.0,
        },
        {
            "action": "SELL",
            "confidence": 70,
            "ago_minutes": 20,
            "gained_since_percent": 1.72,
            "gained_since_atr": 10.0,
        },
    ]


def test_no_more_decisions_are_told_than_a_prompt_should_pay_for() -> None:
    many = tuple(a_decision(ago=UtcNs.minutes(n), rule=f"r{n}") for n in range(9))

    told = evidence_of(a_signal(), Circumstances(None, many))["own_decisions"]

    assert isinstance(told, list)
    assert len(told) == MOST_DECISIONS


@given(
    st.dictionaries(
        st.sampled_from([*LEVELS, "atr_14", "adx_14", "macd_histogram", "supertrend_direction"]),
        st.floats(-1e12, 1e12),
    )
)
def test_whatever_the_features_are_the_evidence_is_json_and_says_the_same_again(
    features: dict[str, float],
) -> None:
    signal = with_features(**features)

    told = evidence_of(signal, Circumstances(SESSION))

    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert evidence_of(signal, Circumstances(SESSION)) == told


def a_day(open_: int, close: int) -> DaySoFar:
    prices = {"open": open_, "high": close, "low": open_, "close": close}
    return DaySoFar(end=AS_OF, whole=True, **{name: Price(each) for name, each in prices.items()})


def the_market(*since: UtcNs) -> MarketContext:
    """A symbol that rose from 284,960 by ten paise a minute; NIFTY fell a percent meanwhile."""
    store = a_store()
    five = a_bar(30, 285_400, Timeframe.M5)
    store.note_candle(five)
    store.note_indicators(
        values_of(
            five, rsi_14=66.66, ema_9=3.0, ema_21=2.0, ema_50=1.0, adx_14=31.0, macd_histogram=25.0
        )
    )
    for minute, close in ((1, 2_500_050), (15, 2_490_000), (30, 2_475_000)):
        store.note_candle(a_bar(minute, close, instrument=NIFTY))
    for days_ago, volume in ((1, 400), (0, 1_000)):
        quarter = a_bar(15, timeframe=Timeframe.M15, volume=volume, days_ago=days_ago)
        store.note_volume(quarter)
    store.note_daily(daily_bars(100))
    return store.context(a_signal(), SESSION, since)


def test_recent_bars_are_columns_in_average_true_ranges_oldest_first() -> None:
    told = evidence_of(with_features(), ALONE, the_market())

    assert told["bars"] == {
        "change_atr": [0.1] * 6,
        "range_atr": [0.4] * 6,
        "close_in_range_percent": [50] * 6,
        "volume_ratio": [1.0] * 6,
    }


def test_a_higher_timeframe_is_summed_up_in_the_signal_s_own_measure() -> None:
    told = evidence_of(with_features(), ALONE, the_market())

    assert told["frames"] == {
        "5m": {
            "ended_minutes": 0,
            "averages": "rising",
            "regime": "trend",
            "rsi_14": 66.7,
            "adx_14": 31.0,
            "change_atr": 0.1,
            "above_ema_21_atr": 570.0,
            "macd_histogram_atr": 0.05,
        }
    }


def test_levels_of_the_day_and_of_the_day_before_are_distances_too() -> None:
    told = evidence_of(with_features(), ALONE, the_market())

    assert isinstance(told["distances"], dict)
    assert told["distances"]["above_day_open_atr"] == 0.08
    assert told["distances"]["above_day_high_atr"] == -0.8
    previous = (285_000 - daily_bars(100).close[-1]) / 500
    assert told["distances"]["above_previous_close_atr"] == round(previous, 2)


def test_relative_strength_is_the_difference_to_nifty_of_the_same_minute() -> None:
    told = evidence_of(with_features(), ALONE, the_market())["market"]

    assert isinstance(told, dict)
    assert told["nifty"] == {
        "since_open_percent": -1.0,
        "last_15m_percent": -0.6,
        "ended_minutes": 0,
    }
    assert told["over_nifty"] == {"since_open_percent": 1.12, "last_15m_percent": 0.65}


def test_against_an_index_of_another_minute_there_is_no_relative_strength() -> None:
    market = the_market()
    assert market.index is not None
    late = market.index.model_copy(update={"end": UtcNs(AS_OF - UtcNs.minutes(2))})

    told = evidence_of(with_features(), ALONE, market.model_copy(update={"index": late}))["market"]

    assert isinstance(told, dict)
    assert isinstance(told["nifty"], dict)
    assert (told["nifty"]["ended_minutes"], told.get("over_nifty")) == (2, None)


def test_the_industry_s_move_is_the_mean_of_its_other_shares() -> None:
    shares = [a_day(100_000 + 100 * nth, close=101_000 + 100 * nth) for nth in range(3)]
    sector = sector_so_far("Oil", shares)

    told = evidence_of(with_features(), ALONE, the_market().model_copy(update={"sector": sector}))

    assert isinstance(told["market"], dict)
    assert told["market"]["sector"] == {"name": "Oil", "shares": 3, "since_open_percent": 1.0}
    assert told["market"]["over_sector"] == {"since_open_percent": -0.88}
    assert told["version"] == 3


def test_an_industry_of_which_two_others_are_known_says_nothing() -> None:
    assert sector_so_far("Oil", [a_day(100, 101), a_day(100, 102)]) is None


def test_without_an_industry_the_evidence_is_that_of_days_recorded_before() -> None:
    told = evidence_of(with_features(), ALONE, the_market())

    assert isinstance(told["market"], dict)
    assert (told["version"], "sector" in told["market"]) == (2, False)
    assert b"sector" not in encode(the_market())


def with_book(book: Book | None) -> MarketContext:
    return the_market().model_copy(update={"depth": book})


BOOK = Book(
    at=UtcNs(AS_OF - 800_000_000),
    bid=Price(284_990),
    ask=Price(285_010),
    bid_quantity=Quantity(3_000),
    ask_quantity=Quantity(1_000),
)


def test_spread_and_depth_are_told_where_a_book_is_known() -> None:
    told = evidence_of(with_features(atr_14=500), ALONE, with_book(BOOK))

    assert told["depth"] == {
        "spread_paise": 20, "spread_bps": 0.7, "spread_atr": 0.04, "bid_units": 3_000,
        "ask_units": 1_000, "imbalance_percent": 50, "age_ms": 800,
    }  # fmt: skip
    assert told["version"] == 4


def test_where_nobody_sells_there_is_no_spread_and_all_weight_is_on_the_bids() -> None:
    one_sided = BOOK.model_copy(update={"ask": None, "ask_quantity": Quantity(0)})

    assert evidence_of(with_features(), ALONE, with_book(one_sided))["depth"] == {
        "bid_units": 3_000, "ask_units": 0, "imbalance_percent": 100, "age_ms": 800,
    }  # fmt: skip


@pytest.mark.parametrize(
    "book",
    [
        None,
        BOOK.model_copy(update={"at": UtcNs(AS_OF - 10_000_000_001)}),
        Book(at=BOOK.at, fault=BookFault.CROSSED),
        Book(at=BOOK.at),
    ],
    ids=["none", "old", "crossed", "nobody"],
)
def test_without_a_sound_book_of_now_the_evidence_is_that_of_days_recorded_before(
    book: Book | None,
) -> None:
    before = evidence_of(with_features(), ALONE, the_market())

    assert evidence_of(with_features(), ALONE, with_book(book)) == before
    assert b"depth" not in encode(the_market())


def test_volume_stands_beside_what_is_usual_at_this_time_of_the_day() -> None:
    told = evidence_of(with_features(), ALONE, the_market())["volume"]

    assert isinstance(told, dict)
    assert (told["day_ratio"], told["usual_of_days"]) == (2.5, 1)


def test_an_own_decision_is_told_with_the_best_and_the_worst_that_came_of_it() -> None:
    sold = a_decision(Action.SELL, UtcNs.minutes(10)).model_copy(
        update={"reference_price": Price(285_200)}
    )

    told = evidence_of(with_features(), Circumstances(None, (sold,)), the_market(sold.event_time))

    assert isinstance(told["own_decisions"], list)
    (mine,) = told["own_decisions"]
    assert isinstance(mine, dict)
    assert (mine["best_since_atr"], mine["worst_since_atr"]) == (0.18, -0.4)


def test_a_percentile_says_how_volatile_the_days_are_for_the_symbol() -> None:
    told = evidence_of(with_features(), ALONE, the_market())["trend"]

    assert isinstance(told, dict)
    assert isinstance(told["volatility_percentile"], float)


def test_a_market_of_which_nothing_is_known_costs_no_words() -> None:
    unknown = CandleStore().context(a_signal(), SESSION)

    assert evidence_of(a_signal(), ALONE, unknown) == evidence_of(a_signal(), ALONE)


def test_evidence_has_a_size_and_what_is_beyond_it_is_left_out() -> None:
    market = the_market(*(UtcNs(AS_OF - UtcNs.minutes(n)) for n in (1, 2, 3)))
    mine = tuple(a_decision(ago=UtcNs.minutes(n), rule=f"r{n}") for n in (1, 2, 3))
    levels = dict.fromkeys(LEVELS, 284_123.456)
    usual = evidence_of(with_features(**levels), Circumstances(SESSION, mine), market)
    huge = evidence_of(
        with_features(**dict.fromkeys(LEVELS, -1e300), atr_14=500.0),
        Circumstances(SESSION, mine),
        market,
    )

    assert {"bars", "frames", "own_decisions", "volume", "market", "distances"} <= usual.keys()
    assert len(json.dumps(huge)) <= MOST_BYTES


async def test_analyst_and_commander_read_the_evidence_and_the_news_reader_does_not(
    provider: Provider, model: Model
) -> None:
    await decide(a_journal(model, Topic()))

    asked = {}
    for request in provider.requests:
        message = json.loads(request["messages"][-1]["content"])
        asked[message["task"]] = message["data"].get("evidence", {}).get("version")
    assert asked == {"technical": PLAIN_VERSION, "sentiment": None, "commander": PLAIN_VERSION}
