"""`ats rules columns`: every column that a rule may look at."""

from __future__ import annotations

from rich.console import Console

from streams.columns.about import ABOUT
from streams.columns.names import INDICATOR_OF, TIME_FACTS, WARM_UP_OF
from streams.rules.bars import LONGEST_LOOKBACK

_FORMS = f"""
Of each, except ticks, complete and times, also
  previous_NAME     at the bar before
  NAME@15m          of the last closed bar of a longer timeframe: 3m 5m 15m 30m 60m 1d
With Rule(..., lookback=N), N at most {LONGEST_LOOKBACK}, of each need
  bars.lag(3)["close"]  bars.highest("high", 20)  bars.lowest("low", 20)  bars.since(event, 20)
With another period: with_period("ema", 13); any function of TA-Lib: talib.LINEARREG(timeperiod=14)
Prices are paise. A value is unknown, and the rule silent, for as many bars as it warms up."""


def show(console: Console, word: str = "") -> None:
    """Print every column whose name or sentence holds `word`."""
    for name, sentence in ABOUT.items():
        if word.lower() in f"{name} {sentence}".lower():
            line = f"{name:<22} {_group(name):<15} {WARM_UP_OF.get(name, 0):>4}  {sentence}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_FORMS, markup=False, highlight=False, soft_wrap=True)


def _group(name: str) -> str:
    if name in TIME_FACTS:
        return "time"
    return INDICATOR_OF[name].value if name in INDICATOR_OF else "bar"
