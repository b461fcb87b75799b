"""Asks Dhan whose account a token is of: `GET /profile`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from dhan.outcomes import TokenRefused, Unknown, no_answer
from dhan.transport import (
    BaseUrl,
    CallTimeout,
    Credentials,
    DhanTransport,
    Lost,
    Result,
    text_field,
    trading_error,
)
from schemas.ids import DhanClientId


@dataclass(frozen=True, slots=True)
class AccountOf:
    """The token is of this account."""

    client_id: DhanClientId


Profile: TypeAlias = AccountOf | TokenRefused | Unknown


async def account_of(
    http: httpx.AsyncClient, base_url: BaseUrl, credentials: Credentials
) -> Profile:
    """Whose account the token is of, as Dhan says, within `CallTimeout.PROFILE`."""
    transport = DhanTransport(http, base_url, credentials, CallTimeout.PROFILE)
    return classify_profile(await transport.get("/profile"))


def classify_profile(result: Result) -> Profile:
    """What a result of GET /profile proves."""
    if isinstance(result, Lost):
        return Unknown(result.reason)
    if result.status == httpx.codes.OK and isinstance(result.body, Mapping):
        client_id = text_field(result.body, "dhanClientId")
        # only digits name an account; anything else proves no mismatch
        named = client_id.isascii() and client_id.isdigit()
        return AccountOf(DhanClientId(client_id)) if named else Unknown("profile_unreadable")
    return no_answer(result, trading_error(result.body)[0])
