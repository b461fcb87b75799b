from __future__ import annotations

from math import inf

import pytest

from benchmarks._paired import FEWEST, at_most, median_between


@pytest.mark.parametrize("count", range(FEWEST))
def test_of_too_few_pairs_nothing_is_shown(count: int) -> None:
    assert median_between([0.0] * count) == (-inf, inf)
    assert at_most(1.0, [0.0] * count) is None


# the sign test's: of 6 pairs the whole range, of 9 without one at each end, of 12 without two
@pytest.mark.parametrize(("count", "left_out"), [(6, 0), (8, 0), (9, 1), (12, 2)])
def test_the_interval_leaves_out_as_many_as_it_may(count: int, left_out: int) -> None:
    assert median_between(range(count)) == (left_out, count - 1 - left_out)


@pytest.mark.parametrize(
    ("differences", "shown"),
    [
        ([0.1, -0.2, 0.0, 0.3, -0.1, 0.2], True),
        ([1.1, 1.2, 1.5, 1.3, 1.2, 2.0], False),
        ([0.1, -0.2, 0.0, 0.3, -0.1, 1.1], None),
    ],
)
def test_small_differences_meet_a_bound_large_ones_miss_it_and_mixed_ones_show_nothing(
    differences: list[float], *, shown: bool | None
) -> None:
    assert at_most(1.0, differences) is shown
