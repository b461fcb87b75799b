"""The compiled pass writes what orjson writes of a dictionary."""

from __future__ import annotations

import math

import numpy as np
import orjson

from streams.engine.named_values import NamedValues

ODD = (math.nan, math.inf, -math.inf, -0.0, 0.0, 5.0, 5e-324, 1.7976931348623157e308, 1e16, -1e-7)


def test_rows_are_written_as_orjson_writes_dictionaries_whatever_their_values() -> None:
    chance = np.random.default_rng(5)
    values = chance.normal(size=(300, 40)) * 10.0 ** chance.integers(-20, 20, (300, 40))
    values[chance.random(values.shape) < 0.3] = np.nan
    values[:10, : len(ODD)] = ODD
    columns = [(f'a "{place * 7 % 40}"', place) for place in range(0, 40, 3)]

    written = NamedValues(columns).written(values)

    named = [{name: float(row[place]) for name, place in sorted(columns)} for row in values]
    assert written == [orjson.dumps(row) for row in named]


def test_one_column_or_none_is_an_object_too() -> None:
    values = np.array([[1.5], [math.nan]])

    assert NamedValues([("a", 0)]).written(values) == [b'{"a":1.5}', b'{"a":null}']
    assert NamedValues([]).written(values) == [b"{}", b"{}"]
