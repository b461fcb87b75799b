"""The services' database client: which connections it has."""

from __future__ import annotations

import pytest

from ats.services.context import open_database
from dhan.connections import KeepAliveTransport

KEY = "sb_secret_of_this_test"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.mark.parametrize(
    ("proxy", "ours"), [("", True), ("http://127.0.0.1:9", False)], ids=["no proxy", "a proxy"]
)
async def test_the_database_is_reached_over_our_connections_unless_a_proxy_leads_there(
    monkeypatch: pytest.MonkeyPatch, proxy: str, ours: bool
) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    if proxy:
        monkeypatch.setenv("https_proxy", proxy)

    async with open_database("https://database.example", KEY) as client:
        http = client.postgrest.session

    assert isinstance(http._transport, KeepAliveTransport) is ours
    assert (KEY in str(client.postgrest.headers)) is True
    assert http.is_closed
