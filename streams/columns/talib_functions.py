"""Any function of TA-Lib as a column of closed bars.

By a name such as `talib.LINEARREG(timeperiod=14)`.

A value is TA-Lib's batch function over the last `window` bars of one instrument and timeframe, and
nothing else: it depends on a bounded past, so it is the same after a crash, and state is bars, not
TA-Lib objects that cannot be stored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import talib
from talib import abstract

from schemas.errors import Misconfigured
from streams.columns.names import PRICES
from streams.columns.suggest import did_you_mean

PREFIX: Final = "talib."
WINDOW: Final = 250  # bars; an RSI 14 has then forgotten all but a 40-millionth of how it began
LONGEST: Final = 2_000  # bars of memory per instrument; more belongs into a longer timeframe
# relative: by how much a longer past may change the value of a function that remembers nothing
FORGOTTEN: Final = 1e-9

Values = npt.NDArray[np.float64]

_CALL: Final = re.compile(
    r"talib\.(?P<function>[A-Z0-9_]+)(?:\.(?P<output>\w+))?(?:\((?P<arguments>[^()]+)\))?"
)


@dataclass(frozen=True, slots=True)
class TalibColumn:
    """One function with its arguments.

    Attributes:
        name: The column's name, as it was written.
        inputs: Which of `PRICES` the function takes, in its order.
        output: Which of the function's results, from 0.
        lookback: Bars before the first value.
        window: Bars it is given at most: lookback and one for a function that remembers nothing
            before them.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    parameters: Mapping[str, int | float]
    output: int
    lookback: int
    window: int

    def value(self, bars: Mapping[str, Values]) -> float:
        """The value at the last of `bars` (oldest first).

        NaN in warm-up and where TA-Lib's answer is no finite number.
        """
        count = len(bars[self.inputs[0]])
        if count <= self.lookback:
            return math.nan
        inputs = (bars[name][max(0, count - self.window) :] for name in self.inputs)
        results = self.function(*inputs, **self.parameters)
        value = float((results[self.output] if isinstance(results, tuple) else results)[-1])
        return value if math.isfinite(value) else math.nan


@lru_cache(maxsize=1_000)
def talib_column(name: str, window: int = WINDOW) -> TalibColumn:
    """Read `talib.FUNCTION`, with `(parameter=value,…)` and, of several outputs, `.output`.

    A function of one price takes another column of the bar:
    `talib.SMA(price=volume,timeperiod=20)`.

    Raises:
        Misconfigured: saying what is wrong, and what would be right.
    """
    match = _CALL.fullmatch(name)
    if not match:
        raise Misconfigured(
            f"column {name!r} is not usable: write it as talib.LINEARREG(timeperiod=14), "
            "without spaces, and talib.MACD.macdsignal for one of several outputs"
        )
    about = _function(name, match["function"])
    info = about.info
    inputs, parameters = _arguments(name, info, match["arguments"])
    lookback = _lookback(name, about, inputs, parameters)
    column = TalibColumn(
        name=name,
        function=getattr(talib.func, info["name"]),
        inputs=inputs,
        parameters=parameters,
        output=_output(name, info, match["output"]),
        lookback=lookback,
        window=lookback + 1,
    )
    return column if _forgets(column) else replace(column, window=max(lookback + 1, window))


def _forgets(column: TalibColumn) -> bool:
    """Whether a longer past changes nothing, tried on made-up bars.

    Half of TA-Lib's functions need a tenth of the memory.
    """
    chance = np.random.default_rng(0)
    close = 10_000 + np.cumsum(chance.integers(-90, 91, 3 * column.window + 400)).astype(np.float64)
    opened = np.roll(close, 1)
    high, low = (edge(opened, close) for edge in (np.maximum, np.minimum))
    bars = dict(
        zip(PRICES, (opened, high + 20, low - 20, close, np.abs(close - opened) + 5), strict=True)
    )
    longer = replace(column, window=len(close))
    for end in range(len(close) - 40, len(close)):
        past = {name: values[:end] for name, values in bars.items()}
        if not math.isclose(
            longer.value(past), column.value(past), rel_tol=FORGOTTEN, abs_tol=FORGOTTEN
        ):
            return False
    return True


def _function(name: str, function: str) -> Any:
    known = talib.get_functions()
    if function not in known:
        raise Misconfigured(
            f"column {name!r}: TA-Lib has no function {function}{did_you_mean(function, known)}"
        )
    return abstract.Function(function)  # type: ignore[attr-defined]  # made at run time


def _arguments(
    name: str, info: Any, text: str | None
) -> tuple[tuple[str, ...], dict[str, int | float]]:
    """Inputs and parameters, of which the given ones differ from TA-Lib's defaults."""
    inputs: dict[str, str | list[str]] = dict(info["input_names"])
    parameters: dict[str, int | float] = dict(info["parameters"])
    said: set[str] = set()
    for argument in text.split(",") if text else ():
        key, equals, value = argument.partition("=")
        if key in said:
            raise Misconfigured(f"column {name!r}: {key} is given twice, leave one")
        said.add(key)
        if equals and isinstance(inputs.get(key), str):
            inputs[key] = value
        elif equals and key in parameters:
            parameters[key] = _number(name, key, value, whole=isinstance(parameters[key], int))
        else:
            known = [*parameters, *(key for key, given in inputs.items() if isinstance(given, str))]
            raise Misconfigured(
                f"column {name!r}: {info['name']} has no parameter {argument!r}"
                f"{did_you_mean(key, known)}; it takes {', '.join(known) or 'none'}"
            )
    columns = tuple(
        column
        for given in inputs.values()
        for column in ([given] if isinstance(given, str) else given)
    )
    if unknown := [column for column in columns if column not in PRICES]:
        raise Misconfigured(
            f"column {name!r}: {info['name']} reads {', '.join(unknown)}, "
            f"a bar has {', '.join(PRICES)}"
        )
    return columns, parameters


def _number(name: str, key: str, text: str, *, whole: bool) -> int | float:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        raise Misconfigured(
            f"column {name!r}: {key}={text!r} is not a {'whole ' if whole else ''}number"
        ) from None
    if not math.isfinite(number):
        raise Misconfigured(f"column {name!r}: {key}={text!r} is not finite")
    return number


def _lookback(
    name: str, about: Any, inputs: tuple[str, ...], parameters: dict[str, int | float]
) -> int:
    """Bars before the first value.

    TA-Lib judges parameters when it is called, so it is called; -1 is its lookback of bad ones.
    """
    about.parameters = parameters
    lookback = int(about.lookback)
    given = ", ".join(f"{key}={value}" for key, value in parameters.items())
    if lookback < 0:
        raise Misconfigured(f"column {name!r}: out of range for TA-Lib: {given}")
    if lookback >= LONGEST:
        raise Misconfigured(
            f"column {name!r}: needs {lookback + 1} bars ({given}), at most {LONGEST} are kept"
        )
    bars = np.linspace(1.0, 2.0, lookback + 2)
    try:
        getattr(talib.func, about.info["name"])(*(bars for _ in inputs), **parameters)
    except Exception as error:  # noqa: BLE001  # TA-Lib raises nothing more precise
        raise Misconfigured(f"column {name!r}: TA-Lib refuses {given}: {error}") from None
    return lookback


def _output(name: str, info: Any, wanted: str | None) -> int:
    outputs: list[str] = info["output_names"]
    if wanted is None and len(outputs) == 1:
        return 0
    if wanted not in outputs:
        said = "several outputs, choose one" if wanted is None else f"no output {wanted!r}"
        raise Misconfigured(f"column {name!r}: {info['name']} has {said}: {', '.join(outputs)}")
    return outputs.index(wanted)
