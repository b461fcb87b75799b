"""What the day's master says of an instrument, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from executors.risk.listed import UNLISTED, DayMaster, Listed
from schemas.market import PriceBand, trading_day
from schemas.units import Price, Quantity
from tests.executors.factories import NIFTY, RELIANCE, TEN_O_CLOCK

TODAY = trading_day(TEN_O_CLOCK)
BAND = PriceBand(Price(90_000), Price(110_000))
SHARE = replace(RELIANCE, band=BAND, freeze_quantity=Quantity(500), has_derivatives=False)


def test_the_master_of_today_tells_band_and_freeze_quantity() -> None:
    master = DayMaster({SHARE.id: SHARE}, TODAY)

    assert master.of(SHARE.id, TODAY) == Listed(BAND, True, Quantity(500))


def test_the_master_of_yesterday_says_nothing_of_today() -> None:
    master = DayMaster({SHARE.id: SHARE}, TODAY - timedelta(days=1))

    assert master.of(SHARE.id, TODAY) == Listed(band_needed=True)


def test_in_a_replay_the_master_is_of_any_day() -> None:
    master = DayMaster({SHARE.id: SHARE})

    assert master.of(SHARE.id, TODAY - timedelta(days=400)).band == BAND


def test_a_share_with_derivatives_needs_no_band_and_what_is_not_listed_does() -> None:
    master = DayMaster({RELIANCE.id: RELIANCE}, TODAY)

    assert not master.of(RELIANCE.id, TODAY).band_needed
    assert master.of(NIFTY.id, TODAY) == UNLISTED
