"""Structured logs for every service, console or JSON, without secrets.

structlog and the standard library's logging (Faust, aiokafka, httpx…) end in one formatter. A last
processor replaces every known secret value and everything that looks like a token, whatever wrote
it.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor

_NOISY: Final = (
    "httpx",
    "httpcore",
    "openai",
    "faust",
    "mode",
    "aiokafka",
    "websockets",
    "asyncio",
    "numba",
    "agno",
)
_SECRET_KEY: Final = re.compile(r"token|secret|password|api_?key|authorization", re.IGNORECASE)
_NOT_SECRET: Final = re.compile(r"token_expiry|_tokens$")
# a JWT, a Supabase secret key, a token in a query string
_LOOKS_SECRET: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|sb_secret_\w+|(?<=token=)[^&\s'\"]+"
)
HIDDEN: Final = "***"


def redactor(secrets: Iterable[str]) -> Processor:
    """A processor that hides `secrets` and what looks like one, in keys, values and tracebacks."""
    known = [
        re.escape(secret) for secret in sorted(secrets, key=len, reverse=True) if len(secret) >= 8
    ]
    pattern = re.compile("|".join([*known, _LOOKS_SECRET.pattern]))

    def hide(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(HIDDEN, value)
        if isinstance(value, dict):
            return {key: HIDDEN if is_secret(key) else hide(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [hide(inner) for inner in value]
        return (
            value
            if isinstance(value, int | float | bool | None)
            else pattern.sub(HIDDEN, str(value))
        )

    def is_secret(key: object) -> bool:
        return bool(_SECRET_KEY.search(str(key))) and not _NOT_SECRET.search(str(key))

    def redact(_: Any, __: str, event: EventDict) -> EventDict:
        return {
            key: HIDDEN if is_secret(key) else hide(value)
            for key, value in event.items()
            if not key.startswith("_")
        }

    return redact


def configure(
    service: str, *, style: str, level: str, secrets: Iterable[str], lasting: bool = True
) -> None:
    """Set up logging for this process. Lines go to standard error; times are UTC.

    Loggers keep what is set up here where it is `lasting`; else it may be set up again.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=lasting,
    )
    last: Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=32)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redactor(secrets),
                last,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
