"""What a calendar file may say."""

from __future__ import annotations

import pytest

from schemas.calendar import Calendar
from schemas.errors import Misconfigured


def test_an_instrument_of_the_closing_auction_that_is_none_is_one_message_with_an_example() -> None:
    with pytest.raises(Misconfigured) as caught:
        Calendar.parse('closing_auction = { instruments = ["RELIANCE"] }', "calendar.toml")

    assert str(caught.value) == (
        "calendar.toml: closing_auction.instruments: not an instrument: 'RELIANCE' (expected for example NSE_EQ:2885) "
        "(got ['RELIANCE'])"
    )
