from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.database.fixtures import SupabaseStack
from tests.simulator.factories import USER
from tests.web.conftest import Site
from tests.web.front import Answer, everything_in
from tests.web.people import Person, age_consents, somebody, stored_token, where


def trading_shape(code: str, kind: str = "Input_Exception", status: int = 400) -> Answer:
    return Answer(
        status,
        json.dumps({"errorType": kind, "errorCode": code, "errorMessage": "in Dhan's words"}),
    )


def data_shape(code: str, status: int = 400) -> Answer:
    return Answer(status, json.dumps({"status": "failed", "data": {code: "in Dhan's words"}}))


def consent(**changes: Any) -> Answer:
    fields = {
        "dhanClientId": USER.client_id,
        "dhanClientName": "One",
        "accessToken": "a-token-of-the-tests-0001",
        "expiryTime": "2099-01-01T00:00:00",
    }
    return Answer(200, json.dumps(fields | changes))


# Every shape and code of the reference, section 2.9, and what no reference promises.
SHAPES = {
    "DH-901": (trading_shape("DH-901", "Invalid_Authentication", 401), "dhan_refused"),
    "DH-902": (trading_shape("DH-902"), "dhan_no_access"),
    "DH-903": (trading_shape("DH-903"), "dhan_no_access"),
    "DH-904": (trading_shape("DH-904", "Rate_Limit", 429), "dhan_busy"),
    "DH-905": (trading_shape("DH-905"), "dhan_rejected"),
    "DH-906": (trading_shape("DH-906", "Order_Error"), "dhan_refused"),
    "DH-907": (trading_shape("DH-907"), "dhan_rejected"),
    "DH-908": (trading_shape("DH-908", "Internal_Server_Error", 500), "dhan_down"),
    "DH-909": (trading_shape("DH-909", "Network_Error", 502), "dhan_down"),
    "DH-910": (trading_shape("DH-910", "Others"), "dhan_rejected"),
    "DH-911": (trading_shape("DH-911", "Invalid_IP"), "dhan_no_access"),
    "DH-901 with 200": (trading_shape("DH-901", status=200), "dhan_refused"),
    "an unknown code": (trading_shape("DH-999"), "dhan_rejected"),
    "an unknown code with 200": (trading_shape("DH-999", status=200), "dhan_rejected"),
    **{
        code: (data_shape(code), problem)
        for code, problem in {
            "800": "dhan_down",
            "804": "dhan_rejected",
            "805": "dhan_busy",
            "806": "dhan_no_access",
            "807": "dhan_refused",
            "808": "dhan_refused",
            "809": "dhan_refused",
            "810": "dhan_refused",
            "811": "dhan_rejected",
            "812": "dhan_rejected",
            "813": "dhan_rejected",
            "814": "dhan_rejected",
        }.items()
    },
    "807 with 200": (data_shape("807", 200), "dhan_refused"),
    "a page of the gateway": (Answer(503, "<html>Service Unavailable</html>"), "dhan_down"),
    "a page with 200": (Answer(200, "<html>hello</html>"), "dhan_unreadable"),
    "nothing with 200": (Answer(200, ""), "dhan_unreadable"),
    "a list": (Answer(200, "[]"), "dhan_unreadable"),
    "forbidden": (Answer(403, "forbidden"), "dhan_refused"),
    "too many": (Answer(429, "slow down"), "dhan_busy"),
    "a redirect": (
        Answer(302, "", (("Location", "https://elsewhere.example/"),)),
        "dhan_unreachable",
    ),
}
CONSENT = Answer(
    200, '{"consentAppId": "the-consent", "consentAppStatus": "GENERATED", "status": "success"}'
)
HALF_ANSWERS = {
    "no token": (consent(accessToken=None), "dhan_unreadable"),
    "no client id": (consent(dhanClientId=None), "dhan_unreadable"),
    "no expiry": (consent(expiryTime=None), "dhan_unreadable"),
    "an expiry that is no time": (consent(expiryTime="tomorrow"), "dhan_unreadable"),
    "an expiry with another zone": (consent(expiryTime="2099-01-01T00:00:00Z"), "dhan_unreadable"),
    "an expiry in the past": (consent(expiryTime="2020-01-01T00:00:00"), "token_refused"),
    "an expiry too far ahead": (consent(), "token_refused"),
    "a token of two characters": (consent(accessToken="ab"), "token_refused"),
    "a token with a line break": (
        consent(accessToken="a-token-of-the-tests\n0001"),
        "token_refused",
    ),
}


async def come_back(person: Person, stack: SupabaseStack) -> str:
    """Return from Dhan's login as somebody who did not come too often; the page that follows."""
    await age_consents(stack)
    # the simulator allows 25 a day, as Dhan does
    person.site.dhan.instead |= {"generate-consent": CONSENT}
    await person.post("/api/dhan/auth", json={"clientId": USER.client_id})
    return where(await person.get("/api/dhan/callback?tokenId=the-token-id"))


async def test_whatever_dhan_answers_to_a_consumed_consent_nothing_is_stored_and_words_are_found(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    outcomes: dict[str, str] = {}
    async with somebody(site) as person:
        for name, (answer, _) in (SHAPES | HALF_ANSWERS).items():
            site.dhan.instead = {"consumeApp-consent": answer}
            outcomes[name] = (await come_back(person, supabase_stack)).removeprefix(
                "/account?notice="
            )
            stored = await stored_token(supabase_stack, person)
            assert stored is None, name
        pages = {
            code: (await person.get(f"/account?notice={code}")).text
            for code in set(outcomes.values())
        }

    assert outcomes == {name: problem for name, (_, problem) in (SHAPES | HALF_ANSWERS).items()}
    assert all(re.search(r'class="notice bad">[^<]{30,}<', page) for page in pages.values())
    # words of others are not passed on
    assert "in Dhan" not in site.log.read_text() + "".join(pages.values())


async def test_whatever_dhan_answers_to_a_wish_for_consent_it_has_a_code_and_leaves_no_attempt_open(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    outcomes: dict[str, str] = {}
    half = {"no consent id": (Answer(200, '{"status": "success"}'), "dhan_unreadable")}
    odd = {
        "a path": (
            Answer(200, '{"status": "success", "consentAppId": "../../evil"}'),
            "dhan_unreadable",
        )
    }
    async with somebody(site) as person:
        for name, (answer, _) in (SHAPES | half | odd).items():
            await age_consents(supabase_stack)
            site.dhan.instead = {"generate-consent": answer}
            asked = await person.post("/api/dhan/auth", json={"clientId": USER.client_id})
            assert asked.status_code == 502
            outcomes[name] = asked.json()["problem"]
        account = await person.account()

    assert outcomes == {name: problem for name, (_, problem) in (SHAPES | half | odd).items()}
    assert account["connecting"] is False


async def test_a_dhan_that_takes_only_get_is_asked_again_with_it(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        back = await person.callback_address()
        site.dhan.instead = {"POST /auth/app/consumeApp-consent": Answer(405, "")}
        connected = where(await person.get(back))

    assert connected == "/account?notice=connected"
    assert await stored_token(supabase_stack, person)


@pytest.mark.parametrize("failure", ["away", "silent"])
async def test_a_dhan_that_does_not_answer_costs_patience_and_nothing_else(
    site: Site, supabase_stack: SupabaseStack, failure: str
) -> None:
    async with somebody(site) as person:
        back = await person.callback_address()
        setattr(site.dhan, failure, True)
        returned, asked = await asyncio.gather(
            person.get(back), person.post("/api/dhan/auth", json={"clientId": USER.client_id})
        )
        told = await person.told(returned)

    assert told == "Dhan did not answer. Nothing was stored. Try again in a minute."
    assert (asked.status_code, asked.json()["problem"]) == (502, "dhan_unreachable")
    assert await stored_token(supabase_stack, person) is None


async def test_a_database_that_does_not_answer_is_named_and_nothing_is_stored(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        back = await person.callback_address()
        site.database.instead = {
            "/rest/v1/": Answer(503, '{"code": "PGRST001", "message": "no database"}')
        }
        returned = await person.get(back)
        asked = await person.post("/api/dhan/auth", json={"clientId": USER.client_id})
        shown = await person.get("/account")
        polled = await person.get("/api/account")
        switched = await person.post("/api/account/switch", json={"on": True, "terms": {}})
        gone = await person.post("/api/dhan/disconnect")
        stored_then = await stored_token(supabase_stack, person)
        site.database.instead = {}
        callback = await person.told(returned)

    assert callback == "Our database does not answer. Nothing was changed. Try again in a minute."
    assert [answer.status_code for answer in (asked, polled, switched, gone)] == [503] * 4
    assert "database does not answer" in shown.text
    assert stored_then is None
    assert "consumeApp-consent" not in everything_in(site.dhan)


DOUBTED = "Dhan may have ended this connection"


async def test_a_token_that_dhan_killed_but_whose_successor_was_not_stored_is_not_shown_as_sound(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    site.dhan.instead = {"consumeApp": consent(expiryTime=tomorrow())}
    async with somebody(site) as person:
        sound = [await come_back(person, supabase_stack), (await person.get("/account")).text]
        site.database.instead = {"rpc/store_dhan_token": Answer(503, "")}
        not_stored = await come_back(person, supabase_stack)
        site.database.instead = {}
        doubted = (await person.get(not_stored)).text
        kept = await stored_token(supabase_stack, person)
        await come_back(person, supabase_stack)
        connected = (await person.get("/account")).text

    assert sound[0] == "/account?notice=connected"
    assert kept == "a-token-of-the-tests-0001"
    assert (
        "our database did not store the connection. An earlier connection may have ended by it"
        in doubted
    )
    assert [DOUBTED in page for page in (sound[1], doubted, connected)] == [False, True, False]


async def test_a_stored_token_is_in_doubt_unless_dhan_said_that_it_made_no_other(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    theirs = consent(dhanClientId="1100000002", expiryTime=tomorrow())
    answers = {
        "down": SHAPES["DH-908"],
        "odd": SHAPES["nothing with 200"],
        "said no": SHAPES["807"],
    }
    doubted = {}
    async with somebody(site) as person:
        for name, answer in {
            **{name: one[0] for name, one in answers.items()},
            "another account": theirs,
        }.items():
            site.dhan.instead = {"consumeApp": consent(expiryTime=tomorrow())}
            await come_back(person, supabase_stack)
            site.dhan.instead = {"consumeApp": answer}
            await come_back(person, supabase_stack)
            doubted[name] = (await person.account())["token_doubted"]

    assert doubted == {"down": True, "odd": True, "said no": False, "another account": False}


async def test_dhan_is_not_asked_for_a_token_while_the_database_cannot_note_it(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        back = await person.callback_address()
        site.database.instead = {"rpc/doubt_dhan_token": Answer(503, "")}
        returned = where(await person.get(back))

    assert returned == "/account?notice=database_away"
    assert "consumeApp-consent" not in everything_in(site.dhan)
    assert await stored_token(supabase_stack, person) is None


def tomorrow() -> str:
    return f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%S}"


@pytest.mark.parametrize("failure", ["away", "silent"])
async def test_an_auth_server_that_does_not_answer_ends_no_session(
    site: Site, failure: str
) -> None:
    async with somebody(site) as person:
        setattr(site.database, failure, True)
        away, callback, switched = await asyncio.gather(
            person.get("/account"),
            person.get("/api/dhan/callback?tokenId=whatever"),
            person.post("/api/account/switch", json={"on": False}),
        )
        setattr(site.database, failure, False)
        back = await person.get("/account")

    assert away.status_code == 200
    assert "database does not answer" in away.text
    assert where(callback) == "/account?notice=database_away"
    assert (switched.status_code, switched.json()) == (503, {"problem": "database_away"})
    assert "Your account" in back.text


async def test_two_tabs_that_connect_at_once_end_with_one_connection_that_works(
    site: Site, supabase_stack: SupabaseStack
) -> None:
    async with somebody(site) as person:
        one, other = await asyncio.gather(person.callback_address(), person.callback_address())
        ends = await asyncio.gather(person.get(one), person.get(other))
        token = await stored_token(supabase_stack, person)
        account = await person.account()

    assert sorted(where(end) for end in ends) == [
        "/account?notice=connected",
        "/account?notice=consent_used",
    ]
    minted = re.findall(r'"accessToken": "([^"]+)"', everything_in(site.dhan))
    assert minted == [token]  # one login was consumed, so Dhan killed no token that we store
    assert account["connection"]["client_id"] == USER.client_id
    assert await dhan_knows(site, str(token))


async def dhan_knows(site: Site, token: str) -> bool:
    async with httpx.AsyncClient(base_url=site.simulator.url) as http:
        headers = {"access-token": token, "client-id": USER.client_id}
        return (await http.get("/v2/profile", headers=headers)).is_success
