"""Whether an analyst's answer fits what it was shown, and what is reported of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from agents.answers import AnalystAnswer, SentimentAnswer, TechnicalAnswer


def wrong_invalidation(answer: TechnicalAnswer, evidence: Mapping[str, JsonValue]) -> bool:
    """Whether the price is beyond the level of invalidation already, as the evidence has it.

    A level that the evidence does not know says nothing.
    """
    distances = evidence.get("distances")
    known = distances if isinstance(distances, dict) else {}
    above = known.get(answer.invalidation.distance)
    return isinstance(above, int | float) and answer.score * above < 0


def unknown_headline(answer: SentimentAnswer, shown: int) -> bool:
    """Whether a headline counted that was not among the `shown`, or none counted for a score."""
    if any(number > shown for number in answer.counted):
        return True
    return answer.score != 0 and not answer.counted


def report_data(answer: AnalystAnswer) -> dict[str, JsonValue]:
    """What a report says of the answer besides score, confidence and words."""
    told: dict[str, JsonValue] = {"bias": answer.bias}
    match answer:
        case TechnicalAnswer():
            told["setup"] = answer.setup.value
            told["key_levels"] = [level.value for level in answer.key_levels]
            told["invalidation"] = answer.invalidation.value
        case SentimentAnswer():
            told["counted"] = list(answer.counted)
    return told
