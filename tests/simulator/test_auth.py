"""Tokens without the consent page: one-time password, renewal, death; and what each dead token
meets.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dhanhq import DhanLogin

from schemas.units import IST
from simulator import totp
from simulator.accounts import Accounts
from simulator.config import SimulatedUser
from simulator.faults import Fault, FaultKind
from simulator.server import Simulator
from tests.simulator.factories import OTHER, USER, call, running

TOTP = "/auth/app/generateAccessToken"


async def mint(simulator: Simulator, **changed: str) -> Any:
    query = {
        "dhanClientId": USER.client_id,
        "pin": USER.pin,
        "totp": totp.now(USER.totp_secret, datetime.now(UTC)),
    }
    asked = "&".join(f"{name}={value}" for name, value in (query | changed).items())
    status, body = await call(simulator, "POST", f"{TOTP}?{asked}", user=None)
    assert status == 200  # also when Dhan says no
    return body


async def works(simulator: Simulator, token: str) -> int:
    status, _ = await call(
        simulator, "GET", "/v2/profile", user=SimulatedUser(USER.client_id, token)
    )
    return status


@pytest.mark.parametrize(
    ("moment", "code"),
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_one_time_passwords_are_those_of_rfc_6238(moment: int, code: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()

    assert totp.now(secret, datetime.fromtimestamp(moment, UTC)) == code


def test_the_secret_is_as_long_as_pyotp_and_authenticators_want_it() -> None:
    secret = USER.totp_secret

    # RFC 4226, section 4; pyotp takes no secret below 128 bits
    assert len(base64.b32decode(secret)) * 8 >= 160


async def test_pin_and_one_time_password_give_a_token_of_a_day_and_kill_the_old_one() -> None:
    async with running() as simulator:
        body = await mint(simulator)
        new, old = await works(simulator, body["accessToken"]), await works(simulator, USER.token)

    life = datetime.fromisoformat(body["expiryTime"]).replace(tzinfo=IST) - datetime.now(IST)
    assert timedelta(hours=23, minutes=59) < life <= timedelta(hours=24)
    assert (body["dhanClientId"], new, old) == (USER.client_id, 200, 401)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pin": "000000"}, "Invalid Pin"),
        ({"totp": "12345"}, "Invalid TOTP"),
        ({"dhanClientId": "1"}, "Invalid Client Id"),
    ],
)
async def test_a_wrong_pin_password_or_client_is_refused_with_status_200(
    change: dict[str, str], message: str
) -> None:
    async with running() as simulator:
        body = await mint(simulator, **change)
        old = await works(simulator, USER.token)

    assert body == {"status": "error", "message": message}
    assert old == 200


async def test_a_second_token_within_two_minutes_is_refused_unless_switched_off() -> None:
    async with running() as simulator:
        first, second = await mint(simulator), await mint(simulator)
        assert await works(simulator, first["accessToken"]) == 200
    async with running(token_every=None) as simulator:
        await mint(simulator)
        free = await mint(simulator)

    assert second == {"status": "error", "message": "Token can be generated once every 2 minutes."}
    assert "accessToken" in free


async def test_the_sdk_mints_renews_and_reads_its_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as simulator:
        monkeypatch.setattr(DhanLogin, "AUTH_BASE_URL", f"{simulator.url}/auth")
        monkeypatch.setattr(DhanLogin, "API_BASE_URL", f"{simulator.url}/v2")
        login = DhanLogin(USER.client_id)
        one_time = totp.now(USER.totp_secret, datetime.now(UTC))
        minted = await asyncio.to_thread(login.generate_token, USER.pin, one_time)
        renewed = await asyncio.to_thread(login.renew_token, minted["accessToken"])
        profile = await asyncio.to_thread(login.user_profile, renewed["accessToken"])
        old = await works(simulator, minted["accessToken"])
        with pytest.raises(Exception, match="DH-901"):
            await asyncio.to_thread(login.renew_token, minted["accessToken"])

    assert profile["dhanClientId"] == USER.client_id
    assert old == 401


async def test_renewal_wants_get_a_live_web_token_and_its_own_client() -> None:
    async with running() as simulator:
        own = {"dhanClientId": USER.client_id}
        by_post, body = await call(simulator, "POST", "/v2/RenewToken", headers=own)
        others, _ = await call(
            simulator, "GET", "/v2/RenewToken", headers={"dhanClientId": OTHER.client_id}
        )
        dead, _ = await call(
            simulator, "GET", "/v2/RenewToken", user=SimulatedUser("1", "dead"), headers=own
        )

    assert (by_post, body["errorCode"]) == (400, "DH-905")
    assert (others, dead) == (401, 401)


def test_a_token_dies_with_its_day() -> None:
    now = [datetime(2026, 11, 23, 9, 0, tzinfo=IST)]
    accounts = Accounts([USER], 1, lambda: now[0])
    token = accounts.mint(USER.client_id).token

    now[0] += timedelta(hours=24) - timedelta(seconds=1)
    assert accounts.holder(token, USER.client_id) is not None
    now[0] += timedelta(seconds=1)
    assert accounts.holder(token, USER.client_id) is None


def test_with_the_switch_off_a_user_may_hold_several_tokens() -> None:
    accounts = Accounts([USER], 1, lambda: datetime(2026, 11, 23, tzinfo=IST), one_token=False)

    fresh = accounts.mint(USER.client_id)

    assert accounts.holder(USER.token) is not None
    assert accounts.holder(fresh.token) is not None


async def test_tokens_can_be_killed_in_the_middle_of_the_day_one_users_or_all() -> None:
    async with running() as simulator:
        _, one = await call(
            simulator, "POST", "/control/tokens/kill", json={"client_id": USER.client_id}
        )
        mine, _ = await call(simulator, "GET", "/v2/profile")
        theirs, _ = await call(simulator, "GET", "/v2/profile", user=OTHER)
        _, rest = await call(simulator, "POST", "/control/tokens/kill")
        now_theirs, _ = await call(simulator, "GET", "/v2/profile", user=OTHER)
        refused, _ = await call(simulator, "POST", "/control/tokens/kill", json=[])

    assert (one, rest) == ({"killed": 1}, {"killed": 1})
    assert (mine, theirs, now_theirs, refused) == (401, 200, 401, 400)


async def test_a_fault_can_kill_a_token_at_the_very_use_it_names() -> None:
    death = Fault(FaultKind.TOKEN_DEATH, client_id=USER.client_id, after=2)
    async with running(faults=(death,)) as simulator:
        seen = [await works(simulator, USER.token) for _ in range(4)]
        again = (await mint(simulator))["accessToken"]
        reborn = await works(simulator, again)

    assert seen == [200, 200, 401, 401]
    assert reborn == 200
