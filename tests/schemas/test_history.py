from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ticks
from schemas.errors import Unreadable
from schemas.history import (
    BAR,
    HEADER,
    MAX_ROWS,
    Bar,
    History,
    decode,
    encode,
    is_history,
    records,
    rows_of,
)
from schemas.ids import InstrumentId
from schemas.market import Timeframe
from schemas.topics import MIB
from schemas.units import Price, Quantity, UtcNs
from tests.schemas.factories import RELIANCE, batches, instruments

BAR_OF_FIVE = Bar(UtcNs.seconds(300), Price(100), Price(110), Price(95), Price(105), Quantity(7))


def series(count: int) -> list[Bar]:
    return [BAR_OF_FIVE._replace(start=UtcNs.seconds(300 * (at + 1))) for at in range(count)]


@given(instruments(), st.sampled_from(Timeframe), st.integers(0, 30))
def test_bars_survive_the_wire_unchanged(
    instrument: InstrumentId, timeframe: Timeframe, count: int
) -> None:
    rows = rows_of(instrument, timeframe, series(count))

    again = decode(encode(History(UtcNs(5), rows)))

    assert again.sent_at == 5
    assert again.rows.tobytes() == rows.tobytes()


@given(batches())
def test_ticks_and_history_are_never_taken_for_each_other(batch: ticks.Batch) -> None:
    history = encode(History(UtcNs(5), rows_of(RELIANCE, Timeframe.M5, series(2))))

    assert is_history(history)
    assert not is_history(ticks.encode(batch))
    with pytest.raises(Unreadable):
        ticks.decode(history)
    with pytest.raises(Unreadable):
        decode(ticks.encode(batch))


@given(st.integers(0, 2 * 40 + 31))
def test_a_record_cut_short_is_unreadable(cut: int) -> None:
    value = encode(History(UtcNs(5), rows_of(RELIANCE, Timeframe.M5, series(2))))

    with pytest.raises(Unreadable):
        decode(value[:cut])


@given(st.binary(max_size=200))
def test_random_bytes_are_unreadable_or_history_but_never_a_crash(value: bytes) -> None:
    with contextlib.suppress(Unreadable):
        decode(b"AH" + value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("low", 0),
        ("high", 90),
        ("open", 94),
        ("close", 111),
        ("volume", -1),
        ("timeframe", 7),
        ("segment", 6),
    ],
)
def test_an_impossible_bar_is_named(field: str, value: int) -> None:
    rows = rows_of(RELIANCE, Timeframe.M5, series(2))
    rows[1][field] = value

    with pytest.raises(Unreadable) as caught:
        decode(encode(History(UtcNs(5), rows)))

    assert caught.value.field.startswith("rows[1].")


def test_bars_of_one_instrument_and_timeframe_must_come_in_order() -> None:
    rows = rows_of(RELIANCE, Timeframe.M5, series(2))

    with pytest.raises(Unreadable) as caught:
        decode(encode(History(UtcNs(5), rows[::-1])))

    assert caught.value.field == "rows[1].start"


def test_long_histories_become_several_records_that_fit_a_kafka_message() -> None:
    rows = rows_of(RELIANCE, Timeframe.M1, series(MAX_ROWS + 1))

    parts = list(records(rows, UtcNs(5)))

    assert [len(decode(part).rows) for part in parts] == [MAX_ROWS, 1]
    assert max(map(len, parts)) < MIB - 1024
    assert np.concatenate([decode(part).rows for part in parts]).tobytes() == rows.tobytes()


def test_the_layout_is_packed() -> None:
    assert (HEADER.itemsize, BAR.itemsize) == (32, 40)
