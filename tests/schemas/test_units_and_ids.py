from __future__ import annotations

import re
from datetime import UTC, date, datetime
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import (
    DecisionId,
    InstrumentId,
    Segment,
    SignalId,
    UserId,
    correlation_id,
    decision_id,
    order_id,
    scan_id,
)
from schemas.lineage import Cause, Deduplicator
from schemas.market import to_tick, trading_day
from schemas.units import IST, Paise, UtcNs
from simulator.market.session import market_session
from tests.schemas.factories import RELIANCE, instruments


@given(st.integers(-(10**15), 10**15))
def test_rupees_and_paise_convert_exactly(paise: int) -> None:
    assert Paise.from_rupees(Paise(paise).rupees()) == paise


@pytest.mark.parametrize(
    "text", ["1.005", "abc", "", "nan", "inf", "1e-3", "1e999999999", "1e-999999999"]
)
def test_an_amount_that_is_no_whole_number_of_paise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        Paise.from_rupees(text)


def test_an_amount_is_refused_rather_than_rounded() -> None:
    with pytest.raises(ValueError, match="not an amount"):
        Paise.from_rupees("1.00000000000000000000000000001")


def test_a_refused_amount_is_quoted_shortly() -> None:
    with pytest.raises(ValueError, match="not an amount") as caught:
        Paise.from_rupees("9" * 5_000)

    assert len(str(caught.value)) < 100


def test_paise_read_like_money() -> None:
    assert str(Paise(123_456_789)) == "₹1,234,567.89"


@given(st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001  the zone follows
def test_a_moment_keeps_its_microseconds_through_ist(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)

    assert UtcNs.from_datetime(moment).ist() == moment


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcNs.from_datetime(datetime(2026, 1, 1))  # noqa: DTZ001  the point of the test


def test_the_session_opens_at_0915_ist_and_its_end_is_outside() -> None:
    session = market_session(date(2026, 11, 20))

    assert session.open.ist() == datetime(2026, 11, 20, 9, 15, tzinfo=IST)
    assert session.open in session
    assert session.close not in session
    assert session.close - 1 in session


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_the_trading_day_is_the_date_on_indian_clocks(naive: datetime) -> None:
    moment = naive.replace(tzinfo=UTC)

    assert trading_day(UtcNs.from_datetime(moment)) == moment.astimezone(IST).date()


@given(st.integers(1, 5_000_000), st.sampled_from([1, 5, 10, 50]))
def test_rounding_to_the_tick_recovers_what_a_32_bit_float_blurred(ticks: int, tick: int) -> None:
    exact = ticks * tick
    if exact > 131_072_00:  # beyond ₹131,072 the step of a 32-bit float is coarser than a paisa
        tick, exact = 5, exact // 5 * 5
    if exact > 1_000_000_00:
        return

    assert to_tick(float(np.float32(exact / 100)) * 100, Paise(tick)) == exact


@given(instruments())
def test_an_instrument_is_written_and_read_back(instrument: InstrumentId) -> None:
    assert InstrumentId.parse(str(instrument)) == instrument


@pytest.mark.parametrize(
    "text",
    ["", "NSE_EQ", "NSE_EQ:", "NSE_EQ:-1", "NSE_EQ:4294967296", "XYZ:1", "NSE_EQ:1 ", "NSE_EQ:१"],
)
def test_what_is_no_instrument_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"instrument|security id"):
        InstrumentId.parse(text)


def test_segments_agree_with_their_codes() -> None:
    assert all(Segment.from_code(segment.code) is segment for segment in Segment)
    assert Segment.from_code(6) is None


@given(st.uuids(), st.uuids(), st.uuids())
def test_the_same_cause_gives_the_same_id_and_another_cause_another(
    signal: UUID, user: UUID, other: UUID
) -> None:
    decision = decision_id(SignalId(signal))

    assert decision_id(SignalId(signal)) == decision
    if other != user:
        assert order_id(decision, UserId(user)) != order_id(decision, UserId(other))


@given(st.uuids(), st.uuids())
def test_dhan_accepts_every_correlation_id(decision: UUID, user: UUID) -> None:
    name = correlation_id(order_id(DecisionId(decision), UserId(user)))

    assert re.fullmatch(r"[A-Za-z0-9]{1,25}", name)


def test_ids_never_change() -> None:
    # golden: a change would make every redelivered message look new
    assert str(scan_id(date(2026, 11, 20), RELIANCE)) == "c12395bc-f6b6-5f77-9c72-9b15a351fd1e"


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 3)), max_size=60))
def test_a_reader_sees_each_cause_once_and_in_order(causes: list[tuple[int, int, int]]) -> None:
    seen: dict[int, list[Cause]] = {}
    repeats = Deduplicator()

    for partition, offset, nth in causes:
        if repeats.is_new(partition, Cause(offset, nth)):
            seen.setdefault(partition, []).append(Cause(offset, nth))

    assert all(order == sorted(set(order)) for order in seen.values())


@given(st.integers(0, 2**40), st.integers(0, 10_000))
def test_a_cause_survives_the_header(offset: int, nth: int) -> None:
    assert Cause.decode(Cause(offset, nth).encode()) == Cause(offset, nth)
