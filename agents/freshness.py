"""Whether a signal is still worth a model call.

Older than a decision stays valid, it could only make one that has expired.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from schemas.units import NS_PER_SECOND, UtcNs

# Market time that has passed since a signal, from its event time and the machine time at which it
# was published.
Age: TypeAlias = Callable[[UtcNs, UtcNs], UtcNs]


def live_age(event_time: UtcNs, published_at: UtcNs) -> UtcNs:  # noqa: ARG001 - live, both clocks are one
    """Market time is wall time."""
    return UtcNs(time.time_ns() - event_time)


def replayed_age(event_time: UtcNs, published_at: UtcNs) -> UtcNs:  # noqa: ARG001 - a replayed day has no now
    """The market's clock runs at any speed.

    A signal ages by the machine time it waits, as it would live.
    """
    return UtcNs(max(0, time.time_ns() - published_at))


def always_fresh() -> str:
    """For what does not age, such as the day's scan."""
    return ""


def staleness(age: UtcNs, validity: UtcNs) -> str:
    """Why a signal of `age` is stale; `""` while it is not."""
    if age < validity:
        return ""
    seconds, valid = age // NS_PER_SECOND, validity // NS_PER_SECOND
    return f"the signal is {seconds} s old, a decision is valid for {valid} s"
