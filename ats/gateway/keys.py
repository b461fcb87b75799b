"""Where the keys that tokens are checked with come from: the project's secret, or its public keys.

A project with signing keys publishes their public halves; an older one, a self-hosted one and the
local stand-in share one secret (HS256). One of both is believed, never either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import httpx
import jwt
import orjson
import structlog

from ats.gateway.access import ASYMMETRIC, NotAdmitted, VerifyingKey
from schemas.errors import TryLater

PATH: Final = "/auth/v1/.well-known/jwks.json"
FRESH: Final = 600.0  # seconds, as long as Supabase's own cache holds the document
# seconds between two questions: made-up key ids must not become requests
AGAIN: Final = 30.0
LARGEST: Final = 64 << 10  # bytes; a project has two or three keys
MOST_KEYS: Final = 20

log = structlog.get_logger(__name__)


class Keys(Protocol):
    """Finds the key of a token."""

    async def find(self, key_id: str) -> VerifyingKey:
        """The key of that id.

        Raises:
            NotAdmitted: there is none.
            TryLater: the project's keys are not known, and it does not answer.
        """


class SharedSecret:
    """The project's JWT secret, whatever the token says of keys."""

    def __init__(self, secret: str) -> None:
        self._key = VerifyingKey("HS256", secret)

    async def find(self, key_id: str) -> VerifyingKey:  # noqa: ARG002  (there is one key)
        return self._key


class PublishedKeys:
    """The project's public keys, asked for again from time to time and for an unknown id."""

    def __init__(
        self, supabase_url: str, http: httpx.AsyncClient, monotonic: Callable[[], float]
    ) -> None:
        """`monotonic` tells machine time in seconds."""
        self._url = f"{supabase_url}{PATH}"
        self._http = http
        self._monotonic = monotonic
        self._keys: dict[str, VerifyingKey] = {}
        self._known_at = self._asked_at = -FRESH
        self._one_question = asyncio.Lock()

    async def find(self, key_id: str) -> VerifyingKey:
        async with self._one_question:
            now = self._monotonic()
            stale = now - self._known_at >= FRESH or key_id not in self._keys
            if stale and now - self._asked_at >= AGAIN:
                self._asked_at = now
                await self._ask(now)
        if key_id in self._keys:
            return self._keys[key_id]
        if not self._keys:
            raise TryLater(f"{self._url} told no keys; tokens cannot be checked")
        raise NotAdmitted("another_key")

    async def _ask(self, now: float) -> None:
        """Have the project's keys; those of before stay when it does not answer."""
        try:
            keys = keys_of(await self._document())
        except (httpx.HTTPError, ValueError) as error:
            log.warning("signing_keys_not_read", error=type(error).__name__)
            return
        self._keys, self._known_at = keys, now

    async def _document(self) -> bytes:
        async with self._http.stream("GET", self._url) as response:
            response.raise_for_status()
            read = bytearray()
            async for part in response.aiter_bytes():
                read += part
                if len(read) > LARGEST:
                    raise ValueError(f"more than {LARGEST} bytes")
        return bytes(read)


def keys_of(document: bytes) -> dict[str, VerifyingKey]:
    """The public keys of a JWKS, by id. Shared secrets and other algorithms have no place in one.

    Raises:
        ValueError: it is no JWKS, or has no key that we know.
    """
    read: Any = orjson.loads(document)
    rows = read.get("keys") if isinstance(read, dict) else None
    if not isinstance(rows, list):
        raise ValueError("no JWKS")
    found = dict[str, VerifyingKey]()
    for row in rows[:MOST_KEYS]:
        try:
            key = jwt.PyJWK(row)
        except (jwt.PyJWTError, TypeError, AttributeError):
            continue  # of a kind that we do not know
        if key.algorithm_name in ASYMMETRIC and key.key_id:
            found[key.key_id] = VerifyingKey(key.algorithm_name, key.key)
    if not found:
        raise ValueError("no key that signs with one of " + ", ".join(sorted(ASYMMETRIC)))
    return found
