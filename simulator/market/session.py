"""The hours of the simulated market: those of a regular day of shares, on any day of the week."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from schemas.calendar import EVERY_DAY
from schemas.market import Session


@lru_cache(maxsize=64)
def market_session(day: date) -> Session:
    """From 09:15 to 15:30 of `day`, whichever day it is."""
    session = EVERY_DAY.session(day)
    assert session is not None, f"{day} has no session, yet the simulated market is open every day"
    return session
