"""The gap detector: every tick that was lost lies in a gap, and nothing else makes one."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.binary import Rows
from schemas.calendar import Calendar
from schemas.ids import Segment
from schemas.units import NS_PER_SECOND, UtcNs
from streams.feed.gaps import RECONNECTED, RESTARTED, Gap, GapDetector, Silence
from tests.streams.factories import DAY, at, rows_of, tick

WEEKDAYS = Calendar(closed_weekdays=frozenset({6, 7}))
NOON = at("12:00:00")
FRIDAY, MONDAY = date(2024, 1, 5), date(2024, 1, 8)


def a_detector(*, live: bool = True, segment: Segment = Segment.NSE_EQ) -> GapDetector:
    detector = GapDetector(WEEKDAYS, live=live, stale_after=10.0)
    detector.watch([segment])
    return detector


def came(*moments: int, clock: int | None = None) -> Rows:
    """Rows traded at `moments`, received at once, under the market's clock."""
    rows = rows_of(*(tick(moment, 100_000, clock=clock) for moment in moments))
    rows["received_at"] = rows["clock"]
    return rows


def later(seconds: float, since: UtcNs = NOON) -> UtcNs:
    return UtcNs(since + round(seconds * NS_PER_SECOND))


def connected(detector: GapDetector, wall: UtcNs = NOON) -> None:
    detector.subscribing(wall)
    detector.reading(0.0)


def test_a_steady_connection_has_no_gap() -> None:
    detector = a_detector()
    connected(detector)

    assert not [gap for n in range(1, 60) for gap in detector.accept(came(later(9 * n)), 9.0 * n)]


def test_a_lost_connection_leaves_a_gap_up_to_the_first_tick_of_a_later_time() -> None:
    detector = a_detector()
    connected(detector)
    detector.accept(came(later(1)), 1.0)

    detector.disconnected(later(1))
    connected(detector, later(30))

    assert detector.accept(came(later(31)), 31.0) == [Gap(later(1), later(31), RECONNECTED)]
    assert detector.accept(came(later(32)), 32.0) == []


def test_live_an_old_trade_sent_again_does_not_end_a_gap() -> None:
    detector = a_detector()
    connected(detector)
    detector.accept(came(later(1)), 1.0)
    detector.disconnected(later(1))
    connected(detector, later(30))

    assert detector.accept(came(later(20), clock=later(29)), 30.5) == []
    assert detector.accept(came(later(31)), 31.0) == [Gap(later(1), later(31), RECONNECTED)]


def test_several_failures_in_a_row_are_one_gap_from_the_first_on() -> None:
    detector = a_detector()
    connected(detector)
    detector.accept(came(later(1)), 1.0)

    for n in (1, 5, 9):
        detector.disconnected(later(n))
    connected(detector, later(30))

    assert detector.accept(came(later(31)), 31.0) == [Gap(later(1), later(31), RECONNECTED)]


def test_connections_that_fail_before_the_first_tick_leave_no_gap() -> None:
    detector = a_detector()
    detector.disconnected(UtcNs(0))
    connected(detector)

    assert detector.accept(came(later(1)), 1.0) == []


def test_a_silence_in_an_open_session_is_a_gap_though_the_connection_held() -> None:
    detector = a_detector()
    connected(detector)
    detector.accept(came(later(1)), 1.0)

    (gap,) = detector.accept(came(later(13.5)), 13.5)

    assert (gap.start, gap.end) == (later(1), later(13.5))
    assert gap.reason == "no tick for 12.5 s on an open connection"


def test_a_night_is_no_gap() -> None:
    detector = a_detector()
    evening, morning = at("15:29:59", FRIDAY), at("09:15:01", MONDAY)
    connected(detector, evening)
    detector.accept(came(evening), 1.0)

    assert detector.accept(came(morning), 2.0) == []


def test_a_silence_of_our_own_is_no_gap() -> None:
    detector = a_detector()
    connected(detector)
    detector.accept(came(later(1)), 1.0)

    detector.read_again(later(40))

    assert detector.accept(came(later(41)), 41.0) == []


@pytest.mark.parametrize("clock", [at("08:59:00"), at("12:00:00", date(2024, 1, 6))])
def test_outside_of_sessions_nothing_is_silent(clock: UtcNs) -> None:
    detector = a_detector()
    connected(detector, clock)

    assert detector.silence(3_600.0, clock) is None


def test_a_silence_is_new_once_until_a_tick_comes() -> None:
    detector = a_detector()
    connected(detector)

    assert detector.silence(9.9, later(9.9)) is None
    assert detector.silence(10.0, later(10)) == Silence(10.0, new=True)
    assert detector.silence(11.0, later(11)) == Silence(11.0, new=False)
    detector.accept(came(later(12)), 12.0)
    assert detector.silence(22.0, later(22)) == Silence(10.0, new=True)


def test_what_is_silent_depends_on_the_segments_that_are_watched() -> None:
    evening = at("20:00:00")
    shares, metals = a_detector(), a_detector(segment=Segment.MCX_COMM)
    for detector in (shares, metals):
        connected(detector, evening)

    assert shares.silence(60.0, evening) is None
    assert metals.silence(60.0, evening) == Silence(60.0, new=True)


def test_the_gap_since_a_previous_run_and_one_of_this_run_are_both_told() -> None:
    detector = a_detector(live=False)
    detector.resume(later(-600))
    detector.disconnected(later(-30))
    connected(detector)

    assert detector.accept(came(later(1)), 1.0) == [
        Gap(later(-600), later(1), RESTARTED),
        Gap(later(-30), later(1), RECONNECTED),
    ]


def test_a_previous_run_that_ended_after_the_close_left_no_gap_before_the_open() -> None:
    detector = a_detector()
    detector.resume(at("15:31:00", FRIDAY))
    connected(detector, at("09:00:00", MONDAY))

    assert detector.accept(came(at("09:15:30", MONDAY)), 930.0) == []


def test_of_a_previous_run_that_says_no_clock_the_whole_indian_day_may_be_missing() -> None:
    detector = a_detector()
    detector.resume(UtcNs(0))
    connected(detector)

    assert detector.accept(came(later(1)), 1.0) == [Gap(at("00:00:00", DAY), later(1), RESTARTED)]
    assert detector.accept(came(later(2)), 2.0) == []


def test_a_tick_at_the_clock_of_the_loss_may_be_the_one_that_was_had() -> None:
    detector = a_detector(live=False)
    connected(detector)
    detector.accept(came(later(1)), 1.0)
    detector.disconnected(later(1))
    connected(detector)

    assert detector.accept(came(later(1)), 2.0) == []


def test_in_a_replay_the_market_may_be_years_behind_the_wall() -> None:
    detector = a_detector(live=False)
    connected(detector, later(10**8))
    detector.accept(came(later(1)), 1.0)
    detector.disconnected(later(1))
    connected(detector, later(10**8))

    assert detector.accept(came(later(5)), 2.0) == [Gap(later(1), later(5), RECONNECTED)]


def test_a_gap_after_a_silence_has_a_reason_of_its_own() -> None:
    detector = a_detector()
    connected(detector)
    detector.accept(came(later(1)), 1.0)
    detector.accept(came(later(20)), 20.0)
    detector.disconnected(later(20))
    connected(detector, later(21))

    assert detector.accept(came(later(22)), 22.0) == [Gap(later(20), later(22), RECONNECTED)]


SECONDS = st.integers(1, 40)
STRETCHES = st.lists(st.tuples(st.booleans(), st.lists(SECONDS, max_size=6)), max_size=12)


@given(stretches=STRETCHES, live=st.booleans())
def test_every_lost_tick_lies_in_a_gap_and_every_gap_begins_and_ends_with_a_received_one(
    stretches: list[tuple[bool, list[int]]], live: bool
) -> None:
    """A market that ticks after random pauses, over a connection that comes and goes.

    Connected, all ticks arrive; while it is down, all are lost.
    """
    detector = a_detector(live=live)
    now, clock = NOON, UtcNs(0)
    up = False
    received: list[UtcNs] = []
    lost: list[UtcNs] = []
    gaps: list[Gap] = []
    for connect, pauses in stretches:
        if connect and not up:
            connected(detector, now)
        if up and not connect:
            detector.disconnected(clock)
        up = connect
        for pause in pauses:
            now = later(pause, now)
            if not up:
                lost.append(now)
                continue
            found = detector.accept(came(now), (now - NOON) / NS_PER_SECOND)
            clock = now
            received.append(now)
            gaps += found

    must_be_told = [moment for moment in lost if received and received[0] < moment < received[-1]]
    assert all(any(gap.start < moment < gap.end for gap in gaps) for moment in must_be_told)
    assert {edge for gap in gaps for edge in (gap.start, gap.end)} <= set(received)
    assert all(np.diff([(gap.start, gap.end) for gap in gaps]).ravel() > 0)
    quiet = [
        (one, two)
        for one, two in pairwise(received)
        if two - one < 10 * NS_PER_SECOND and not any(one < moment < two for moment in lost)
    ]
    assert not {(gap.start, gap.end) for gap in gaps if gap.reason != RECONNECTED} & set(quiet)
