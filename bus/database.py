"""Asks the database over its REST API, and says what an answer that is none means.

One reading for agents and executors. Between us and Postgres stand gateways that answer 429, 401 or
404 with pages of their own. None of that says anything about our settings, so it is waited out.
Only a body of PostgREST's carries a code, and even one that names a wrong key or a missing function
may pass (a schema cache that reloads, a key that is being changed): it is believed when it keeps
coming.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import httpx
import orjson
from postgrest import APIResponse
from postgrest.exceptions import APIError, APIErrorFromJSON, generate_default_error_message
from pydantic import ValidationError
from supabase import AsyncClient

from schemas.errors import AtsError, Misconfigured, TryLater

# seconds; a call takes milliseconds; a database that needs seconds is away
ANSWER_WITHIN: Final = 3.0
CERTAIN_AFTER: Final = (
    # seconds over which nothing but the same misfit came: longer than PostgREST needs to reload
    20.0
)
# seconds without a misfit of a call, after which the next one is the first
FORGOTTEN_AFTER: Final = 60.0

_SQLSTATE: Final = re.compile(r"[0-9A-Z]{5}")
# Classes and codes that only a person can mend: privileges and names (42), login (28, 0L, 0P),
# schema (3F); PostgREST's own about the request (1), the schema (2) and the key (3). Not PGRST0: it
# has no connection to Postgres.
_SETTINGS: Final = re.compile(r"(42|28|0L|0P|3F)[0-9A-Z]{3}|PGRST[123][0-9A-Z]{2}")
_ROW_CLASSES: Final = ("22", "23")  # data exception, integrity constraint


async def ask(client: AsyncClient, function: str, arguments: Mapping[str, Any]) -> APIResponse:
    """Call a function that answers JSON, for `Answers.of`.

    `client.rpc` does the same. For a batch of some hundred kilobytes its way to JSON and back costs
    more than all the rest of the call.

    Raises:
        httpx.HTTPError, APIError: as `client.rpc` would.
    """
    rest = client.postgrest
    response = await rest.session.post(
        str(rest.base_url.joinpath("rpc", function)),
        content=orjson.dumps(arguments),
        headers={**rest.headers, "Content-Type": "application/json"},
    )
    if not response.is_success:
        try:
            refusal = APIErrorFromJSON.model_validate_json(response.content)
        except ValidationError:
            raise APIError(generate_default_error_message(response)) from None
        raise APIError(dict(refusal))
    try:
        data = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        data = response.text
    return APIResponse.model_construct(data=data)


class StoreAway(TryLater):
    """The database did not answer. Nothing is known about the call; repeat it."""


class RowRefused(AtsError):
    """Postgres refuses what was sent, and would again. Next: keep it aside and go on with the rest.

    Attributes:
        code: SQLSTATE of class 22 or 23.
        text: Postgres's own words; they quote what was sent, never a token, because no call of a
            service sends one.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"SQLSTATE {code}: {text}")
        self.code = code
        self.text = text


class Answers:
    """The database's answers to one service.

    Args:
        remedy: What a person should look at when the database keeps refusing, such as
            `check SUPABASE_SERVICE_KEY`.
    """

    def __init__(self, remedy: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._remedy = remedy
        self._monotonic = monotonic
        # call and kind -> when first, when last
        self._misfits: dict[tuple[str, str], tuple[float, float]] = {}

    async def of(self, call: str, execute: Callable[[], Awaitable[Any]]) -> Any:
        """Return the data that `execute` brings.

        That is a list or an object, or None where a function returns nothing. Every error leaves
        its text behind: a library may quote an answer, and an answer may hold a token.

        Raises:
            StoreAway: no answer, or one that nobody can be sure came from the database.
            RowRefused: Postgres refuses the values sent.
            Misconfigured: the database has said nothing else of this call for `CERTAIN_AFTER`
                seconds.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                data = (await execute()).data
        except TimeoutError:
            raise StoreAway(f"the database gave no answer within {ANSWER_WITHIN:.0f} s") from None
        except httpx.HTTPError as error:
            raise StoreAway(f"the database cannot be reached ({type(error).__name__})") from None
        except APIError as error:
            raise self._refusal(call, error) from None
        if isinstance(data, str):  # a page of a gateway, with status 200
            raise StoreAway("something before the database answered with a page")
        self._misfits.pop((call, "refused"), None)
        return data

    def misfit(self, call: str, why: str, kind: str = "strange") -> StoreAway | Misconfigured:
        """What to raise when `call` cannot work as things are.

        At first that is waited out; it is believed when it keeps coming.
        """
        now = self._monotonic()
        first, last = self._misfits.get((call, kind), (now, now))
        if now - last > FORGOTTEN_AFTER:
            first = now
        self._misfits[call, kind] = (first, now)
        if now - first >= CERTAIN_AFTER:
            return Misconfigured(f"{call}: {why}; {self._remedy}")
        return StoreAway(f"{call}: {why}")

    def _refusal(self, call: str, error: APIError) -> Exception:
        code = str(error.code or "")
        if _SETTINGS.fullmatch(code):
            return self.misfit(call, f"the database refuses ({code})", "refused")
        if _SQLSTATE.fullmatch(code) and code.startswith(_ROW_CLASSES):
            return RowRefused(code, str(error.message or ""))
        return StoreAway(f"the database answered {code[:20] or 'nothing readable'}")
