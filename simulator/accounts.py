"""Who the users are and which tokens they hold.

A user normally has one live token, the last minted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import jwt

from simulator.config import SimulatedUser
from simulator.faults import FaultKind, Faults, Place, Target

TOKEN_LIFE: Final = timedelta(hours=24)  # Dhan, since October 2025


class Origin(StrEnum):
    """How a token came to be. Only web tokens can be renewed."""

    WEB = "SELF"
    APP = "APP"
    PARTNER = "PARTNER"


@dataclass(frozen=True, slots=True)
class _Token:
    client_id: str
    expires_at: datetime | None
    origin: Origin


class Accounts:
    """All users of one simulator.

    `now` gives the wall clock with a time zone, because tokens live in machine time.

    Attributes:
        one_token: Minting a token kills the user's others, as Dhan does; else they live out their
            day.
    """

    def __init__(
        self,
        users: Iterable[SimulatedUser],
        seed: int,
        now: Callable[[], datetime],
        *,
        one_token: bool = True,
        faults: Faults | None = None,
    ) -> None:
        self.one_token = one_token
        self._by_client: dict[str, SimulatedUser] = {}
        self._tokens: dict[str, _Token] = {}
        self._key = hashlib.sha512(f"simulated Dhan, seed {seed}".encode()).hexdigest()
        self._now = now
        self._faults = faults
        self._minted = 0
        for user in users:
            self.add(user)

    def add(self, user: SimulatedUser) -> None:
        """Add a user, or give a known one another token, as if made on Dhan's web site."""
        self._enter(user, Origin.WEB)

    def get(self, client_id: str) -> SimulatedUser | None:
        """The user with this client id, or None."""
        return self._by_client.get(client_id)

    def holder(
        self, token: str, client_id: str | None = None, endpoint: str = ""
    ) -> SimulatedUser | None:
        """Whose live token this is; None when nobody's, expired, dead, or another than
        `client_id`'s.

        The user comes with this token and its end. Each use, at `endpoint`, may be the one at which
        a fault kills the token.
        """
        known = self._tokens.get(token)
        if known is None or client_id not in (None, known.client_id):
            return None
        if known.expires_at is not None and self._now() >= known.expires_at:
            return None
        if self._struck(Target(known.client_id, endpoint, thing="token")):
            self.drop(token)
            return None
        return replace(self._by_client[known.client_id], token=token, expires_at=known.expires_at)

    def origin(self, token: str) -> Origin:
        """How a live token came to be; `holder` has said that it lives."""
        return self._tokens[token].origin

    def mint(self, client_id: str, origin: Origin = Origin.APP) -> SimulatedUser:
        """Give the user a new token of 24 hours.

        Raises:
            KeyError: no such user.
        """
        self._minted += 1
        expires_at = self._now() + TOKEN_LIFE
        claims = {
            "iss": "dhan",
            "exp": int(expires_at.timestamp()),
            "jti": self._minted,
            "tokenConsumerType": origin,
            "dhanClientId": client_id,
        }
        token = jwt.encode(claims, self._key, algorithm="HS512")
        user = replace(self._by_client[client_id], token=token, expires_at=expires_at)
        self._enter(user, origin)
        return user

    def drop(self, token: str) -> None:
        """Make this token invalid from now on."""
        self._tokens.pop(token, None)

    def kill(self, client_id: str | None = None) -> int:
        """Make tokens invalid from now on, of one user or of all; returns how many there were."""
        dead = [
            token for token, known in self._tokens.items() if client_id in (None, known.client_id)
        ]
        for token in dead:
            del self._tokens[token]
        return len(dead)

    def _enter(self, user: SimulatedUser, origin: Origin) -> None:
        if self.one_token:
            self.kill(user.client_id)
        self._by_client[user.client_id] = user
        self._tokens[user.token] = _Token(user.client_id, user.expires_at, origin)

    def _struck(self, target: Target) -> bool:
        strike = self._faults.next_hit(Place.TOKEN, target) if self._faults else None
        return strike is not None and strike.fault.kind is FaultKind.TOKEN_DEATH
