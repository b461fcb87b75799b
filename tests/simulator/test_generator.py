from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
import talib

from schemas.market import session_of
from simulator.market.generator import generate
from simulator.market.tape import Market, Prints
from tests.simulator.factories import DAY, NIFTY, RELIANCE


@pytest.fixture(scope="module")
def market() -> Market:
    return generate(7, DAY, shares=20)


def prints_of(market: Market, place: int) -> Prints:
    return market.prints[market.prints["instrument"] == place]


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

    same = prints_of(alone, alone.by_id[RELIANCE])["price"], prints_of(market, market.by_id[RELIANCE])["price"]

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
    close = session_of(DAY).close // 10**9
    for place in range(len(market.listings)):
        *_, before, last = prints_of(market, place)
        assert before["second"] < close == last["second"]
        assert (last["price"], last["volume"], last["quantity"]) == (before["price"], before["volume"], 0)


@pytest.mark.parametrize(("minutes", "least"), [(1, 8), (5, 3)])
def test_moving_averages_cross_several_times_in_a_day(market: Market, minutes: int, least: int) -> None:
    crossings = []
    for place in range(len(market.listings)):
        closes = bar_closes(prints_of(market, place), minutes)
        above = (talib.EMA(closes, 9) > talib.EMA(closes, 21))[21:]
        crossings.append(int(np.count_nonzero(np.diff(above))))

    assert np.mean(crossings) >= least
    assert crossings.count(0) <= 1


@pytest.mark.parametrize(("minutes", "least"), [(1, 8), (5, 1)])
def test_the_rsi_leaves_its_extremes_several_times_in_a_day(market: Market, minutes: int, least: int) -> None:
    reversals = []
    for place in range(len(market.listings)):
        rsi = talib.RSI(bar_closes(prints_of(market, place), minutes), 14)[15:]
        up = np.count_nonzero((rsi[:-1] < 30) & (rsi[1:] >= 30))
        down = np.count_nonzero((rsi[:-1] > 70) & (rsi[1:] <= 70))
        reversals.append(int(up + down))

    assert np.mean(reversals) >= least


def test_the_tape_is_cut_into_whole_seconds_without_loss(market: Market) -> None:
    for at_least in (1, 64):
        pieces = list(market.steps(at_least))
        assert [place.start for _, place in pieces] == [0, *(place.stop for _, place in pieces[:-1])]
        assert pieces[-1][1].stop == len(market.prints)
        for (second, place), (_, after) in pairwise(pieces):
            assert market.prints["second"][place].max() == second < market.prints["second"][after].min()
            assert place.stop - place.start >= at_least
