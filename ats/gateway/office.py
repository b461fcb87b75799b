"""Who operates, asked of the database at each question, with the asker's own token.

The gateway has no key that opens the database. What it may see for an operator, the database's
functions decide: they look the operator up, and whether the session of the token lives.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Protocol

import httpx
import orjson
import structlog

from ats.gateway.console import DatabaseView, OperatorAction, OperatorActions
from schemas.errors import AtsError
from schemas.ids import UserId
from schemas.units import UtcNs

# Seconds for which somebody whom the database called an operator stays one while it is away: on
# that day the console is needed most. Half as long as a token lives.
STAYS: Final = 1_800.0
MOST_REMEMBERED: Final = 100  # operators
LARGEST: Final = 4 << 20  # bytes of an answer; a thousand users have 0.3 MB
_REFUSED: Final = "42501"  # what the functions raise for whom no operator is

log = structlog.get_logger(__name__)


class NoOperator(AtsError):
    """The asker operates nothing. Next: they are answered as if there were no such route."""


class DatabaseAway(AtsError):
    """The database does not answer. Next: the asker comes again."""


class Office(Protocol):
    """What the database tells operators."""

    async def view(self, token: str) -> DatabaseView:
        """Accounts and halts. Raises NoOperator, DatabaseAway."""

    async def actions(self, token: str, before: int | None) -> OperatorActions:
        """Fifty actions before that one, newest first. Raises NoOperator, DatabaseAway."""


class NoOffice:
    """Of a gateway that was told of no database: nobody is an operator there."""

    async def view(self, token: str) -> DatabaseView:  # noqa: ARG002  (nobody is asked)
        raise NoOperator("no database is named")

    async def actions(self, token: str, before: int | None) -> OperatorActions:  # noqa: ARG002
        raise NoOperator("no database is named")


class SupabaseOffice:
    """Asks the project's REST API."""

    def __init__(
        self,
        supabase_url: str,
        anon_key: str,
        http: httpx.AsyncClient,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`anon_key` opens nothing: what is answered, the asker's token decides."""
        self._url = f"{supabase_url}/rest/v1/rpc"
        self._key = anon_key
        self._http = http
        self._clock = clock

    async def view(self, token: str) -> DatabaseView:
        answer = await self._ask("operator_view", token, {})
        try:
            return DatabaseView.of(answer, UtcNs(self._clock()))
        except (KeyError, TypeError, ValueError) as error:
            raise _strange("operator_view", type(error).__name__) from None

    async def actions(self, token: str, before: int | None) -> OperatorActions:
        answer = await self._ask("operator_actions_before", token, {"p_before": before})
        try:
            return OperatorActions(actions=tuple(map(OperatorAction.of, answer)))
        except (KeyError, TypeError, ValueError) as error:
            raise _strange("operator_actions_before", type(error).__name__) from None

    async def _ask(self, function: str, token: str, arguments: dict[str, Any]) -> Any:
        headers = {"apikey": self._key, "Authorization": f"Bearer {token}"}
        read = bytearray()
        try:
            async with self._http.stream(
                "POST", f"{self._url}/{function}", json=arguments, headers=headers
            ) as response:
                async for part in response.aiter_bytes():
                    read += part
                    if len(read) > LARGEST:
                        raise _strange(function, "too long")
            answer = orjson.loads(bytes(read))
        except (httpx.HTTPError, ValueError) as error:
            raise _strange(function, type(error).__name__) from None
        if response.status_code == httpx.codes.OK:
            return answer
        if isinstance(answer, dict) and answer.get("code") == _REFUSED:
            raise NoOperator("the database knows no such operator")
        raise _strange(function, f"status {response.status_code}")


class Roles:
    """Lets operators in, and what the database last told one of them stand while it is away."""

    def __init__(self, office: Office, monotonic: Callable[[], float]) -> None:
        """`monotonic` tells machine time in seconds."""
        self._office = office
        self._monotonic = monotonic
        self._told: OrderedDict[UserId, tuple[float, DatabaseView]] = OrderedDict()

    async def view(self, user: UserId, token: str) -> tuple[DatabaseView, bool]:
        """What the database says now, or said last; and whether it is away.

        Raises:
            NoOperator: `user` is none.
            DatabaseAway: it did not answer, and did not call them one within `STAYS`.
        """
        try:
            found = await self._office.view(token)
        except NoOperator:
            self._told.pop(user, None)
            raise
        except DatabaseAway:
            at, last = self._told.get(user, (-STAYS, None))
            if last is None or self._monotonic() - at >= STAYS:
                raise
            return last, True
        self._told[user] = self._monotonic(), found
        self._told.move_to_end(user)
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)
        return found, False

    async def actions(self, token: str, before: int | None) -> OperatorActions:
        """As `Office.actions`; nothing is remembered."""
        return await self._office.actions(token, before)


def _strange(function: str, why: str) -> DatabaseAway:
    """Logged without a word of the answer: it is about users."""
    log.warning("database_not_read", function=function, why=why)
    return DatabaseAway(f"{function}: {why}")
