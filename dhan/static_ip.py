"""Asks Dhan from which address it sees an account's requests: `GET /ip/getIP`.

The documents name the registered addresses only; the wire also says which one is seen and whether
orders are taken from it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from dhan.outcomes import NoAnswer, Unknown, describe, not_shown, single
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


@dataclass(frozen=True, slots=True)
class SeenAddress:
    """What Dhan knows of an account's addresses, each as `ipaddress` writes it.

    Attributes:
        detected: Where this very request came from; None where Dhan does not tell.
        registered: Primary and secondary, without those that are not set.
        orders_allowed: Whether it takes orders from there; None where it does not tell.
    """

    detected: str | None
    registered: tuple[str, ...]
    orders_allowed: bool | None


SeenAddressResult: TypeAlias = SeenAddress | NoAnswer


async def seen_address(
    http: httpx.AsyncClient, base_url: BaseUrl, credentials: Credentials
) -> SeenAddressResult:
    """Where Dhan sees the account's requests come from, within `CallTimeout.PROFILE`."""
    transport = DhanTransport(http, base_url, credentials, CallTimeout.PROFILE)
    return classify_seen_address(await transport.get("/ip/getIP"))


def classify_seen_address(result: Result) -> SeenAddressResult:
    """What a result of GET /ip/getIP says.

    An account without any address is answered with a status of `ERROR` in words.
    """
    if isinstance(result, Lost) or result.status != httpx.codes.OK:
        return not_shown(result)
    body = single(result.body)
    if not isinstance(body, Mapping):
        return Unknown(describe(result, trading_error(body)[0]))
    registered = (_address(body, name) for name in ("primaryIP", "secondaryIP"))
    allowed = body.get("ordersAllowed")
    return SeenAddress(
        _address(body, "detectedIP"),
        tuple(address for address in registered if address),
        allowed if isinstance(allowed, bool) else None,
    )


def _address(body: Mapping[str, object], name: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text_field(body, name).strip()))
    except ValueError:
        return None
