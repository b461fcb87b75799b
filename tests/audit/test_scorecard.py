"""The score card: golden values, properties, and what it says when there is little to say."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from ats.scorecard.command import deliver
from ats.scorecard.options import ScorecardOptions
from audit.scorecard.calibration import brier, reliability
from audit.scorecard.card import Card, demotions, remarks
from audit.scorecard.forecasts import Recorded, forecasts_of
from audit.scorecard.intervals import wilson
from audit.scorecard.page import page
from audit.scorecard.peers import _Sums
from audit.scorecard.prices import Floats, Prices
from audit.scorecard.reading import MarketClock, Written
from schemas.ids import InstrumentId, Segment
from schemas.market import Action, Direction
from schemas.messages import Candle, Decision, Signal
from schemas.units import Price, UtcNs
from tests.audit.scorecard_days import (
    MINUTE,
    MONDAY,
    a_day,
    a_walk,
    at_once,
    card,
    decided,
    opens,
    walks,
)
from tests.audit.test_page import Tags

RISING = [10_000 + 10 * minute for minute in range(376)]
FALLING = [20_000 - 10 * minute for minute in range(376)]
Pairs = list[tuple[Signal, Decision]]


def test_the_brier_score_is_that_of_scikit_learns_example() -> None:
    """`brier_score_loss([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3])` is 0.0375 in its documentation."""
    assert brier([(0.1, False), (0.9, True), (0.8, True), (0.3, False)]) == pytest.approx(0.0375)


def test_the_interval_of_a_share_is_that_of_wilson_as_statsmodels_has_it() -> None:
    """`proportion_confint(8, 10, method="wilson")`."""
    assert wilson(8, 10) == pytest.approx((0.4901625, 0.9433178), abs=1e-6)


def test_the_reliability_of_a_confidence_is_counted_by_tenths() -> None:
    bins = reliability([(0.62, True), (0.68, False), (0.9, True), (1.0, True)])

    assert [(each.count, each.share) for each in bins] == [(2, 0.5), (2, 1.0)]
    assert bins[0].confidence == pytest.approx(0.65)


def test_the_profit_factor_is_gains_by_losses() -> None:
    """By hand: in 15 minutes BUYs gain 150 on 10,000 and on 10,600, a SELL at 10,300 loses it."""
    made = card(
        [decided(0, Action.BUY), decided(60, Action.BUY), decided(30, Action.SELL)], a_day(RISING)
    )

    gains, loss = 150 / 10_000 + 150 / 10_600, 150 / 10_300
    assert made.acted.profit_factor.value == pytest.approx(gains / loss)


def test_returns_begin_at_the_first_price_after_the_decision_went_out() -> None:
    """What happened before it, and in the minute that was under way, changes nothing."""
    out = UtcNs(opens(MONDAY) + 30 * MINUTE + 1)
    prices = [*RISING[:31], *RISING[31:]]
    spoilt = [*(50_000 for _ in range(31)), *RISING[31:]]

    one, other = (
        card([decided(30, Action.BUY)], a_day(each), lambda _: out) for each in (prices, spoilt)
    )

    assert one.acted.returns[0].value == pytest.approx((RISING[36] / RISING[31] - 1) * 10_000)
    assert one.acted == other.acted


def test_a_return_that_the_close_cuts_short_is_none() -> None:
    made = card([decided(350, Action.BUY)], a_day(RISING))

    five, fifteen, hour, close = (each.value for each in made.acted.returns)
    assert five is not None
    assert fifteen is not None
    assert hour is None
    assert close == pytest.approx((RISING[-1] / RISING[350] - 1) * 10_000)


@pytest.mark.parametrize(("prices", "right"), [(RISING, 0.0), (FALLING, 1.0)])
def test_a_hold_was_right_where_the_declined_trade_would_have_lost(
    prices: list[int], right: float
) -> None:
    made = card([decided(10, Action.HOLD, direction=Direction.BULLISH)], a_day(prices))

    held = made.sections[0].lines[0]
    assert held.name.startswith("HOLD")
    assert held.hits.value == right
    assert made.acted.count == 0


def test_a_decision_that_was_written_twice_counts_once_and_one_without_a_price_is_named() -> None:
    traded, late = decided(10, Action.BUY), decided(374, Action.BUY)
    made = card([traded, traded, late], a_day(RISING[:200]))

    assert (made.decisions, made.acted.count, made.unpriced) == (2, 1, 1)
    assert any("met no price" in each for each in remarks(made))


def coins(days: int, instruments: int, seed: int = 3) -> Pairs:
    """Who throws a coin four times a day in each share."""
    random = Random(seed)
    return [
        decided(
            random.randrange(5, 340),
            random.choice([Action.BUY, Action.SELL]),
            day=MONDAY + timedelta(days=on),
            instrument=InstrumentId(Segment.NSE_EQ, 100 + number),
            confidence=random.randrange(40, 100),
            rule=random.choice(["a", "b"]),
        )
        for on in range(days)
        for number in range(instruments)
        for _ in range(4)
    ]


@pytest.fixture(scope="module")
def market() -> list[Candle]:
    return walks(3, 8)


@pytest.fixture(scope="module")
def of_coins(market: list[Candle]) -> Card:
    return card(coins(3, 8), market)


def test_a_coins_interval_has_fifty_percent_in_it(of_coins: Card) -> None:
    hits = of_coins.acted.hits

    assert hits.low is not None
    assert hits.contains(0.5)
    assert "The hit rate cannot be told from a coin's." in remarks(of_coins)


def test_who_knows_the_future_is_told_from_a_coin(market: list[Candle]) -> None:
    prices = Prices(market)
    seers = []
    for signal, decision in coins(3, 8):
        gained = prices.after(decision.instrument, decision.event_time)
        assert gained is not None
        side = Action.BUY if gained[1] > 0 else Action.SELL
        seers.append((signal, decision.model_copy(update={"action": side})))

    made = card(seers, market)

    assert made.acted.hits.value == 1.0
    assert not made.acted.hits.contains(0.5)
    assert made.random is not None
    assert made.random.beaten == 1.0


def test_the_order_in_which_records_come_changes_no_figure(
    market: list[Candle], of_coins: Card
) -> None:
    pairs, bars = coins(3, 8), list(market)
    Random(1).shuffle(pairs)
    Random(2).shuffle(bars)

    assert card(pairs, bars) == of_coins


def test_another_seed_moves_the_intervals_and_never_the_figures(
    market: list[Candle], of_coins: Card
) -> None:
    other = card(coins(3, 8), market, seed=8)

    assert other.acted.hits.value == of_coins.acted.hits.value
    assert other.acted.hits.low != of_coins.acted.hits.low


def test_random_agents_gain_nothing_on_average_and_half_of_them_are_right(of_coins: Card) -> None:
    random = of_coins.random
    assert random is not None
    assert random.hits.value == pytest.approx(0.5, abs=0.01)
    assert random.returns[1].contains(0.0)


def test_too_few_decisions_get_no_interval_and_are_called_too_few() -> None:
    made = card([decided(10, Action.BUY)], a_day(RISING))

    assert made.acted.hits.value == 1.0
    assert made.acted.hits.low is None
    assert any(each.startswith("Too few to say anything") for each in remarks(made))


def test_many_decisions_in_one_share_and_day_are_still_too_few() -> None:
    """They are one observation of the market, however many they are."""
    made = card([decided(minute, Action.BUY) for minute in range(10, 110)], a_day(RISING))

    assert made.acted.too_few
    assert made.acted.hits.low is None


class Drawn(_Sums):
    """Remembers how many entries of each agent came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[int] = []

    def add(self, returns: Floats) -> None:
        self.drawn.append(returns.shape[1])
        super().add(returns)


def test_a_share_s_busiest_day_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random agents draw some entries at a time, and each of them as often as before."""
    busy = [decided(minute, Action.BUY) for minute in range(10, 110)]
    monkeypatch.setattr("audit.scorecard.peers.AT_ONCE", 30)
    sums = Drawn()
    monkeypatch.setattr("audit.scorecard.peers._Sums", lambda: sums)

    made = card(busy, a_day(RISING))

    assert sums.drawn == [30, 30, 30, 10]
    assert made.random is not None
    assert made.random.hits.value == pytest.approx(0.5, abs=0.01)


def test_intervals_of_many_share_days_are_the_same_in_pieces(
    market: list[Candle], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = card(coins(3, 8), market)
    monkeypatch.setattr("audit.scorecard.intervals.MOST_DRAWN", 1_000)

    pieces = card(coins(3, 8), market)

    assert pieces.acted.hits.low == pytest.approx(whole.acted.hits.low)
    assert pieces.acted.returns[1].high == pytest.approx(whole.acted.returns[1].high)


def test_a_bar_with_a_price_that_no_exchange_has_costs_nobody_the_card() -> None:
    bars = [
        bar.model_copy(update=dict.fromkeys(("open", "high", "low", "close"), Price(10**30)))
        for bar in a_day(RISING)
    ]

    assert card([decided(10, Action.BUY)], bars).acted.count == 1


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "No bar of a minute is recorded."),
        ([decided(30, Action.BUY)], "1 decision met no price"),
        ([decided(minute, Action.HOLD) for minute in range(10, 40)], "30 decisions met no price"),
    ],
)
def test_a_day_without_a_bar_is_a_card_that_says_so(
    pairs: list[tuple[Signal, Decision]], said: str
) -> None:
    made = card(pairs, [])

    assert said in page(made, "t")
    assert "nan" not in page(made, "t").lower()
    assert not made.acted.count


def test_who_held_every_time_has_a_card_without_a_trade() -> None:
    made = card([decided(minute, Action.HOLD) for minute in range(10, 60)], a_day(RISING))

    assert (made.acted.count, made.random, made.course) == (0, None, ())
    assert [each.name for each in made.sections[0].lines] == ["HOLD (the trade declined)"]


def test_what_was_decided_at_the_close_or_later_is_not_scored() -> None:
    late = [decided(minute, Action.BUY) for minute in (375, 380, 900)]

    made = card(late, a_day(a_walk(1)))

    assert (made.acted.count, made.unpriced) == (0, 3)


def test_who_bought_at_the_open_and_held_is_judged_at_the_close() -> None:
    made = card([decided(200, Action.SELL)], a_day(RISING))

    _, held = made.peers
    assert held.hits.value == 1.0
    assert held.returns[-1].value == pytest.approx((RISING[-1] / RISING[0] - 1) * 10_000)


def test_the_clock_of_a_played_market_is_that_of_the_bars_written_before() -> None:
    clock = MarketClock([Written(20, 2_000), Written(10, 1_000), Written(30, 1_500)])

    assert [clock.at(moment) for moment in (5, 10, 19, 25, 40)] == [0, 1_000, 1_000, 2_000, 2_000]


def test_a_hold_without_its_signal_is_left_out_and_said() -> None:
    signal, decision = decided(10, Action.HOLD)
    forecasts = forecasts_of(Recorded((), (), (decision,)), at_once)

    assert (forecasts.decisions, forecasts.orphans) == ((), 1)
    assert forecasts_of(Recorded((signal,), (), (decision,)), at_once).orphans == 0


def test_the_page_asks_no_host_and_a_rules_name_is_text(market: list[Candle]) -> None:
    hostile = [
        (signal.model_copy(update={"rule": "<script>alert(1)</script>"}), decision)
        for signal, decision in coins(3, 8)
    ]

    written = page(card(hostile, market), "<img src=x>")

    tags = Tags()
    tags.feed(written)
    assert not {"script", "img", "link", "iframe"} & set(tags.names)
    assert not {"src", "href", "onload"} & {name for name, _ in tags.attributes}
    assert tags.names.count("svg") == 2
    assert "&lt;script&gt;alert(1)" in written


def test_page_and_object_may_both_be_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "card.html"
    options = ScorecardOptions.of(
        MONDAY, None, None, demo=None, market=(), seed=7, as_json=True, html=path
    )

    deliver(card([decided(30, Action.BUY)], a_day(RISING)), options, Console(stderr=True))

    assert json.loads(capsys.readouterr().out)["decisions"] == 1
    assert path.read_text().startswith("<!doctype html>")


def test_a_rule_that_loses_beyond_chance_is_named_with_the_line_that_mutes_it(
    market: list[Candle],
) -> None:
    prices = Prices(market)
    pairs = []
    for signal, decision in coins(3, 8):
        gained = prices.after(decision.instrument, decision.event_time)
        assert gained is not None
        wrong = Action.SELL if gained[1] > 0 else Action.BUY
        pairs.append((signal, decision.model_copy(update={"action": wrong})))
    made = card(
        [(each.model_copy(update={"rule": "fool"}), decision) for each, decision in pairs], market
    )

    assert demotions(made) == ["fool"]
    assert "fool lost beyond chance. To mute: ATS_MUTED_RULES=fool" in remarks(made)


def test_a_coin_is_not_proposed_for_muting(market: list[Candle]) -> None:
    assert demotions(card(coins(3, 8, seed=5), market)) == []
