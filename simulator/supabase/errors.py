"""Answers that are not a success, in the shape the Supabase clients read."""

from __future__ import annotations

import re
from typing import Final

import asyncpg

# Postgres error class or code -> HTTP status, longest match first. Source: PostgREST documentation,
# "Errors".
_STATUS: Final[dict[str, int]] = {
    "08": 503, "09": 500, "0L": 403, "0P": 403, "23503": 409, "23505": 409, "25006": 405, "25": 500,
    "28": 403, "2D": 500,
    "38": 500, "39": 500, "3B": 500, "40": 500, "53400": 500, "53": 503, "54": 500, "55": 500,
    "57": 500, "58": 500,
    "F0": 500, "HV": 500, "P0001": 400, "P0": 500, "XX": 500, "42883": 404, "42P01": 404,
    "42P17": 500,
}  # fmt: skip


class RestError(Exception):
    """What `/rest/v1` answers with; `code` is PostgREST's or Postgres's own."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message, "details": details, "hint": hint}


class AuthError(Exception):
    """What `/auth/v1` answers with."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "message": message}


class GatewayError(Exception):
    """What the gateway answers with before any service is asked."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.status = 401
        self.body = {"message": message, "hint": hint}


def unparsable(what: str, text: str) -> RestError:
    """The answer to a query that PostgREST cannot parse."""
    return RestError(400, "PGRST100", f'"failed to parse {what} ({text})" (line 1, column 1)')


def unsupported(feature: str) -> RestError:
    """The answer to what real Supabase can do and the stand-in cannot.

    It is said aloud, never answered wrongly.
    """
    return RestError(
        400, "PGRST127", "Feature not implemented", f"stand-in: {feature} is not implemented"
    )


def from_postgres(error: asyncpg.PostgresError, role: str) -> RestError:
    """Postgres's own error as PostgREST passes it on."""
    code = error.sqlstate or "XX000"
    if chosen := re.fullmatch(r"PT(\d{3})", code):  # a function may choose its HTTP status
        status = int(chosen[1])
    elif code == "42501":
        status = 401 if role == "anon" else 403
    else:
        status = next((_STATUS[code[:size]] for size in (5, 2) if code[:size] in _STATUS), 400)
    return RestError(status, code, str(getattr(error, "message", error)), error.detail, error.hint)


def database_away(error: Exception) -> RestError:
    """The answer while Postgres cannot be reached (503)."""
    return RestError(
        503, "PGRST001", "Could not query the database for the schema cache. Retrying.", str(error)
    )
