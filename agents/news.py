"""Where headlines come from, and how they are bounded before a model sees them.

A headline is the one thing in a prompt that strangers write. Here it loses control characters,
length and the future.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agents.quotations import bounded_text
from schemas.errors import Misconfigured, TryLater
from schemas.inputs import SourceAnswer
from schemas.market import trading_day
from schemas.units import IST, UtcNs

MAX_HEADLINES: Final = 8  # a day's news of one share; more only costs tokens
PUBLISHED: Final = time(8)  # of invented headlines: before any market of the day
MAX_SOURCE: Final = 40  # characters of its name
MAX_CHARACTERS: Final = 240  # exchange announcements' subject lines end before this


class Headline(BaseModel):
    """One line of news."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    published_at: UtcNs
    source: str
    text: str


class NotRecorded(TryLater):
    """What a source answered could not be written down, so it may not be used.

    Start the process again.
    """


class NewsSource(Protocol):
    """Gives the headlines of a symbol.

    The same question about the past must get the same answer, or replays differ.
    """

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:
        """What was published on `symbol` by `as_of`; later headlines are dropped by the reader."""
        ...


@runtime_checkable
class ManySources(Protocol):
    """A source of news that reads several others and knows how each is."""

    def sources(self, symbol: str, as_of: UtcNs) -> tuple[SourceAnswer, ...]:
        """Each of them, with what it has on `symbol`."""
        ...


class NoNews:
    """Knows nothing. The sentiment report is then neutral by rule, without a model call."""

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:  # noqa: ARG002
        """Always none."""
        return ()


@dataclass(frozen=True, slots=True)
class FileNews:
    """Headlines by symbol, read once from a JSON file.

    `{"RELIANCE": [{"published_at": …, "source": …, "text": …}]}`.
    """

    by_symbol: dict[str, list[Headline]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> FileNews:
        """Read the file.

        Raises:
            Misconfigured: the file is missing or not of this shape.
        """
        try:
            return cls(_FILE.validate_json(path.read_bytes()))
        except OSError as error:
            raise Misconfigured(
                f"news file {path}: {error.strerror}; give an existing file or none"
            ) from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise Misconfigured(
                f"news file {path}: {where}: {first['msg']}; see docs/agents.md for its shape"
            ) from None

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:  # noqa: ARG002
        """All of the file's headlines on `symbol`, also those after `as_of`."""
        return self.by_symbol.get(symbol, ())


_FILE: Final = TypeAdapter(dict[str, list[Headline]])


class SampleNews:
    """Invented headlines for the demo, so that the sentiment model has something to read.

    Never for real trading. What it says is a function of symbol and day alone.
    """

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:
        """Two invented headlines, as of 08:00 IST."""
        day = trading_day(as_of)
        pick = hashlib.sha256(f"{symbol}|{day.isoformat()}".encode()).digest()
        published_at = UtcNs.from_datetime(datetime.combine(day, PUBLISHED, tzinfo=IST))
        texts = (_SAMPLES[pick[0] % len(_SAMPLES)], _SAMPLES[pick[1] % len(_SAMPLES)])
        return [
            Headline(published_at=published_at, source="sample", text=text.format(symbol))
            for text in texts
        ]


_SAMPLES: Final = (
    "{} wins a large order and raises its full-year guidance",
    "{} reports quarterly profit above estimates",
    "Brokerage upgrades {} to buy on margin recovery",
    "{} to consider a buyback at its next board meeting",
    "{} holds its annual general meeting today",
    "{} appoints a new independent director",
    "Brokerage downgrades {} to sell on rising costs",
    "{} misses estimates as demand weakens",
)


def bounded(headlines: Sequence[Headline], as_of: UtcNs) -> tuple[Headline, ...]:
    """What a model may see at `as_of`.

    Nothing from the future, the newest first, few, short and printable.
    """
    known = sorted(
        (h for h in headlines if h.published_at <= as_of),
        key=lambda h: (-h.published_at, h.source, h.text),
    )
    return tuple(
        Headline(
            published_at=h.published_at,
            source=bounded_text(h.source, MAX_SOURCE),
            text=bounded_text(h.text, MAX_CHARACTERS),
        )
        for h in known[:MAX_HEADLINES]
    )
