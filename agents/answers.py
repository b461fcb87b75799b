"""What a model may answer, and the strict reading of it.

No defaults and no maps: a provider's strict mode needs every field required. Nothing is repaired:
an answer is wholly what we asked for, or it is none.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agents.levels import PriceLevel
from schemas.inputs import MAX_HEADLINES
from schemas.market import Action, Direction
from schemas.messages import Confidence, Label, Score

# Postgres stores no NUL, UTF-8 has no half characters, no sentence needs another control than a tab
# or a line's end, and one that turns the direction of writing shows a person something else than
# what stands there.
_UNWANTED: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def is_clean(text: str) -> bool:
    """Whether `text` can be stored and shown.

    No control characters but tab and line ends, no lone surrogates.
    """
    return _UNWANTED.search(text) is None


def _clean(text: str) -> str:
    if not is_clean(text):
        raise ValueError("control characters")
    return text


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("nothing but spaces")
    return _clean(text)


Reason = Annotated[str, Field(min_length=1, max_length=400), AfterValidator(_words)]
Summary = Annotated[str, Field(min_length=1, max_length=1_500), AfterValidator(_words)]
Symbol = Annotated[Label, AfterValidator(_clean)]
# paise; the dearest share of the exchange costs less than a hundredth of this
Level = Annotated[int, Field(ge=0, le=10**10)]
HeadlineNumber = Annotated[int, Field(ge=1, le=MAX_HEADLINES)]
LONGEST_SESSION: Final = 24 * 60  # minutes; no position is held over night


class Answer(BaseModel):
    """The root of all answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RankedSymbol(Answer):
    """One line of the Scout's list; `score` is the strength of the case, whichever way it leans."""

    symbol: Symbol
    direction: Direction
    score: Confidence
    reason: Reason


class ScoutAnswer(Answer):
    """The short list, best first."""

    ranked: tuple[RankedSymbol, ...]


class AnalystAnswer(Answer):
    """One analyst's opinion of one symbol."""

    symbol: Symbol
    score: Score
    confidence: Confidence
    summary: Summary

    @property
    def bias(self) -> str:
        """Which way it leans, in a word."""
        if not self.score:
            return "NEUTRAL"
        return (Direction.BULLISH if self.score > 0 else Direction.BEARISH).value


class SetupQuality(StrEnum):
    """How good an entry this is, whichever way it leans."""

    NONE = "none"
    WEAK = "weak"
    FAIR = "fair"
    STRONG = "strong"


class TechnicalAnswer(AnalystAnswer):
    """What price and volume say.

    `key_levels` are those that matter now; `invalidation` is the level beyond which the bias is
    wrong. Both are names: where they stand is computed.
    """

    setup: SetupQuality
    key_levels: Annotated[tuple[PriceLevel, ...], Field(max_length=4)]
    invalidation: PriceLevel


class SentimentAnswer(AnalystAnswer):
    """What the headlines say; `counted` are the numbers of those that it rests on."""

    counted: Annotated[tuple[HeadlineNumber, ...], Field(max_length=MAX_HEADLINES)]


class Citation(Answer):
    """A number of the data by its name, such as `rsi_14` or `signal.features.rsi_14`."""

    name: Symbol
    value: Annotated[float, Field(allow_inf_nan=False)]


class CommanderAnswer(Answer):
    """The proposal: what to do about one signal.

    `stop` and `target` in paise around the signal's price, which is the entry; 0 with a HOLD, as
    `horizon_minutes` is. No order takes them: they show whether the proposal holds together
    (`agents.limits`).
    """

    symbol: Symbol
    action: Action
    confidence: Confidence
    stop: Level
    target: Level
    horizon_minutes: Annotated[int, Field(ge=0, le=LONGEST_SESSION)]
    citations: Annotated[tuple[Citation, ...], Field(max_length=8)]
    reasoning: Summary


A = TypeVar("A", bound=Answer)


def read_answer(kind: type[A], text: str) -> A | None:
    """The answer in `text`; None unless all of it is one JSON object of `kind`, no key twice."""
    try:
        _STRICT.decode(text)
        return kind.model_validate_json(text)
    except (ValidationError, ValueError, RecursionError):
        return None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A parser that lets the last of two equal keys win would let a draft and its revision mix."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_without_repeats)
