"""Try a rule in a test: without Kafka, without a market, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.errors import Misconfigured
from streams.rules.bars import consecutive
from streams.rules.rule import Rule


def said(rule: Rule, columns: Mapping[str, Sequence[float] | float]) -> list[int]:
    """What a rule says of bars of one instrument that follow each other: 1, -1 or 0 of each.

    `columns` hold a list of values, oldest first, for each of the rule's needs, or a number for all
    bars; prices are paise. With a lookback the rule is silent until it knows enough bars, as in the
    engine. The cooldown is left out: every bar is judged.

        assert said(my_rule(), {"close": [100, 101, 99], "ema_9": 100}) == [0, 1, -1]

    Raises:
        Misconfigured: a column is missing or the lists differ in length, or the rule fails.
    """
    if missing := [name for name in rule.needs if name not in columns]:
        raise Misconfigured(
            f"rule {rule.key} needs {', '.join(map(repr, missing))} too: "
            "give said() a list of values for each of its needs"
        )
    arrays = {name: np.array(columns[name], float) for name in rule.needs}
    lengths = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len({*lengths.values()}) != 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise Misconfigured(
            f"rule {rule.key}: give said() lists of one length, one value for each bar; "
            f"it got {listed or 'no list'}"
        )
    count = max(lengths.values())
    whole = {name: np.broadcast_to(array, count) for name, array in arrays.items()}
    bars = consecutive(whole, rule.needs, rule.lookback)
    return [int(each) for each in rule.evaluate(bars, count)]
