"""Asks Dhan about a stored token when another user names its account.

Who owns an account proves it by logging in at Dhan, and that login ends the token that was stored
before. But a token can also be made up. So a token whose account is contested is asked about: one
that Dhan refuses, or that is of another account, is flagged, and the next login gets the account.

Where the guarantee stops: while Dhan does not answer, the account stays with whoever has it.
"""

from __future__ import annotations

from typing import Final

import httpx
import structlog

from bus.database import StoreAway
from dhan.outcomes import TokenRefused, Unknown
from dhan.profile import AccountOf, account_of
from executors.clock import MonotonicClock
from executors.modes import ModeRules
from executors.store import Questioned, Store
from executors.tokens import RefusedTokens
from schemas.errors import Unreadable

log = structlog.get_logger(__name__)

ROUND_EVERY: Final = 5.0  # seconds; a person waits for the answer
ASK_AGAIN_AFTER: Final = 20.0  # seconds, where Dhan gave no clear answer
AT_MOST: Final = 100  # tokens a round, each one call of at most a second
OF_ANOTHER: Final = "account_mismatch"


class ContestSweep:
    """Rounds over the tokens whose accounts are contested."""

    def __init__(
        self,
        store: Store,
        rules: ModeRules,
        http: httpx.AsyncClient,
        tokens: RefusedTokens,
        machine: MonotonicClock,
    ) -> None:
        self._store = store
        self._rules = rules
        self._http = http
        self._tokens = tokens
        self._machine = machine

    async def run(self) -> None:
        """Round after round, for ever."""
        while True:
            try:
                await self.round()
            except StoreAway as error:
                log.warning("contests_wait", error=str(error))
            await self._machine.sleep(ROUND_EVERY)

    async def round(self) -> None:
        """Ask about each token that is due.

        Raises:
            StoreAway: the database does not answer.
        """
        for _ in range(AT_MOST):
            if (questioned := await self._store.question_token(ASK_AGAIN_AFTER)) is None:
                return
            try:
                await self._ask(questioned)
            except Unreadable as error:  # of this token alone; it is asked about again later
                log.error("contested_token_not_noted", user=str(questioned.user), reason=str(error))

    async def _ask(self, questioned: Questioned) -> None:
        user, version = questioned.user, questioned.token_version
        match await account_of(self._http, self._rules.base_url, questioned.credentials):
            case AccountOf(client_id) if client_id == questioned.credentials.client_id:
                await self._store.vouch_for_token(user, version)
            case AccountOf():
                await self._tokens.add(user, version, OF_ANOTHER)
            case TokenRefused(reason, in_words=True):
                await self._tokens.add(user, version, reason)
            case TokenRefused(reason) | Unknown(reason):
                log.warning("contested_token_unanswered", user=str(user), reason=reason)
