"""A recorded terminal shows a run's own lines, shortened where it repeats itself."""

from __future__ import annotations

from tools.recorded import MORE, drawn, shortened

HOURS = [f"{hour:02}:00:00 IST   10%  {hour} ticks" for hour in range(9, 15)]


def test_what_a_step_says_while_it_waits_and_the_middle_of_the_day_are_left_out() -> None:
    run = ["loading", "     4 s  loading", "loading: done in 5 s", *HOURS, "The day in 9 seconds"]

    assert list(shortened(run, clocks=2)) == [
        "loading",
        "loading: done in 5 s",
        *HOURS[:2],
        MORE,
        HOURS[-1],
        "The day in 9 seconds",
    ]


def test_a_short_day_is_shown_whole() -> None:
    assert list(shortened(HOURS[:3], clocks=2)) == HOURS[:3]


def test_the_picture_asks_no_other_host_for_a_font() -> None:
    picture = drawn(["loading <ATS>"])

    assert "loading&#160;&lt;ATS&gt;" in picture
    assert "@font-face" not in picture
