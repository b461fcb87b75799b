from __future__ import annotations

import pytest

from executors.modes import Mode, validate_mode
from schemas.errors import Misconfigured
from schemas.ids import DhanClientId

LIVE = "https://api.dhan.co/v2"


@pytest.mark.parametrize("url", [LIVE, "https://simulator/v2", "https://10.0.0.1/v2"])
def test_a_paper_order_cannot_leave_the_machine(url: str) -> None:
    with pytest.raises(Misconfigured, match="never leave the machine"):
        validate_mode(Mode.PAPER, url)


@pytest.mark.parametrize("mode", [Mode.FAMILY, Mode.EMPANELLED])
def test_modes_that_trade_for_others_are_refused(mode: Mode) -> None:
    with pytest.raises(Misconfigured, match="refused"):
        validate_mode(mode, LIVE, "1100000001")


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


def test_paper_trading_allows_every_account() -> None:
    assert validate_mode(Mode.PAPER, "http://127.0.0.1:1/v2").allows(DhanClientId("1100000002"))
