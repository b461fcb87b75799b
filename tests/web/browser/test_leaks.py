"""The search of the whole run can fail: a planted secret is found in every place and dress."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.web.browser.leaks import leaks

TOKEN = (
    "eyJhbGciOiJIUzUxMiJ9.eyJpc3MiOiJkaGFuIiwiZGhhbkNsaWVudElkIjoiMTEwMDAwMDAwMSJ9.c2lnbmF0dXJl/+="
)
SESSION = (
    base64.urlsafe_b64encode(json.dumps({"access_token": "x", "dhan": TOKEN}).encode())
    .decode()
    .rstrip("=")
)
PLANTED = {
    "a body": f'{{"connection": {{"token": "{TOKEN}"}}}}',
    "a header": f"(('X-Debug', '{TOKEN}'),)",
    "an address": f"GET http://127.0.0.1/account?token={quote(TOKEN, safe='')}",
    "a page": f"<script>self.__next_f.push([1,{json.dumps(json.dumps(TOKEN))}])</script>",
    "a log line": json.dumps({"event": "dhan_callback", "detail": f"stored {TOKEN}"}),
    "a message": repr(json.dumps({"token": TOKEN}).encode()),
    "a script": f'const t="{TOKEN}";',
    "a session cookie": f"('Set-Cookie', 'sb-x-auth-token=base64-{SESSION}; HttpOnly')",
    "a session cookie in two pieces": (
        f"('Set-Cookie', 'sb-x-auth-token.0=base64-{SESSION[:90]}; HttpOnly'), ('Set-Cookie', "
        f"'sb-x-auth-token.1={SESSION[90:]}')"
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLANTED)
def test_a_planted_token_is_found_and_named_with_its_place(place: str) -> None:
    assert leaks({"the token": TOKEN}, [(place, PLANTED[place])]) == [f"the token in {place}"]


def test_an_innocent_text_is_let_go() -> None:
    assert leaks({"the token": TOKEN}, [("a body", PLANTED["a body"].replace(TOKEN, ""))]) == []
