"""How commands ask the database, and what they say when it refuses."""

from __future__ import annotations

from typing import Any, Final

from ats.services.context import database
from ats.settings import load
from bus.database import Answers, RowRefused
from schemas.errors import Misconfigured
from schemas.text import clean

MAX_TEXT: Final = 500  # characters of a reason
MAX_NAME: Final = 100
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"


async def ask(function: str, arguments: dict[str, Any]) -> Any:
    """What a function of the database answers.

    Raises:
        StoreAway, Misconfigured: as `answer`.
    """
    async with database(load()) as client:
        return await answer(function, client.rpc(function, arguments).execute)


async def answer(call: str, execute: Any) -> Any:
    """What `execute` answers, which the log calls `call`.

    Raises:
        StoreAway: the database does not answer.
        Misconfigured: it refuses, with its words.
    """
    try:
        return await Answers(_REMEDY).of(call, execute)
    except RowRefused as refused:
        raise Misconfigured(f"the database refuses it: {refused.text}") from None


def words(text: str, option: str, most: int = MAX_NAME) -> str:
    """What a person typed for `option`, at most `most` characters of it.

    Raises:
        Misconfigured: nothing.
    """
    said = clean(text, most).strip()
    if not said:
        raise Misconfigured(f"{option} needs words: they are kept as evidence")
    return said
