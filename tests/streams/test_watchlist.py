from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.units import Paise, Quantity
from streams.feed.watchlist import allotted


def share(number: int) -> Instrument:
    return Instrument(InstrumentId(Segment.NSE_EQ, number), f"S{number}", "", "EQUITY", Quantity(1), Paise(5))


numbers = st.sets(st.integers(1, 40))


@given(st.lists(numbers, min_size=1, max_size=5), numbers)
def test_everything_wanted_is_carried_once_and_what_stays_stays_where_it_is(
    before: list[set[int]], wanted: set[int]
) -> None:
    most = 10
    carried: list[dict[InstrumentId, Instrument]] = []
    taken: set[int] = set()
    for numbers_ in before:  # no instrument on two connections, none too full
        mine = sorted(numbers_ - taken)[:most]
        taken |= set(mine)
        carried.append({share(number).id: share(number) for number in mine})
    wanted = set(sorted(wanted)[: most * len(carried)])

    shares = allotted([share(number) for number in sorted(wanted)], carried, most)

    assert sorted(each.id.security_id for part in shares for each in part) == sorted(wanted)
    assert all(len(part) <= most for part in shares)
    for held, part in zip(carried, shares, strict=True):
        assert {key for key in held if key.security_id in wanted} <= {each.id for each in part}


def test_more_than_all_connections_carry_is_refused_with_the_remedy() -> None:
    with pytest.raises(Misconfigured, match="ATS_FEED_CONNECTIONS"):
        allotted([share(1), share(2), share(3)], [{}, {}], 1)
