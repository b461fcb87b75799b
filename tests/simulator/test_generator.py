from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from simulator.market.characters import DayProfile, course
from simulator.market.contracts import Right
from simulator.market.generator import Plan, generate
from simulator.market.session import market_session
from simulator.market.tape import Listing, Market, Prints
from tests.simulator.factories import DAY, NIFTY, RELIANCE


@pytest.fixture(scope="module")
def market() -> Market:
    return generate(7, DAY, shares=20)


def prints_of(market: Market, place: int) -> Prints:
    own: Prints = market.prints[market.prints["instrument"] == place]
    return own


def bar_closes(prints: Prints, minutes: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    bars = prints["second"] // (60 * minutes)
    last = np.flatnonzero(np.diff(bars, append=-1))
    return np.asarray(prints["price"][last][:-1], np.float64)  # without the closing snapshot's bar


def test_the_same_seed_gives_the_same_session_and_another_seed_another(market: Market) -> None:
    assert generate(7, DAY, shares=20).prints.tobytes() == market.prints.tobytes()
    assert generate(8, DAY, shares=20).prints.tobytes() != market.prints.tobytes()
    assert generate(7, date(2026, 11, 24), shares=20).prints.tobytes() != market.prints.tobytes()


def test_an_instruments_day_does_not_depend_on_which_others_exist(market: Market) -> None:
    alone = generate(7, DAY, shares=1)

    same = (
        prints_of(alone, alone.by_id[RELIANCE])["price"],
        prints_of(market, market.by_id[RELIANCE])["price"],
    )

    assert np.array_equal(*same)


def test_there_are_eight_to_fifteen_prints_in_every_minute(market: Market) -> None:
    for place in range(len(market.listings)):
        minutes = Counter((prints_of(market, place)["second"][:-1] // 60).tolist())
        assert len(minutes) == 375
        assert 8 <= min(minutes.values()) <= max(minutes.values()) <= 15


def test_prices_keep_to_the_tick_size_and_stay_near_the_open(market: Market) -> None:
    assert not (market.prints["price"] % market.prints["tick_size"]).any()
    assert (abs(market.prints["price"] / market.prints["open"] - 1) < 0.10).all()


def test_volume_only_grows_is_highest_at_both_ends_and_an_index_has_none(market: Market) -> None:
    shares = market.prints[market.prints["segment"] == 1]
    sixth = (shares["second"] - market.open_second) * 6 // (375 * 60)
    first, *middle, last = [int(shares["quantity"][sixth == part].sum()) for part in range(6)]

    assert min(first, last) > 1.3 * max(middle[1:3])
    for place in range(len(market.listings)):
        assert (np.diff(prints_of(market, place)["volume"]) >= 0).all()
    assert not prints_of(market, market.by_id[NIFTY])["volume"].any()


def test_each_instrument_ends_with_one_snapshot_that_only_moves_the_clock(market: Market) -> None:
    close = market_session(DAY).close // 10**9
    for place in range(len(market.listings)):
        *_, before, last = prints_of(market, place)
        assert before["second"] < close == last["second"]
        assert (last["price"], last["volume"], last["quantity"]) == (
            before["price"],
            before["volume"],
            0,
        )


@pytest.mark.parametrize(("minutes", "least"), [(1, 8), (5, 2)])
def test_moving_averages_cross_several_times_in_a_day(
    market: Market, minutes: int, least: int
) -> None:
    crossings = []
    for place in range(len(market.listings)):
        closes = bar_closes(prints_of(market, place), minutes)
        above = (talib.EMA(closes, 9) > talib.EMA(closes, 21))[21:]
        crossings.append(int(np.count_nonzero(np.diff(above))))

    assert np.mean(crossings) >= least
    assert crossings.count(0) <= len(crossings) // 4


@pytest.mark.parametrize(("minutes", "least"), [(1, 8), (5, 1)])
def test_the_rsi_leaves_its_extremes_several_times_in_a_day(
    market: Market, minutes: int, least: int
) -> None:
    reversals = []
    for place in range(len(market.listings)):
        rsi = talib.RSI(bar_closes(prints_of(market, place), minutes), 14)[15:]
        up = np.count_nonzero((rsi[:-1] < 30) & (rsi[1:] >= 30))
        down = np.count_nonzero((rsi[:-1] > 70) & (rsi[1:] <= 70))
        reversals.append(int(up + down))

    assert np.mean(reversals) >= least


@pytest.mark.parametrize(
    "character",
    [DayProfile.TRENDING, DayProfile.CALM, DayProfile.GAP, DayProfile.ILLIQUID,
     DayProfile.OPENING_RUSH],
)  # fmt: skip
@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_which_way_the_price_went_tells_nothing_of_which_way_it_goes(
    character: DayProfile, minutes: int
) -> None:
    """Of pieces that do not overlap, as many go on as turn: within four standard errors."""
    went_on = []
    for seed in range(120):
        made = course(character, np.random.default_rng(seed), 375, band=0.2)
        moves = np.diff(np.append(0, made.levels)[::minutes])
        went_on.append(moves[1:] * moves[:-1] > 0)

    every = np.concatenate(went_on)
    assert abs(every.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(every))


def test_the_last_price_of_a_minute_tells_nothing_of_the_next_minute(market: Market) -> None:
    """Prints inside a minute are part of the same walk: none leans to the end of its minute."""
    products, squares = 0.0, 0.0
    count = 0
    for place in range(len(market.listings)):
        moves = np.diff(np.log(bar_closes(prints_of(market, place), 1)))
        products += float((moves[1:] * moves[:-1]).sum())
        squares += float((moves**2).sum())
        count += len(moves)

    assert abs(products / squares) < 4 / np.sqrt(count)


def test_a_trending_day_moves_as_much_as_a_large_share_does() -> None:
    """About one percent from open to close, and never the same in all of them."""
    days = [
        course(DayProfile.TRENDING, np.random.default_rng(seed), 375, band=0.2).levels[-1]
        for seed in range(300)
    ]

    assert 0.009 < np.std(days) < 0.014
    assert abs(np.mean(days)) < 4 * np.std(days) / np.sqrt(len(days))


def test_the_tape_is_cut_into_whole_seconds_without_loss(market: Market) -> None:
    for at_least in (1, 64):
        pieces = list(market.steps(at_least))
        assert [place.start for _, place in pieces] == [
            0,
            *(place.stop for _, place in pieces[:-1]),
        ]
        assert pieces[-1][1].stop == len(market.prints)
        for (second, place), (_, after) in pairwise(pieces):
            assert (
                market.prints["second"][place].max()
                == second
                < market.prints["second"][after].min()
            )
            assert place.stop - place.start >= at_least


def of(character: DayProfile, seed: int = 7, shares: int = 3) -> Market:
    return generate(seed, DAY, plan=Plan(shares, character))


def share_tapes(market: Market) -> list[tuple[Listing, Prints]]:
    places = [place for place, listing in enumerate(market.listings) if listing.instrument.tradable]
    return [(market.listings[place], market.source.tape(place)) for place in places]


@given(
    st.sampled_from(DayProfile),
    st.integers(0, 2**32),
    st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    st.integers(0, 2),
)
@settings(max_examples=20, deadline=None)
def test_every_day_of_every_kind_keeps_the_rules_of_the_exchange(
    character: DayProfile, seed: int, day: date, shares: int
) -> None:
    check_rules(generate(seed, day, plan=Plan(shares, character)))


def test_options_keep_the_rules_of_the_exchange() -> None:
    check_rules(generate(1, DAY, plan=Plan(1, DayProfile.CRASH, options=("RELIANCE",))))


def check_rules(market: Market) -> None:
    prints = market.prints

    assert len(prints) == market.source.total
    assert (np.diff(prints["second"]) >= 0).all()
    assert (prints["second"] >= market.open_second).all()
    assert (prints["second"][: -len(market.listings)] < market.close_second).all()
    assert not (prints["price"] % prints["tick_size"]).any()
    assert (prints["price"] > 0).all()
    banded = prints[prints["upper_circuit"] > 0]
    assert (banded["price"] >= banded["lower_circuit"]).all()
    assert (banded["price"] <= banded["upper_circuit"]).all()
    assert set(prints["instrument"]) == set(range(len(market.listings)))
    for place in {0, len(market.listings) // 2, len(market.listings) - 1}:
        check_running_figures(market, place)


def check_running_figures(market: Market, place: int) -> None:
    """The chunks and the lone tape agree, and the day's figures are those of the prints so far."""
    own, alone = market.prints[market.prints["instrument"] == place], market.source.tape(place)
    assert own.tobytes() == alone.tobytes()
    assert (np.diff(own["second"][:-1]) > 0).all()
    assert np.array_equal(own["volume"], np.cumsum(own["quantity"]))
    assert np.array_equal(own["turnover"], np.cumsum(own["quantity"] * own["price"]))
    assert np.array_equal(own["high"], np.maximum.accumulate(own["price"]))
    assert np.array_equal(own["low"], np.minimum.accumulate(own["price"]))
    assert (own["open"] == own["price"][0]).all()


def test_a_calm_share_stays_within_half_a_percent_and_a_trending_one_does_not() -> None:
    def ranges(character: DayProfile) -> list[float]:
        return [
            float(tape["high"][-1] / tape["low"][-1]) - 1
            for _, tape in share_tapes(of(character, shares=10))
        ]

    assert max(ranges(DayProfile.CALM)) < 0.005 < min(ranges(DayProfile.TRENDING))


def test_a_gap_opens_three_to_six_percent_away_up_or_down() -> None:
    away = [
        tape["price"][0] / one.previous_close - 1
        for one, tape in share_tapes(of(DayProfile.GAP, shares=20))
    ]

    assert all(0.029 < abs(gap) < 0.061 for gap in away)
    assert {gap > 0 for gap in away} == {True, False}


def test_a_crash_ends_locked_at_the_lower_circuit_which_is_ten_percent_down() -> None:
    for listing, tape in share_tapes(of(DayProfile.CRASH, shares=10)):
        at_circuit = tape["price"] == listing.lower_circuit
        first = int(np.argmax(at_circuit))
        assert listing.band == 1_000
        assert at_circuit[first:].all()
        assert 3_600 < tape["second"][first] - tape["second"][0] < 4 * 3_600
        assert tape["price"][0] > listing.previous_close * 0.99


def test_an_illiquid_share_is_silent_in_most_minutes_but_opens() -> None:
    for _, tape in share_tapes(of(DayProfile.ILLIQUID, shares=10)):
        minutes = set(((tape["second"][:-1] - tape["second"][-1]) // 60).tolist())
        assert 40 < len(minutes) < 150
        assert tape["volume"][-1] < 10_000


def test_an_opening_rush_prints_several_times_as_often_in_the_first_minutes() -> None:
    market = of(DayProfile.OPENING_RUSH)
    for _, tape in share_tapes(market):
        minute = (tape["second"] - market.open_second) // 60
        assert (minute == 0).sum() >= 38
        assert 3 * (minute == 100).sum() < 2 * (minute == 0).sum()
        early, late = (
            tape["quantity"][minute < 5],
            tape["quantity"][(minute > 100) & (minute < 300)],
        )
        assert early.mean() > 3 * late.mean()


def test_each_symbol_may_have_a_kind_of_day_of_its_own() -> None:
    mixed = generate(7, DAY, plan=Plan(5, DayProfile.CALM, {"RELIANCE": DayProfile.CRASH}))
    calm = generate(7, DAY, plan=Plan(5, DayProfile.CALM))

    crashed, place = mixed.source.tape(mixed.by_id[RELIANCE]), mixed.by_id[RELIANCE]
    assert crashed["price"][-1] == mixed.listings[place].lower_circuit
    for other in set(range(6)) - {place}:
        assert mixed.source.tape(other).tobytes() == calm.source.tape(other).tobytes()


@pytest.mark.parametrize(
    "plan",
    [
        Plan(2, characters={"NOBODY": DayProfile.CALM}),
        Plan(2, options=("TCS",)),
        Plan(5_001),
        Plan(-1),
    ],
)
def test_a_plan_for_what_the_market_does_not_have_is_refused(plan: Plan) -> None:
    with pytest.raises(Misconfigured, match=r"market has no|cannot be generated"):
        generate(1, DAY, plan=plan)


def test_many_instruments_are_made_a_minute_at_a_time() -> None:
    market = generate(1, DAY, shares=1_500)
    chunks = market.source.chunks()

    first = [next(chunks) for _ in range(3)]

    assert len(market.by_id) == 1_501
    assert [set(chunk["second"] // 60 - market.open_second // 60) for chunk in first] == [
        {0},
        {1},
        {2},
    ]
    assert sum(map(len, first)) > 3 * 1_500 * 8


def test_options_follow_their_underlying() -> None:
    market = generate(7, DAY, plan=Plan(1, options=("NIFTY",)))
    nifty = market.source.tape(market.by_id[NIFTY])
    call = next(
        place
        for place, listing in enumerate(market.listings)
        if listing.contract
        and listing.contract.right is Right.CALL
        and listing.contract.strike < nifty["price"].min()
    )

    option = market.source.tape(call)
    spot = np.interp(option["second"], nifty["second"], nifty["price"])
    assert np.corrcoef(option["price"], spot)[0, 1] > 0.99
    assert (option["quantity"][:-1] % 65 == 0).all()
    assert option["open_interest"].min() > 0
