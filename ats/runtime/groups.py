"""The consumer groups of the services and what each of them reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.topics import DECISIONS, ORDER_EVENTS, ORDERS, SIGNALS, TICKS, Topic

# In the order of the data: whoever is last has nothing left when all before it have nothing left.
GROUPS: Final[Mapping[str, tuple[Topic, ...]]] = {
    "ats-streams": (TICKS,),
    "ats-agents": (SIGNALS,),
    "ats-executors": (DECISIONS, ORDERS),
    "ats-books": (ORDER_EVENTS,),
}
