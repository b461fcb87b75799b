"""Whose Dhan account a token is of, as Dhan says and not as a user typed.

Asked where the mode trades real money, once a token. Which account a user's row names was
typed by somebody; a token of another account would trade that one.
"""

from __future__ import annotations

from typing import Final

import httpx
import structlog

from dhan.outcomes import TokenRefused, Unknown
from dhan.profile import AccountOf, account_of
from executors.modes import ModeRules
from executors.risk.situation import Account
from executors.store import Claimed, Connected, TokenVersion
from executors.tokens import RefusedTokens
from schemas.ids import UserId

log = structlog.get_logger(__name__)


class Accounts:
    """What Dhan has said about the tokens that were handed out here."""

    def __init__(self, rules: ModeRules, http: httpx.AsyncClient, tokens: RefusedTokens) -> None:
        self._rules = rules
        self._http = http
        self._tokens = tokens
        self._known: Final[dict[TokenVersion, Account]] = {}

    def must_ask(self, claimed: Claimed | Connected) -> bool:
        """Whether nothing is known of an account that has to be."""
        known = claimed.token_version in self._known
        return not known and self._rules.must_be_whose(claimed.credentials.client_id)

    async def seen(self, user: UserId, claimed: Claimed | Connected) -> Account:
        """What is known about the account behind the credentials of `claimed`.

        Nobody is asked where the mode trades every account, or refuses this one anyway.
        """
        if not self.must_ask(claimed):
            return self._known.get(claimed.token_version, Account.AS_STORED)
        match await account_of(self._http, self._rules.base_url, claimed.credentials):
            case AccountOf(client_id):
                same = client_id == claimed.credentials.client_id
                account = Account.AS_STORED if same else Account.ANOTHER
                self._known[claimed.token_version] = account
                if not same:
                    log.error("account_mismatch", user=str(user))
                return account
            case TokenRefused(reason, in_words):
                if in_words:
                    await self._tokens.add(user, claimed.token_version, reason)
            case Unknown(reason):
                pass
        log.warning("account_unverified", user=str(user), reason=reason)
        return Account.UNVERIFIED
