"""What a rule is, and the few functions most rules are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import Annotated, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Timeframe
from schemas.strategy import Strategy
from schemas.units import UtcNs
from streams.columns.names import PREVIOUS, lagged, may_be_missing
from streams.columns.parse import parse_column, with_period
from streams.rules.bars import LONGEST_LOOKBACK, Arrays, Columns, Flags

Directions: TypeAlias = npt.NDArray[np.int8]
RuleFunction: TypeAlias = Callable[[Columns], Directions]

# a committee gives its opinion on one instrument no sooner again
COOLDOWN: Final = UtcNs.minutes(15)

_REMEDY: Final = "mend it, or set enabled = false in the rules file"

# a parameter of a rule that looks at an oscillator from 0 to 100
Percent = Annotated[float, Field(ge=0, le=100)]

# of an average; a longer one needs longer bars
Period = Annotated[int, Field(ge=2, le=400)]


def _are_instruments(value: Any) -> bool:
    return isinstance(value, frozenset) and all(
        isinstance(each, InstrumentId) and tuple(map(type, each)) == (Segment, int)
        for each in value
    )


_FIELDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "name": (lambda value: isinstance(value, str), 'a text, such as "wide_range"'),
    "timeframe": (
        lambda value: isinstance(value, Timeframe),
        "one of schemas.market, such as Timeframe.M5",
    ),
    "function": (callable, "a function from columns to directions"),
    "needs": (
        lambda value: isinstance(value, tuple) and all(isinstance(each, str) for each in value),
        'a tuple of column names, such as ("close", "ema_9")',
    ),
    "cooldown": (
        lambda value: isinstance(value, UtcNs) and value >= 0,
        "a span that is not negative, such as UtcNs.minutes(15) of schemas.units",
    ),
    "instruments": (
        lambda value: value is None or (_are_instruments(value) and len(value) > 0),
        'None for all, or some of schemas.ids: frozenset({InstrumentId.parse("NSE_EQ:2885")})',
    ),
    "strategy": (
        lambda value: value is None or isinstance(value, Strategy),
        "None: the rules file says it",
    ),
    "lookback": (
        lambda value: type(value) is int and 0 <= value <= LONGEST_LOOKBACK,
        f"how many bars before its own it looks at, 0 to {LONGEST_LOOKBACK}",
    ),
}
"""Of each field of a rule, what it may be and how to say that."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A named function of closed bars.

    Attributes:
        timeframe: Of the bars it is evaluated on.
        function: From bars to 1 bullish, -1 bearish, 0 nothing for each. Pure: it remembers nothing
            between calls.
        needs: The columns it looks at: `close`, `ema_9`, `previous_ema_9` (at the bar before),
            `ema_50@15m` (the last closed bar of a longer timeframe). Where one of them is NaN,
            because it warms up, the rule is silent; a signal's features begin with these.
        cooldown: Market time after a signal in which the rule stays silent on that instrument.
        instruments: The only ones it is evaluated on; None: all.
        strategy: Its mode and limits, as the rules file says; None where it says nothing.
        lookback: How many bars before its own it looks at (`Columns.lag`). It is silent until it
            knows its needs that many bars back; those that are missing every day, as the opening
            range, may be NaN there.
    """

    name: str
    timeframe: Timeframe
    function: RuleFunction
    needs: tuple[str, ...]
    cooldown: UtcNs = COOLDOWN
    instruments: frozenset[InstrumentId] | None = None
    strategy: Strategy | None = None
    lookback: int = 0

    def __post_init__(self) -> None:
        """Look at each field's type.

        A stranger's rule may hold anything, and would fail in the middle of a day.

        Raises:
            Misconfigured: naming the first field at fault and what to write.
        """
        for name, (fits, write) in _FIELDS.items():
            if not fits(value := getattr(self, name)):
                raise Misconfigured(
                    f"rule {self.name!r}: {name}={value!r} is not usable: write {write}"
                )

    @property
    def key(self) -> str:
        """Its name in snapshots."""
        return f"{self.name}@{self.timeframe}"

    def evaluate(self, bars: Arrays, count: int) -> Directions:
        """Its direction for each of `count` bars; 0 where a column it needs is NaN.

        With a lookback `bars` hold the bars before too, as `close[3]`.

        Raises:
            Misconfigured: it failed, or its result is not one whole number for each bar.
        """
        known = self.knows(bars, count)
        try:
            # a rule may divide by zero; what it makes of the NaN is its result
            with np.errstate(all="ignore"):
                result: object = self.function(Columns(bars, self.needs, self.lookback))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a panic of a Rust library is no Exception
            raise Misconfigured(
                f"rule {self.key} failed: {type(error).__name__}: {_text_of(error)}"
                f"{_line_of(self.function, error)}; {_REMEDY}"
            ) from error
        # nor a subclass: a masked array says under its mask what it does not mean
        if type(result) is not np.ndarray or result.shape != (count,) or result.dtype.kind != "i":
            kind = (
                f"{result.dtype} {result.shape}"
                if type(result) is np.ndarray
                else type(result).__name__
            )
            raise Misconfigured(
                f"rule {self.key} returned {kind} instead of one int8 for each of {count} bars; "
                f"{_REMEDY}"
            )
        return np.where(known, result, 0)

    def knows(self, bars: Arrays, count: int) -> Flags:
        """On which of `count` bars it knows all it needs."""
        known = np.ones(count, np.bool_)
        for name in self.needs:
            known &= ~np.isnan(bars[name])
            if self.lookback and not may_be_missing(name):
                known &= ~np.isnan(bars[lagged(name, self.lookback)])
        return known


def warm_up(rule: Rule) -> dict[Timeframe, int]:
    """How many bars of each timeframe must have closed before `rule` may fire.

    Raises:
        Misconfigured: it needs a column that does not exist.
    """
    bars: dict[Timeframe, int] = {}
    for name in rule.needs:
        column = parse_column(name, rule.timeframe)
        bars[column.timeframe] = max(bars.get(column.timeframe, 0), column.warm_up)
    if rule.lookback:
        bars[rule.timeframe] = bars.get(rule.timeframe, 1) + rule.lookback
    return {timeframe: bars[timeframe] for timeframe in Timeframe if timeframe in bars}


def _text_of(error: BaseException) -> str:
    """What it says; a stranger's exception may fail at that too."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001
        return "it cannot say why"


def _line_of(function: RuleFunction, error: BaseException) -> str:
    """Where in its author's file a rule failed, as the end of a sentence."""
    code = getattr(function, "__code__", None)
    lines = [
        frame.lineno
        for frame in extract_tb(error.__traceback__)
        if code and frame.filename == code.co_filename
    ]
    return f" ({Path(code.co_filename).name}, line {lines[-1]})" if code and lines else ""


def directions(*, bullish: Flags, bearish: Flags) -> Directions:
    """Flags as directions. A comparison with NaN is False, so what is not known yet is neither."""
    return bullish.astype(np.int8) - bearish.astype(np.int8)


def crossing(before: npt.NDArray[Any], now: npt.NDArray[Any]) -> Directions:
    """Bullish where a difference turns positive, bearish where it turns negative.

    0 is not yet a side.
    """
    return directions(bullish=(before <= 0) & (now > 0), bearish=(before >= 0) & (now < 0))


def averages_cross(name: str, timeframe: Timeframe, average: str, fast: int, slow: int) -> Rule:
    """A rule: the `average` (`ema`, `sma`, `wma`) of `fast` bars crosses that of `slow` bars.

    Raises:
        ValueError: `fast` is not the shorter one.
    """
    if fast >= slow:
        raise ValueError(f"fast={fast} must be less than slow={slow}")
    quick, calm = (with_period(average, period) for period in (fast, slow))
    needs = f"{PREVIOUS}{quick}", f"{PREVIOUS}{calm}", quick, calm

    def evaluate(bars: Columns) -> Directions:
        fast_before, slow_before, fast_now, slow_now = (bars[column] for column in needs)
        return crossing(fast_before - slow_before, fast_now - slow_now)

    return Rule(name, timeframe, evaluate, needs)


def threshold_cross(
    before: npt.NDArray[Any], now: npt.NDArray[Any], *, low: float, high: float
) -> Directions:
    """Bullish where an oscillator comes back above `low`, bearish where back below `high`."""
    return directions(
        bullish=(before <= low) & (now > low), bearish=(before >= high) & (now < high)
    )
