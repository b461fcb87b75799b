from __future__ import annotations

from typing import Any

import httpx
import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthApiError

from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user

BACK = "http://127.0.0.1:3000/auth/confirm"


async def browser(stack: SupabaseStack) -> AsyncClient:
    options = AsyncClientOptions(flow_type="pkce", auto_refresh_token=False, persist_session=True)
    return await acreate_client(stack.url, stack.publishable_key, options)


async def ask(client: AsyncClient, email: str, back: str = BACK) -> None:
    await client.auth.sign_in_with_otp(
        {"email": email, "options": {"should_create_user": False, "email_redirect_to": back}}
    )


async def mailed_link(stack: SupabaseStack, user: SignedInUser) -> str:
    async with httpx.AsyncClient(base_url=stack.url, headers={"apikey": stack.secret_key}) as http:
        mails: list[dict[str, Any]] = (
            (await http.get("/auth/v1/admin/mails")).raise_for_status().json()
        )
    return next(str(mail["link"]) for mail in reversed(mails) if mail["to"] == user.email)


async def follow(link: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(link)


async def test_a_mailed_link_signs_in_the_browser_that_asked_for_it_once(
    supabase_stack: SupabaseStack,
) -> None:
    user, client = await signed_in_user(supabase_stack), await browser(supabase_stack)
    await ask(client, user.email)
    link = await mailed_link(supabase_stack, user)

    followed, again = await follow(link), await follow(link)
    code = httpx.URL(followed.headers["Location"]).params["code"]
    session = await client.auth.exchange_code_for_session(
        {"auth_code": code, "redirect_to": BACK, "code_verifier": ""}
    )

    assert followed.headers["Location"].startswith(f"{BACK}?code=")
    assert session.user is not None
    assert session.user.id == str(user.id)
    assert (again.status_code, again.json()["code"]) == (403, "otp_expired")


async def test_a_code_is_of_no_use_to_another_browser(supabase_stack: SupabaseStack) -> None:
    user, client, thief = (
        await signed_in_user(supabase_stack),
        await browser(supabase_stack),
        await browser(supabase_stack),
    )
    await ask(client, user.email)
    await ask(thief, user.email)
    mine = await follow(await mailed_link(supabase_stack, user))  # the newest, the thief's
    code = httpx.URL(mine.headers["Location"]).params["code"]

    with pytest.raises(AuthApiError) as refused:
        await client.auth.exchange_code_for_session(
            {"auth_code": code, "redirect_to": BACK, "code_verifier": ""}
        )

    assert refused.value.code == "bad_code_verifier"


async def test_no_link_goes_to_a_stranger_or_leads_away_from_this_machine(
    supabase_stack: SupabaseStack,
) -> None:
    user, client = await signed_in_user(supabase_stack), await browser(supabase_stack)

    with pytest.raises(AuthApiError) as unknown:
        await ask(client, "nobody@example.test")
    with pytest.raises(AuthApiError) as foreign:
        await ask(client, user.email, "https://elsewhere.example/")

    assert (unknown.value.code, foreign.value.code) == ("otp_disabled", "validation_failed")


async def test_only_the_service_reads_the_mails(supabase_stack: SupabaseStack) -> None:
    async with httpx.AsyncClient(
        base_url=supabase_stack.url, headers={"apikey": supabase_stack.publishable_key}
    ) as http:
        assert (await http.get("/auth/v1/admin/mails")).status_code == 403
