"""The names of columns: what a rule may look at, and what a name stands for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import Misconfigured
from schemas.market import Timeframe
from streams.engine import talib_columns
from streams.engine.columns import PREVIOUS, PRICES
from streams.rules.rule import Rule

FACTS: Final = ("ticks", "complete")  # of the bar itself only
# Bars before the first value. Those of the session begin anew with it: VWAP at its first bar, the
# opening range when it is over, pivots when the day before was seen.
WARM_UP: Final[Mapping[str, int]] = {
    "sma_20": 19,
    "sma_50": 49,
    "ema_9": 8,
    "ema_21": 20,
    "ema_50": 49,
    "ema_200": 199,
    "wma_20": 19,
    "rsi_14": 14,
    "macd": 33,
    "macd_signal": 33,
    "macd_histogram": 33,
    "atr_14": 14,
    "bollinger_upper": 19,
    "bollinger_middle": 19,
    "bollinger_lower": 19,
    "adx_14": 27,
    "plus_di_14": 14,
    "minus_di_14": 14,
    "stochastic_k": 17,
    "stochastic_d": 17,
    "cci_20": 19,
    "williams_r_14": 13,
    "mfi_14": 14,
    "obv": 0,
    "roc_10": 10,
    "donchian_upper": 19,
    "donchian_middle": 19,
    "donchian_lower": 19,
    "keltner_upper": 19,
    "keltner_middle": 19,
    "keltner_lower": 19,
    "supertrend": 10,
    "supertrend_direction": 10,
    "vwap": 0,
    "vwap_upper": 0,
    "vwap_lower": 0,
    "opening_range_high": 0,
    "opening_range_low": 0,
    "pivot": 0,
    "pivot_r1": 0,
    "pivot_s1": 0,
    "pivot_r2": 0,
    "pivot_s2": 0,
    "volume_poc": 19,
    "value_area_high": 19,
    "value_area_low": 19,
}
_ORDER: Final = list(Timeframe)


@dataclass(frozen=True, slots=True)
class Column:
    """One name taken apart.

    Attributes:
        base: A part of the candle, a reading, or a `talib.` column.
        previous: At the bar before.
        timeframe: Whose bars.
    """

    base: str
    previous: bool
    timeframe: Timeframe

    @property
    def by_talib(self) -> bool:
        return self.base.startswith(talib_columns.PREFIX)


def column_of(name: str, timeframe: Timeframe) -> Column:
    """What `name` means to a rule on bars of `timeframe`.

    Raises:
        Misconfigured: no such column.
    """
    text, at, other = name.rpartition("@") if "@" in name else (name, "", timeframe)
    base = text.removeprefix(PREVIOUS)
    column = Column(base, base != text, _timeframe(name, other))
    if at and _ORDER.index(column.timeframe) <= _ORDER.index(timeframe):
        raise Misconfigured(
            f"column {name!r}: a rule on {timeframe} bars can look at longer bars only"
        )
    if at and column.previous:
        raise Misconfigured(
            f"column {name!r}: of a longer timeframe there is the last closed bar only"
        )
    if base in FACTS and (at or column.previous):
        raise Misconfigured(f"column {name!r}: {base} is known of the bar itself only")
    if column.by_talib:
        talib_columns.parse(base)
    elif base not in (*PRICES, *FACTS, *WARM_UP):
        raise Misconfigured(
            f"column {name!r} does not exist{_meant(base)}; docs/rules.md lists all"
        )
    return column


def warm_up(rule: Rule) -> dict[Timeframe, int]:
    """How many bars of each timeframe must have closed before `rule` may speak."""
    bars: dict[Timeframe, int] = {}
    for name in rule.needs:
        column = column_of(name, rule.timeframe)
        before = (
            talib_columns.parse(column.base).lookback
            if column.by_talib
            else WARM_UP.get(column.base, 0)
        )
        bars[column.timeframe] = max(bars.get(column.timeframe, 0), before + 1 + column.previous)
    return {timeframe: bars[timeframe] for timeframe in _ORDER if timeframe in bars}


def by_talib(needs: Iterable[tuple[Timeframe, str]]) -> dict[Timeframe, tuple[str, ...]]:
    """The `talib.` columns among what rules of given timeframes need, by the timeframe of their bars, each once."""
    found: dict[Timeframe, dict[str, None]] = {}
    for timeframe, name in needs:
        column = column_of(name, timeframe)
        if column.by_talib:
            found.setdefault(column.timeframe, {})[column.base] = None
    return {
        timeframe: tuple(sorted(found[timeframe])) for timeframe in _ORDER if timeframe in found
    }


def _timeframe(name: str, text: str) -> Timeframe:
    try:
        return Timeframe(text)
    except ValueError:
        raise Misconfigured(
            f"column {name!r}: {text!r} is none of {', '.join(Timeframe)}"
        ) from None


def _meant(base: str) -> str:
    close = difflib.get_close_matches(base, [*PRICES, *FACTS, *WARM_UP], 1)
    return f" (did you mean {close[0]}?)" if close else ""
