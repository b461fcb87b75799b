"""`ats rules new`: a package with one rule, its entry point and its test, ready to install and to
change.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path
from typing import Final

from rich.console import Console

from schemas.errors import Misconfigured
from streams.rules.discovery import rule_plugins

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{2,40}")

PROJECT: Final = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{package}"
version = "0.1.0"
description = "The rule {name} for ATS"
requires-python = ">=3.11"

# Where ATS finds it: the name before the = is the rule's name.
[project.entry-points."ats.rules"]
{name} = "{name}:{name}"

[tool.hatch.build.targets.wheel]
only-include = ["{name}.py"]
"""

RULE: Final = '''\
"""A bar far wider than usual: say here what your rule believes about markets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.market import Timeframe
from streams.rules import Columns, Directions, Rule, directions


def {name}(
    timeframe: Timeframe = Timeframe.M5,
    times: Annotated[float, Field(gt=1, le=20)] = 2.0,  # a parameter: a type, its limits, a default
) -> Rule:
    """The bar's range is more than `times` the average one; the side is that of the bar."""

    def evaluate(bars: Columns) -> Directions:
        # Each column is an array with one value per bar; compare whole columns, without a loop.
        wide = bars["high"] - bars["low"] > times * bars["previous_atr_14"]
        rising, falling = bars["close"] > bars["open"], bars["close"] < bars["open"]
        return directions(bullish=wide & rising, bearish=wide & falling)

    needs = ("open", "high", "low", "close", "previous_atr_14")
    return Rule("{name}", timeframe, evaluate, needs=needs)
'''

TEST: Final = """\
from __future__ import annotations

import numpy as np

from {name} import {name}

COLUMNS = ("open", "high", "low", "close", "previous_atr_14")  # prices are paise


def said(*bars: tuple[float, ...]) -> list[int]:
    columns = dict(zip(COLUMNS, np.array(bars, float).T, strict=True))
    return {name}().evaluate(columns, len(bars)).tolist()


def test_a_wide_bar_speaks_for_the_side_it_goes() -> None:
    rising, falling = (10_000, 10_250, 9_990, 10_200, 100), (10_200, 10_210, 9_950, 10_000, 100)

    assert said(rising, falling) == [1, -1]


def test_a_usual_bar_and_one_in_warm_up_say_nothing() -> None:
    usual, early = (10_000, 10_050, 9_990, 10_020, 100), (10_000, 10_250, 9_990, 10_200, np.nan)

    assert said(usual, early) == [0, 0]
"""


def write(console: Console, name: str, directory: Path | None) -> None:
    """Write the package of the rule `name` into `directory`, by default a folder of that name here.

    Raises:
        Misconfigured: the name cannot be a rule's or is taken, or the directory is not empty or
            cannot be written.
    """
    home = directory or Path(name)
    _check_name(name)
    try:
        _write(console, name, home)
    except OSError as error:
        raise Misconfigured(
            f"{home} cannot be written: {error.strerror}; name another directory"
        ) from None
    console.print(
        f"Next: install it beside ATS (pip install -e {home}), then ats rules try {name}. "
        "The documentation's guide to rules goes on from there.",
        markup=False,
        soft_wrap=True,  # a command that is wrapped cannot be copied
    )


def _write(console: Console, name: str, home: Path) -> None:
    if home.exists() and any(home.iterdir() if home.is_dir() else [home]):
        raise Misconfigured(f"{home} is there already: name another directory")
    files = {"pyproject.toml": PROJECT, f"{name}.py": RULE, f"test_{name}.py": TEST}
    home.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (home / file).write_text(
            text.replace("{name}", name).replace("{package}", f"ats-rule-{name.replace('_', '-')}")
        )
        console.print(f"wrote {home / file}", markup=False)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise Misconfigured(
            f"{name!r} cannot be a rule's name: 3 to 41 small letters, digits and _, a letter first"
        )
    if any(plugin.name == name for plugin in rule_plugins()):
        raise Misconfigured(
            f"there is a rule {name!r} already (ats rules list): choose another name"
        )
    if importlib.util.find_spec(name) is not None:
        raise Misconfigured(f"there is a Python module {name!r} already: choose another name")
