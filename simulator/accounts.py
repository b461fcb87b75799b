"""Who the users are and which token each holds: one live token per user, the last minted."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import jwt

from simulator.config import SimulatedUser

TOKEN_LIFE: Final = timedelta(hours=24)  # Dhan, since October 2025


class Accounts:
    """All users of one simulator. `now` gives the wall clock with a time zone, because tokens live in machine time."""

    def __init__(self, users: Iterable[SimulatedUser], seed: int, now: Callable[[], datetime]) -> None:
        self._by_client = {user.client_id: user for user in users}
        self._key = hashlib.sha512(f"simulated Dhan, seed {seed}".encode()).hexdigest()
        self._now = now
        self._minted = 0

    def add(self, user: SimulatedUser) -> None:
        """Add a user, or give a known one another token."""
        self._by_client[user.client_id] = user

    def get(self, client_id: str) -> SimulatedUser | None:
        return self._by_client.get(client_id)

    def holder(self, token: str, client_id: str | None = None) -> SimulatedUser | None:
        """Whose live token this is; None when nobody's, expired, or another than `client_id`'s."""
        for user in self._by_client.values():
            if client_id in (None, user.client_id) and hmac.compare_digest(user.token.encode(), token.encode()):
                return user if user.expires_at is None or self._now() < user.expires_at else None
        return None

    def mint(self, client_id: str) -> SimulatedUser:
        """Give the user a new token of 24 hours; the old one is dead from now on.

        Raises:
            KeyError: no such user.
        """
        self._minted += 1
        expires_at = self._now() + TOKEN_LIFE
        claims = {
            "iss": "dhan",
            "exp": int(expires_at.timestamp()),
            "jti": self._minted,
            "tokenConsumerType": "APP",
            "dhanClientId": client_id,
        }
        token = jwt.encode(claims, self._key, algorithm="HS512")
        user = replace(self._by_client[client_id], token=token, expires_at=expires_at)
        self._by_client[client_id] = user
        return user
