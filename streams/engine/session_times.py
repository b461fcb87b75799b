"""When bars closed: minutes of the session and the day of the week, from the calendar."""

from __future__ import annotations

import numpy as np

from schemas.calendar import Calendar
from schemas.units import NS_PER_SECOND
from streams.columns.names import TIME_FACTS
from streams.engine import hours
from streams.engine.compiled import IntArray

_IST_NS = 19_800 * NS_PER_SECOND
_DAY_NS = 86_400 * NS_PER_SECOND
_MINUTE_NS = 60 * NS_PER_SECOND


def session_times(ends: IntArray, kinds: IntArray, calendar: Calendar) -> IntArray:
    """`TIME_FACTS` of bars that end at `ends` (UTC ns): shape (bars, 3).

    `kinds` are the rows of the calendar's table that the instruments trade by. A bar that ends with
    its session belongs to that session.
    """
    # a session may close at midnight, and its last bar is of the day before
    days = (ends - 1 + _IST_NS) // _DAY_NS
    sessions = hours.table(calendar)[kinds, days - hours.FIRST]
    begun = (sessions[:, :, 0] > 0) & (sessions[:, :, 0] < ends[:, None])
    own = sessions[np.arange(len(ends)), np.maximum(begun.sum(axis=1) - 1, 0)]
    times: IntArray = np.empty((len(ends), len(TIME_FACTS)), np.int64)
    times[:, 0] = (ends - own[:, 0]) // _MINUTE_NS
    times[:, 1] = (own[:, 1] - ends) // _MINUTE_NS
    times[:, 2] = (days + 3) % 7  # day 0, 1970-01-01, was a Thursday
    return times
