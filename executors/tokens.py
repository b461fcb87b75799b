"""Tokens that Dhan has refused: remembered here at once, flagged in the database for everybody.

A token is known by the version that the database gave it when it was stored, so that its refusal
never hits the one stored after it. What is flagged ends the user's claims until they connect again
(`supabase/migrations`); their switch stays as they set it.

Where the guarantee stops: orders of one user that are on their way at the same moment in several
processes may each be refused once.
"""

from __future__ import annotations

import structlog

from executors.clock import MonotonicClock
from executors.store import Store, TokenVersion, retry_until_available
from schemas.ids import UserId

log = structlog.get_logger(__name__)


class RefusedTokens:
    """What this process has seen refused."""

    def __init__(self, store: Store, machine: MonotonicClock) -> None:
        self._store = store
        self._machine = machine
        self._versions: set[TokenVersion] = set()

    def __contains__(self, version: TokenVersion) -> bool:
        return version in self._versions

    async def add(self, user: UserId, version: TokenVersion, code: str) -> None:
        """Dhan refused this token in words: from now on no order of this process leaves with it.

        Returns when the database has it too, however long that is away.
        """
        self._versions.add(version)
        # also when it is remembered: who remembered it may not have reached the database
        in_force = await retry_until_available(
            lambda: self._store.refuse_token(user, version, code), self._machine
        )
        log.warning("token_refused", user=str(user), code=code, in_force=in_force)
