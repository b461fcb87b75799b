"""What `ats status --json` prints. Amounts are paise, moments UTC nanoseconds."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from ats.gateway.views import Feed, OwnResult
from schemas.frozen import FrozenModel
from schemas.ids import UserId
from schemas.units import Paise, UtcNs


class DeadLetters(FrozenModel):
    """What could not be read, of one topic and for one reason."""

    topic: str
    reason: str
    count: int


class Latency(FrozenModel):
    """From the record of ticks that closed a bar to the bar on its topic, in milliseconds."""

    bars: int = Field(description="how many were measured, the newest")
    p50_ms: float
    p99_ms: float


class Pipeline(FrozenModel):
    """What flows."""

    ticks_per_second: float = Field(description="over the newest seconds")
    lags: dict[str, int] = Field(description="records that wait, by consumer group")
    bar_latency: Latency | None = Field(description="null where no bar closed lately")
    decisions: dict[str, int] = Field(description="of the day, by action")
    failsafe_percent: float | None = Field(
        description="decisions that the safety net made after a failure; null without a decision"
    )
    thinking: Paise = Field(description="of the day's model calls")
    dead_letters: tuple[DeadLetters, ...] = Field(
        description="of the last day, most frequent first"
    )


class Person(FrozenModel):
    """One user."""

    user_id: UserId
    active: bool | None = Field(description="null where nothing was told lately")
    reason: str = Field(description="why they are active or not")
    green: bool | None = Field(description="their preflight; null without one today")
    reds: tuple[str, ...]
    result: OwnResult
    exposure: Paise = Field(description="of what is held, both sides added, at the last prices")
    positions: int = Field(description="instruments that are held")
    orders: int = Field(description="of the day")
    unprotected_seconds: float = Field(
        description="machine seconds of the day in which no stop rested for all of a position"
    )
    unprotected_now: bool


class Incident(FrozenModel):
    """Something that somebody should know."""

    at: UtcNs = Field(description="when it was published, machine time")
    kind: str
    user_id: UserId | None
    words: str


class Status(FrozenModel):
    """All of it at one moment."""

    at: UtcNs = Field(description="machine time")
    trading_date: date | None
    clock: UtcNs = Field(description="market clock; 0 before the first tick was seen")
    feeds: tuple[Feed, ...]
    pipeline: Pipeline
    users: tuple[Person, ...]
    incidents: tuple[Incident, ...] = Field(description="the newest, newest first")
