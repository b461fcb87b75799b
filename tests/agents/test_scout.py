from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from agents.features import MIN_BARS, directional_score, features_of
from agents.journal import Journal, LlmCallCache, ReplayJournal
from agents.model import Model
from agents.scout import History, ScoutOptions, scan
from agents.store import scan_rows
from schemas.codec import decode, encode
from schemas.errors import TryLater, Unreadable
from schemas.ids import Segment
from schemas.market import Direction, Instrument, ScanResult
from schemas.messages import Scan
from schemas.units import Paise, Quantity
from tests.agents.factories import (
    DAY,
    OPENS,
    DailyBar,
    Topic,
    a_journal,
    a_scan,
    an_entry,
    an_instrument,
    bars,
)
from tests.agents.provider import Misbehaviour, Provider, hangs, says, with_field

UNIVERSE = [an_instrument(number, f"SYM{number:02}") for number in range(1, 9)]


class Unhurried:
    def __init__(self) -> None:
        self.waits = 0

    async def wait(self) -> None:
        self.waits += 1


class Histories:
    """Each instrument drifts by its own amount; `missing` and `broken` are the exceptions."""

    def __init__(self, faults: dict[str, list[Exception] | int] | None = None) -> None:
        self.faults = faults or {}
        self.asked: list[tuple[str, date, date]] = []

    async def daily(self, instrument: Instrument, first: date, last: date) -> Sequence[DailyBar]:
        self.asked.append((instrument.symbol, first, last))
        fault = self.faults.get(instrument.symbol, [])
        if isinstance(fault, int):
            return bars(fault)
        if fault:
            raise fault.pop(0)
        return bars(90, drift=(instrument.id.security_id - 4) * 60)


OPTIONS = ScoutOptions(shortlist=3, candidates=5)


async def scout(
    journal: Journal, history: History | None = None, universe: Sequence[Instrument] = UNIVERSE
) -> Scan:
    return await scan(
        DAY,
        universe,
        history or Histories(),
        opens=OPENS,
        journal=journal,
        model_seconds=10,
        limiter=Unhurried(),
        options=OPTIONS,
    )


def shortlisted(found: Scan) -> list[str]:
    return [entry.symbol for entry in found.entries if entry.result is ScanResult.SHORTLISTED]


async def test_the_model_orders_the_short_list_among_the_candidates_of_the_rules(
    model: Model,
) -> None:
    found = await scout(a_journal(model, Topic()))

    by_rules = sorted(found.entries, key=lambda e: (-abs(directional_score(e.features)), e.symbol))
    best_five = [entry.symbol for entry in by_rules[:5]]
    assert found.origin == "model"
    assert shortlisted(found) == best_five[::-1][:3]  # the test's model turns the order round
    assert [entry.rank for entry in found.entries] == [1, 2, 3, None, None, None, None, None]
    assert all(e.initial_signal is Direction.BULLISH for e in found.entries[:3])
    assert decode(Scan, encode(found)) == found


@pytest.mark.parametrize(
    "fault",
    [
        says("prose"),
        says('{"ranked": []}'),
        says(
            '{"ranked": [{"symbol": "STRANGER", "direction": "BULLISH", "score": 9, '
            '"reason": "x"}]}'
        ),
        says(
            '{"ranked": ['
            + ",".join(['{"symbol":"SYM08","direction":"BULLISH","score":9,"reason":"x"}'] * 2)
            + "]}"
        ),
        with_field(extra=1),
    ],
    ids=["prose", "empty", "a stranger", "twice", "extra field"],
)
async def test_when_the_model_fails_the_order_of_the_rules_stands(
    provider: Provider, model: Model, fault: Misbehaviour
) -> None:
    provider.misbehave["scout"] = fault

    found = await scout(a_journal(model, Topic()))

    scores = [abs(directional_score(entry.features)) for entry in found.entries if entry.rank]
    assert found.origin == "rules"
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= max(
        abs(directional_score(e.features)) for e in found.entries if not e.rank
    )


async def test_a_falling_share_leans_bearish_and_a_rising_one_bullish(
    provider: Provider, model: Model
) -> None:
    provider.misbehave["scout"] = says("prose")

    found = await scout(a_journal(model, Topic()))

    leans = {entry.symbol: entry.initial_signal for entry in found.entries}
    assert leans["SYM01"] is Direction.BEARISH
    assert leans["SYM08"] is Direction.BULLISH


async def test_what_has_no_sufficient_history_is_discarded_with_the_reason_and_no_numbers(
    model: Model,
) -> None:
    history = Histories(
        {
            "SYM01": 59,
            "SYM02": 0,
            "SYM03": [Unreadable("not a table")],
            "SYM04": [TryLater("away")] * 3,
        }
    )

    found = await scout(a_journal(model, Topic()), history)

    entries = {entry.symbol: entry for entry in found.entries}
    assert entries["SYM01"].reason == "59 daily bars, 60 needed"
    assert entries["SYM02"].reason == "0 daily bars, 60 needed"
    assert "not a table" in entries["SYM03"].reason
    assert "away" in entries["SYM04"].reason
    for symbol in ("SYM01", "SYM02", "SYM03", "SYM04"):
        assert entries[symbol].result is ScanResult.DISCARDED
        assert entries[symbol].features == {}


async def test_a_history_that_is_away_for_a_moment_is_asked_for_again(model: Model) -> None:
    found = await scout(
        a_journal(model, Topic()), Histories({"SYM08": [TryLater("busy"), TryLater("busy")]})
    )

    assert next(e for e in found.entries if e.symbol == "SYM08").features


async def test_no_scan_is_made_when_nobody_gives_any_history(model: Model) -> None:
    away: dict[str, list[Exception] | int] = {
        i.symbol: [TryLater("no answer")] * 3 for i in UNIVERSE
    }

    with pytest.raises(TryLater, match="no history of any of 8 instruments"):
        await scout(a_journal(model, Topic()), Histories(away))


async def test_an_index_is_not_scanned(model: Model) -> None:
    nifty = an_instrument(13, "NIFTY", Segment.IDX_I)

    found = await scout(a_journal(model, Topic()), universe=[*UNIVERSE, nifty])

    assert "NIFTY" not in {entry.symbol for entry in found.entries}


async def test_a_bar_of_the_day_itself_is_not_looked_at(model: Model) -> None:
    class WithToday(Histories):
        async def daily(
            self, instrument: Instrument, first: date, last: date
        ) -> Sequence[DailyBar]:
            known = await super().daily(instrument, first, last)
            crash = bars(1, first_close=1_000)[0]
            return [
                *known,
                DailyBar(DAY, crash.open, crash.high, crash.low, crash.close, crash.volume),
            ]

    honest = await scout(a_journal(model, Topic()))
    tempted = await scout(a_journal(model, Topic()), WithToday())

    assert encode(tempted) == encode(honest)


async def test_a_recorded_scan_replays_to_the_same_bytes_without_a_request(
    provider: Provider, model: Model
) -> None:
    topic = Topic()
    lived = await scout(a_journal(model, topic))
    asked = len(provider.requests)

    replayed = await scout(ReplayJournal(LlmCallCache(topic.calls)))

    assert encode(replayed) == encode(lived)
    assert len(provider.requests) == asked == 1


async def test_a_scout_whose_model_hangs_still_gives_a_scan(
    provider: Provider, model: Model
) -> None:
    provider.misbehave["scout"] = hangs

    found = await scan(
        DAY,
        UNIVERSE,
        Histories(),
        opens=OPENS,
        journal=a_journal(model, Topic()),
        model_seconds=0.3,
        limiter=Unhurried(),
    )

    assert found.origin == "rules"


async def test_progress_is_told_for_every_instrument_and_each_request_is_paced(
    model: Model,
) -> None:
    told: list[tuple[int, int]] = []
    limiter = Unhurried()
    history = Histories({"SYM01": [TryLater("busy")]})

    await scan(
        DAY,
        UNIVERSE,
        history,
        opens=OPENS,
        journal=a_journal(model, Topic()),
        model_seconds=10,
        limiter=limiter,
        progress=lambda done, total: told.append((done, total)),
    )

    assert told == [(n, 8) for n in range(1, 9)]
    assert limiter.waits == len(history.asked) == 9


def test_rows_of_a_scan_hold_every_symbol_with_its_verdict() -> None:
    found = a_scan(an_entry(), an_entry(an_instrument(2).id, "TCS", ScanResult.DISCARDED))

    assert [
        (row["date"], row["symbol"], row["scan_result"], row["initial_signal"])
        for row in scan_rows(found)
    ] == [
        ("2025-06-02", "RELIANCE", "SHORTLISTED", "BULLISH"),
        ("2025-06-02", "TCS", "DISCARDED", "BULLISH"),
    ]


def test_features_agree_with_plain_arithmetic_and_with_pandas() -> None:
    history = bars(100, drift=37)
    close = [float(bar.close) for bar in history]
    high = [float(bar.high) for bar in history]
    low = [float(bar.low) for bar in history]
    volume = [float(bar.volume) for bar in history]

    found = features_of(history)

    assert found["return_5d"] == pytest.approx(close[-1] / close[-6] - 1, rel=1e-12)
    assert found["return_20d"] == pytest.approx(close[-1] / close[-21] - 1, rel=1e-12)
    assert found["from_high_20d"] == pytest.approx(close[-1] / max(high[-20:]) - 1, rel=1e-12)
    assert found["from_low_20d"] == pytest.approx(close[-1] / min(low[-20:]) - 1, rel=1e-12)
    assert found["volume_ratio"] == pytest.approx(
        volume[-1] / (sum(volume[-21:-1]) / 20), rel=1e-12
    )
    assert found["rsi_14"] == pytest.approx(_wilder_rsi(close), rel=1e-9)
    assert found["atr_14"] == pytest.approx(_wilder_atr(high, low, close) / close[-1], rel=1e-9)
    assert found["ema_trend"] == pytest.approx(_ema(close, 20) / _ema(close, 50) - 1, rel=1e-9)


def test_the_oracles_of_this_test_agree_with_ta_lib_itself() -> None:
    close = np.array([float(bar.close) for bar in bars(100)])

    assert _wilder_rsi(list(close)) == pytest.approx(talib.RSI(close, 14)[-1], rel=1e-9)
    assert _ema(list(close), 50) == pytest.approx(talib.EMA(close, 50)[-1], rel=1e-9)


@given(st.integers(MIN_BARS, 140), st.integers(-400, 400), st.integers(2, 1_000))
def test_features_do_not_depend_on_the_unit_of_price_and_every_lean_is_within_one(
    count: int, drift: int, factor: int
) -> None:
    history = bars(count, drift=drift)
    scaled = [_times(bar, factor) for bar in history]

    found, same = features_of(history), features_of(scaled)

    assert same == pytest.approx(found, rel=1e-6, abs=1e-9)
    assert all(math.isfinite(value) for value in found.values())
    assert -1 <= directional_score(found) <= 1


def test_a_share_nobody_traded_has_finite_features() -> None:
    flat = Paise(50_000)
    still = [DailyBar(bar.day, flat, flat, flat, flat, Quantity(0)) for bar in bars(80)]

    assert all(math.isfinite(value) for value in features_of(still).values())


def _times(bar: DailyBar, factor: int) -> DailyBar:
    open_, high, low, close = (
        Paise(price * factor) for price in (bar.open, bar.high, bar.low, bar.close)
    )
    return DailyBar(bar.day, open_, high, low, close, bar.volume)


def _wilder_rsi(close: list[float], period: int = 14) -> float:
    """Wilder (1978), ch. 6: means of the first `period` changes, then smoothed by 1/period."""
    changes = [after - before for before, after in pairwise(close)]
    up, down = (sum(max(sign * c, 0) for c in changes[:period]) / period for sign in (1, -1))
    for change in changes[period:]:
        up += (max(change, 0) - up) / period
        down += (max(-change, 0) - down) / period
    return 100 * up / (up + down)


def _wilder_atr(high: list[float], low: list[float], close: list[float], period: int = 14) -> float:
    ranges = [
        max(h - lo, abs(h - c), abs(lo - c))
        for h, lo, c in zip(high[1:], low[1:], close, strict=False)
    ]
    mean = sum(ranges[:period]) / period
    for reach in ranges[period:]:
        mean += (reach - mean) / period
    return mean


def _ema(close: list[float], period: int) -> float:
    """Seeded with the mean of the first `period` closes, as TA-Lib does; the rest by pandas."""
    seeded = pd.Series([sum(close[:period]) / period, *close[period:]])
    return float(seeded.ewm(span=period, adjust=False).mean().iloc[-1])
