"""What a provider's answer over HTTP is worth: pure, from the bytes alone.

Strangers write these bytes. What leaves here can be written to Kafka and Postgres and read back:
text is valid, bounded and without control characters, numbers are whole, small and never negative.
Nothing is repaired: odd text is no text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from agents.answers import is_clean
from schemas.messages import CallOutcome

# of UTF-8; the longest valid answer, the Scout's, has 16 KB
MAX_TEXT_BYTES: Final = 64 * 1024
# no model answers more, so a greater number is no account
MAX_OUTPUT_TOKENS: Final = 128 * 1024
_NOTE: Final = 300  # characters of a provider's complaint worth keeping
_NAME: Final = 100  # characters of a model's name

# the provider is busy or away, and so it is with every 5xx
_WORTH_ANOTHER_TRY: Final = frozenset({408, 409, 425, 429})
_UNPAID: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
)
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation"})
# Finish reasons that mean "I will not say": OpenAI's and Anthropic's, and Gemini's own, which its
# endpoint of OpenAI's shape passes on, alone or as `content_filter: SAFETY`.
_REFUSALS: Final = frozenset({
    "content_filter", "refusal", "safety", "recitation", "blocklist", "prohibited_content", "spii",
    "image_safety", "image_recitation", "image_prohibited_content",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Completion:
    """What one call came to.

    `text` is the assistant's whole text, unjudged; only OK promises that there is one.

    Attributes:
        sent: Whether a request left; what nobody was asked costs nothing.
        retry_after: Seconds the provider asked us to wait; None when it did not say.
    """

    outcome: CallOutcome
    text: str | None = None
    detail: str = ""
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    sent: bool = True
    retry_after: float | None = None


def completion_of(
    status: int, headers: Mapping[str, str], body: bytes | None, *, asked_bytes: int, model: str
) -> Completion:
    """Judge a response.

    `body` is None when it was too long or could not be unpacked; `asked_bytes` is the request's
    size.
    """
    if status // 100 != 2:
        return _complaint(status, headers, _parsed(body), model)
    answer = _parsed(body)
    if answer is None:
        return Completion(
            CallOutcome.UNCLEAN, detail="the body is no JSON object, or too long", model=model
        )
    usage = _mapping(answer.get("usage"))
    outcome, text, detail = _outcome(answer)
    return Completion(
        outcome,
        text,
        detail,
        clean(answer.get("model"))[:_NAME] or model,
        _count(usage.get("prompt_tokens"), asked_bytes),  # a token is a byte at least
        _count(usage.get("completion_tokens"), MAX_OUTPUT_TOKENS),
    )


def clean(text: object) -> str:
    """`text` as one line that can be written down anywhere; `""` when it is no text."""
    if not isinstance(text, str):
        return ""
    return " ".join(
        "".join(c if c.isprintable() else " " for c in text[: 2 * MAX_TEXT_BYTES]).split()
    )


def _outcome(answer: Mapping[str, Any]) -> tuple[CallOutcome, str | None, str]:
    """Outcome, text and detail."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        if blocked := clean(_mapping(answer.get("promptFeedback")).get("blockReason")):
            return CallOutcome.REFUSED, None, f"blocked: {blocked}"[:_NOTE]
        return CallOutcome.UNCLEAN, None, "not exactly one choice"
    choice = _mapping(choices[0])
    message = _mapping(choice.get("message"))
    content = message.get("content")
    if isinstance(content, str) and not _storable(content):
        excerpt = clean(content[:_NOTE])
        return (
            CallOutcome.UNCLEAN,
            None,
            f"text too long or with control characters: {excerpt}"[:_NOTE],
        )
    text = content if isinstance(content, str) else None
    outcome, detail = _ending(choice, message, text)
    return outcome, text, detail[:_NOTE]


def _ending(
    choice: Mapping[str, Any], message: Mapping[str, Any], text: str | None
) -> tuple[CallOutcome, str]:
    finish = clean(choice.get("finish_reason"))
    if message.get("refusal"):
        return CallOutcome.REFUSED, clean(message["refusal"]) or "a refusal without words"
    if not _REFUSALS.isdisjoint(re.findall(r"[a-z_]+", finish.lower())):
        return CallOutcome.REFUSED, f"finish_reason {finish}"
    if message.get("tool_calls") or message.get("function_call"):
        return CallOutcome.UNCLEAN, "a tool call, though no tool was offered"
    if choice.get("finish_reason") != "stop":
        return CallOutcome.UNCLEAN, f"finish_reason {finish}"
    return (CallOutcome.OK, "") if text else (CallOutcome.UNCLEAN, "no text")


def _complaint(
    status: int, headers: Mapping[str, str], answer: Mapping[str, Any] | None, model: str
) -> Completion:
    """A status that is no success.

    Of the provider's words only known codes are kept: others may echo the key.
    """
    error = _mapping((answer or {}).get("error"))
    codes = {word for name in ("code", "type") if isinstance(word := error.get(name), str)}
    known = " ".join(sorted(codes & (_UNPAID | _FILTERED)))
    detail = f"HTTP {status} {known}".rstrip()
    if codes & _FILTERED:
        return Completion(CallOutcome.REFUSED, detail=detail, model=model)
    away = status in _WORTH_ANOTHER_TRY or status // 100 == 5
    if away and not codes & _UNPAID:
        return Completion(
            CallOutcome.TRANSPORT, detail=detail, model=model, retry_after=retry_after(headers)
        )
    return Completion(CallOutcome.REJECTED, detail=detail, model=model)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by `retry-after-ms` or `Retry-After`; None when neither is sent.

    A date counts from the response's own date.
    """
    for name, unit in (("retry-after-ms", 1_000), ("retry-after", 1)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
            return float(value) / unit
    try:
        until, now = (parsedate_to_datetime(headers[name]) for name in ("retry-after", "date"))
        # HTTP dates are GMT
        return max(0.0, (until.replace(tzinfo=UTC) - now.replace(tzinfo=UTC)).total_seconds())
    except (KeyError, ValueError, OverflowError):
        return None


def _parsed(body: bytes | None) -> Mapping[str, Any] | None:
    try:
        found = orjson.loads(body or b"")
    except orjson.JSONDecodeError:  # of lone surrogates, invalid UTF-8 and bottomless nesting too
        return None
    return found if isinstance(found, dict) else None


def _storable(text: str) -> bool:
    return len(text) <= MAX_TEXT_BYTES and is_clean(text) and len(text.encode()) <= MAX_TEXT_BYTES


def _count(tokens: object, most: int) -> int:
    return (
        min(tokens, most)
        if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0
        else 0
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
