from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from ats.runtime.logs import HIDDEN, redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "event",
    [
        {"event": "feed_connecting", "url": "wss://feed/?version=2&token=abc123def&clientId=1"},
        {"event": "order_sent", "access_token": "abc123def"},
        {"event": "failed", "error": "401 for key known-secret-value"},
        {
            "event": "nested",
            "request": {"headers": ["x", "known-secret-value"], "password": "abc123def"},
        },
        {"event": f"called with {JWT}"},
        {"event": "object", "value": ValueError("known-secret-value")},
    ],
    ids=lambda event: event["event"][:12],
)
def test_no_secret_passes_the_redactor(event: dict[str, object]) -> None:
    hidden = str(redactor({"known-secret-value"})(None, "info", event))

    assert HIDDEN in hidden
    assert not [secret for secret in ("abc123def", "known-secret-value", JWT) if secret in hidden]


def test_what_is_no_secret_stays_readable() -> None:
    event = {
        "event": "priced",
        "symbol": "RELIANCE",
        "price": 1,
        "token_expiry": "2026-11-20",
        "input_tokens": 12,
    }

    assert redactor({"known-secret-value"})(None, "info", dict(event)) == event


@pytest.mark.parametrize("style", ["console", "json"])
def test_library_loggers_and_tracebacks_are_redacted_too(style: str) -> None:
    program = (
        "import logging, structlog; from ats.runtime.logs import configure\n"
        f"configure('test', style='{style}', level='info', secrets={{'known-secret-value'}})\n"
        "logging.getLogger('some.library').error('said %s', 'known-secret-value')\n"
        "try: raise RuntimeError('known-secret-value')\n"
        "except RuntimeError: structlog.get_logger('ours').exception('boom', symbol='TCS')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "known-secret-value" not in done.stderr
    assert "boom" in done.stderr
    assert "TCS" in done.stderr
    assert "RuntimeError" in done.stderr
    assert logging.getLogger("some.library").handlers == []
