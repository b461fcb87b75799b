"""What the generated messages are made of: open to whatever a newer producer writes."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class OpenEnum(StrEnum):
    """A closed list of words that may grow.

    A word that this version does not know becomes a value of its own: equal to its text, and no
    member. So `decision.action == "BUY"` works whatever comes.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_, word._value_ = "UNKNOWN", value
        return word

    @property
    def known(self) -> bool:
        """Whether this version of the client knows the word."""
        return self.name != "UNKNOWN"


class Part(BaseModel):
    """A part of a message. Never changes once read; fields that it does not know are dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Message(Part):
    """What every message carries.

    Attributes:
        id: The same in every replay, and of every repeat.
        event_time: Market time, nanoseconds since 1970-01-01T00:00:00 UTC.
        causation_id: The message that caused this one; None where only ticks did.
        correlation_id: The signal or scan that the chain began with.
    """

    schema_version: int
    id: UUID
    event_time: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
    causation_id: UUID | None = None
    correlation_id: UUID | None = None
