"""What a person can do about a model call that gave nothing, in one clause. Pure."""

from __future__ import annotations

from typing import Final

from schemas.messages import CallOutcome, LlmCall

_UNPAID: Final = ("HTTP 402", "insufficient_quota", "billing")
_BY_STATUS: Final = {
    "HTTP 401": "the provider does not know the key: check the setting that holds it, such as "
    "OPENAI_API_KEY",
    "HTTP 403": "the key may not use this model: check its rights at the provider",
    "HTTP 404": "the provider has no such model or address: check ATS_MODEL",
    "HTTP 400": "the provider does not take the question: check ATS_MODEL and "
    "ATS_MODEL_SCHEMA_MODE",
    "HTTP 429": "the provider is busy, or limits how often it is asked",
}
_BY_OUTCOME: Final = {
    CallOutcome.TRANSPORT: "nobody answers at the model's address: check the network and ATS_MODEL",
    CallOutcome.BUDGET: "the day's money for models is spent: ATS_MODEL_BUDGET_RUPEES",
    CallOutcome.TIMEOUT: "the model took too long",
}


def remedy_of(call: LlmCall) -> str:
    """What happened and what to do, such as `HTTP 401: …`; `""` when there is nothing to say."""
    if any(word in call.detail for word in _UNPAID):
        return f"{call.detail}: the account has no credit left: top it up at the provider"
    status = call.detail[:8]
    if status in _BY_STATUS:
        return f"{call.detail}: {_BY_STATUS[status]}"
    if status.startswith("HTTP 5"):
        return f"{call.detail}: the provider is in trouble"
    if call.outcome is CallOutcome.BUDGET and ":" in call.detail:  # which cap, if not the day's
        return call.detail
    if call.outcome in _BY_OUTCOME:
        said = f"{call.detail}: " if call.outcome is CallOutcome.TRANSPORT and call.detail else ""
        return f"{said}{_BY_OUTCOME[call.outcome]}"
    return ""
