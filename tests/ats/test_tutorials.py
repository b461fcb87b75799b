"""What the tutorials have a reader write works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ats.commands.rules_new import RULE
from streams.rules.testing import said

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
TEMPLATE = RULE.format(name="wide_range")


def programs(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (TUTORIALS / page).read_text(), re.DOTALL)


def test_the_rule_that_the_page_shows_is_the_one_that_ats_writes() -> None:
    assert programs("first-rule.md")[0] in TEMPLATE


def test_the_changed_rule_fires_less_often() -> None:
    _, condition, needs, *_ = programs("first-rule.md")
    (wide,) = (line for line in TEMPLATE.splitlines(keepends=True) if "wide = " in line)
    (old,) = (line for line in TEMPLATE.splitlines(keepends=True) if "needs = " in line)
    changed = TEMPLATE.replace(
        wide, "".join(f"        {line}\n" for line in condition.splitlines())
    ).replace(old, f"    {needs}")
    module = ModuleType("wide_range")
    exec(changed, vars(module))
    rule = module.wide_range()
    bar = {"open": 10_000, "high": 10_250, "low": 9_990, "close": 10_200, "previous_atr_14": 100}
    bars = {name: np.full(2, value, float) for name, value in bar.items()}
    bars |= {"volume": np.array([5.0, 5.0]), "previous_volume": np.array([4.0, 6.0])}

    assert set(rule.needs) == set(bars)
    assert rule.evaluate(bars, 2).tolist() == [1, 0]


def test_the_rule_that_looks_back_speaks_after_quiet_bars_only() -> None:
    *_, quiet, made = programs("first-rule.md")
    lines = TEMPLATE.splitlines(keepends=True)
    (wide,) = (line for line in lines if "wide = " in line)
    (old,) = (line for line in lines if "return Rule(" in line)
    more = "".join(f"        {line}\n" for line in quiet.splitlines())
    module = ModuleType("wide_range")
    exec(TEMPLATE.replace(wide, wide + more).replace(old, f"    {made}"), vars(module))
    bars: dict[str, Any] = {
        "open": 10_000,
        "close": [10_000] * 12 + [10_200],
        "high": [10_050] * 12 + [10_250],
        "low": 9_990,
        "previous_atr_14": 100,
    }

    assert said(module.wide_range(), bars) == [0] * 12 + [1]
    assert said(module.wide_range(), bars | {"low": [9_500] + [9_990] * 12}) == [0] * 13
