"""Whether a signal is still worth a model call.

Older than a decision stays valid, it could only make one that has expired.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from schemas.ids import InstrumentId
from schemas.messages import Signal
from schemas.strategy import StrategyMode, counts_for, mode_of
from schemas.units import NS_PER_SECOND, UtcNs

# The shortest bar: live, a later signal is later by that at least. A replay's market is faster, and
# what has waited less than that is not old.
WAITED: Final = UtcNs.minutes(1)

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


@dataclass(slots=True)
class NewestSignals:
    """The newest signal of each instrument and mode that this process has received.

    Where it stops: what another process received is not known here.
    """

    _moments: defaultdict[InstrumentId, dict[StrategyMode, UtcNs]] = field(
        default_factory=lambda: defaultdict(dict)
    )

    def note(self, signal: Signal) -> None:
        """Know of `signal`, which may still wait for its turn."""
        moments, mode = self._moments[signal.instrument], mode_of(signal.strategy)
        moments[mode] = max(moments.get(mode, signal.event_time), signal.event_time)

    def superseded(self, signal: Signal, age: UtcNs) -> str:
        """Why a signal of `age` gives way to a later one; `""` while it does not.

        Nor does one give way to a strategy that goes less far. The caller records it, so that a
        replay needs no queue.
        """
        moments, mode = self._moments[signal.instrument], mode_of(signal.strategy)
        told = (at for other, at in moments.items() if counts_for(other, mode))
        later = max(told, default=signal.event_time) - signal.event_time
        if later <= 0 or age < WAITED:
            return ""
        return f"a signal of the symbol that is {later // NS_PER_SECOND} s later waits already"
