from __future__ import annotations

from typing import Any, cast

import httpx
import pytest

from executors.modes import Mode, validate_mode
from schemas.errors import Misconfigured
from schemas.ids import DhanClientId

LIVE = "https://api.dhan.co/v2"


@pytest.mark.parametrize("url", [LIVE, "https://simulator/v2", "https://10.0.0.1/v2"])
def test_a_paper_order_cannot_leave_the_machine(url: str) -> None:
    with pytest.raises(Misconfigured, match="never leave the machine"):
        validate_mode(Mode.PAPER, url)


def test_the_mode_that_trades_for_others_is_refused() -> None:
    with pytest.raises(Misconfigured, match="refused"):
        validate_mode(Mode.EMPANELLED, LIVE, "1100000001", ["1100000001=127.0.0.2"])


def test_a_family_needs_https_and_an_address_for_each_account() -> None:
    with pytest.raises(Misconfigured, match="https"):
        validate_mode(Mode.FAMILY, "http://127.0.0.1:1/v2", egress=["1100000001=127.0.0.2"])
    with pytest.raises(Misconfigured, match="ATS_EGRESS"):
        validate_mode(Mode.FAMILY, LIVE, "1100000001")


def test_a_family_allows_no_account_without_an_address_of_its_own() -> None:
    rules = validate_mode(Mode.FAMILY, LIVE, egress=["1100000001=127.0.0.2"])

    assert rules.allows(DhanClientId("1100000001"))
    assert not rules.allows(DhanClientId("1100000002"))
    assert not rules.allows(None)


def test_live_trading_needs_https_and_names_its_one_account() -> None:
    with pytest.raises(Misconfigured, match="https"):
        validate_mode(Mode.SELF, "http://127.0.0.1:1/v2", "1100000001")
    with pytest.raises(Misconfigured, match="ADMIN_DHAN_CLIENT_ID"):
        validate_mode(Mode.SELF, LIVE)


def test_live_trading_allows_exactly_the_operators_account() -> None:
    rules = validate_mode(Mode.SELF, LIVE, "1100000001")

    assert rules.allows(DhanClientId("1100000001"))
    assert not rules.allows(DhanClientId("1100000002"))
    assert not rules.allows(None)


async def test_the_client_for_paper_orders_cannot_reach_dhan_and_that_for_real_ones_can() -> None:
    paper = validate_mode(Mode.PAPER, "http://127.0.0.1:1/v2")
    real = validate_mode(Mode.SELF, LIVE, "1100000001")

    async with paper.open_client() as here, real.open_client() as anywhere:
        pools = [cast("Any", client)._transport._open_pool(None) for client in (here, anywhere)]
        assert type(pools[0]) is not type(pools[1])
        with pytest.raises(httpx.ConnectError, match="not an address of this machine"):
            await here.get(f"{LIVE}/orders")


def test_updates_of_orders_come_from_where_the_orders_go() -> None:
    paper = validate_mode(Mode.PAPER, "http://127.0.0.1:8791/v2").updates_url
    real = validate_mode(Mode.SELF, LIVE, "1100000001").updates_url

    assert (paper.url, paper.loopback) == ("ws://127.0.0.1:8791/orderupdate", True)
    assert real.url == "wss://api-order-update.dhan.co"


def test_paper_trading_allows_every_account() -> None:
    assert validate_mode(Mode.PAPER, "http://127.0.0.1:1/v2").allows(DhanClientId("1100000002"))
