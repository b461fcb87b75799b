"""Whose token is believed, and whose is not."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from ats.gateway.access import (
    Admitted,
    NotAdmitted,
    VerifyingKey,
    admitted,
    bearer_of,
    key_id_of,
)
from ats.gateway.keys import AGAIN, FRESH, LARGEST, PublishedKeys, keys_of
from ats.services.gateway import keys_of as keys_of_settings
from ats.settings import load
from schemas.errors import Misconfigured, TryLater
from simulator.supabase import tokens
from tests.gateway.gate import ASHA, SECRET, claims_of, token_of

SHARED = VerifyingKey("HS256", SECRET)
SIGNING = ec.generate_private_key(ec.SECP256R1())
JWK = {**ECAlgorithm.to_jwk(SIGNING.public_key(), as_dict=True), "kid": "one", "alg": "ES256"}
NOW = time.time()


def refusal(token: str, key: VerifyingKey = SHARED, now: float = NOW) -> str:
    with pytest.raises(NotAdmitted) as caught:
        admitted(token, key, now)
    assert token not in str(caught.value)
    return caught.value.code


def unsigned(**header: str) -> str:
    parts = (orjson.dumps(each) for each in ({"typ": "JWT", **header}, claims_of(ASHA)))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def test_a_token_of_the_local_supabase_says_who_looks_and_until_when() -> None:
    user = {"id": str(ASHA), "email": "a@example.org", "role": "authenticated"}
    shown = {**user, "app_metadata": {}, "user_metadata": {}}

    token, until = tokens.sign(SECRET, "http://127.0.0.1/auth/v1", shown, "session")

    assert admitted(token, SHARED, NOW) == Admitted(ASHA, until)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": NOW}, "expired"),
        ({"exp": None}, "malformed"),
        ({"exp": "tomorrow"}, "malformed"),
        ({"nbf": NOW + 60}, "not_yet"),
        ({"aud": "anon"}, "another_audience"),
        ({"aud": None}, "malformed"),
        ({"role": "service_role"}, "another_role"),
        ({"role": None}, "another_role"),
        ({"sub": "7"}, "no_user"),
        ({"sub": None}, "malformed"),
    ],
)
def test_a_token_of_the_right_key_with_wrong_claims_is_refused(
    claims: dict[str, Any], code: str
) -> None:
    assert refusal(token_of(ASHA, **claims)) == code


def test_the_projects_own_keys_are_no_users_tokens() -> None:
    service = jwt.encode({"role": "service_role", "exp": NOW + 60}, SECRET, "HS256")

    assert refusal(service) == "malformed"


@pytest.mark.parametrize("algorithm", ["none", "None", "HS512"])
def test_the_token_does_not_choose_its_algorithm(algorithm: str) -> None:
    assert refusal(unsigned(alg=algorithm)) == "another_algorithm"


def test_a_public_key_is_not_taken_for_a_shared_secret() -> None:
    (key,) = keys_of(orjson.dumps({"keys": [JWK]})).values()

    assert refusal(token_of(ASHA, secret=JWK["x"]), key) == "another_algorithm"


def test_another_secret_is_refused() -> None:
    assert refusal(token_of(ASHA, secret="another secret of forty characters, no?.")) == (
        "another_key"
    )


@pytest.mark.parametrize("header", ["", "Basic abc", "Bearer", "Bearer " + "x" * 8_193])
def test_no_token_is_read_from_such_a_header(header: str) -> None:
    with pytest.raises(NotAdmitted):
        bearer_of(header)


@pytest.mark.parametrize("token", ["x", "a.b.c", "é.é.é"])
def test_what_is_no_token_names_no_key(token: str) -> None:
    with pytest.raises(NotAdmitted):
        admitted(token, SHARED, NOW)
    with pytest.raises(NotAdmitted):
        key_id_of(token)


class Project:
    """Publishes keys, counts who asks, and may be away."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.asked = 0
        self.away = False
        self.now = 1_000.0
        transport = httpx.MockTransport(self._answer)
        http = httpx.AsyncClient(transport=transport)
        self.keys = PublishedKeys("https://project.example", http, lambda: self.now)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/auth/v1/.well-known/jwks.json"
        self.asked += 1
        return httpx.Response(503 if self.away else 200, content=self.body)


def a_project(*rows: dict[str, Any]) -> Project:
    return Project(orjson.dumps({"keys": rows or [JWK]}))


async def test_a_token_of_a_published_key_is_admitted_and_the_keys_are_asked_for_once() -> None:
    project = a_project()
    token = jwt.encode(claims_of(ASHA), SIGNING, "ES256", headers={"kid": "one"})

    for _ in range(3):
        key = await project.keys.find(key_id_of(token))
        assert admitted(token, key, NOW).user == ASHA

    assert project.asked == 1


async def test_made_up_key_ids_do_not_become_requests() -> None:
    project = a_project()
    await project.keys.find("one")

    for number in range(50):
        with pytest.raises(NotAdmitted):
            await project.keys.find(f"made up {number}")
    assert project.asked == 1
    project.now += AGAIN
    with pytest.raises(NotAdmitted):
        await project.keys.find("made up")
    assert project.asked == 2


async def test_known_keys_stay_while_the_project_is_away() -> None:
    project = a_project()
    await project.keys.find("one")
    project.away, project.now = True, project.now + FRESH

    assert (await project.keys.find("one")).algorithm == "ES256"


async def test_without_keys_nobody_is_refused_for_good() -> None:
    project = a_project()
    project.away = True

    with pytest.raises(TryLater, match="told no keys"):
        await project.keys.find("one")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"<html>",
        orjson.dumps({"keys": [JWK]}) + b" " * LARGEST,
        orjson.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "one", "alg": "HS256"}]}),
        orjson.dumps({"keys": [{"kty": "new"}, 7]}),
    ],
)
async def test_a_document_without_a_key_of_ours_gives_none(body: bytes) -> None:
    with pytest.raises(TryLater):
        await Project(body).keys.find("one")


async def test_neither_secret_nor_project_is_a_setting_to_be_given() -> None:
    with pytest.raises(Misconfigured, match="SUPABASE_URL is not set"):
        async with keys_of_settings(load(supabase_url="", supabase_jwt_secret="")):
            pass


def test_a_short_secret_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_JWT_SECRET", "guessable")

    with pytest.raises(Misconfigured, match="at least 32 characters") as caught:
        load()
    assert "guessable" not in str(caught.value)
