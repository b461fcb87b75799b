from __future__ import annotations

from uuid import uuid4

import pytest
from supabase_auth import AdminUserAttributes
from supabase_auth.errors import AuthApiError

from tests.database.fixtures import PASSWORD, SupabaseStack, signed_in_user


async def test_a_person_signs_up_signs_in_and_is_known(supabase_stack: SupabaseStack) -> None:
    user = await signed_in_user(supabase_stack)
    browser = await supabase_stack.anonymous()

    session = (
        await browser.auth.sign_in_with_password(
            {"email": user.email.upper(), "password": PASSWORD}
        )
    ).session
    known = await browser.auth.get_user()
    claims = await browser.auth.get_claims()

    assert session is not None
    assert known is not None
    assert known.user.id == str(user.id)
    assert claims is not None
    assert (claims["claims"]["sub"], claims["claims"]["role"]) == (str(user.id), "authenticated")


async def test_a_refresh_token_is_spent_by_use_but_two_tabs_may_race(
    supabase_stack: SupabaseStack,
) -> None:
    user = await signed_in_user(supabase_stack)
    session = await user.client.auth.get_session()
    assert session is not None

    first = (await user.client.auth.refresh_session(session.refresh_token)).session
    second_tab = (await user.client.auth.refresh_session(session.refresh_token)).session

    assert first is not None
    assert second_tab is not None
    assert len({session.refresh_token, first.refresh_token, second_tab.refresh_token}) == 3


async def test_a_signed_out_session_is_gone(supabase_stack: SupabaseStack) -> None:
    user = await signed_in_user(supabase_stack)
    session = await user.client.auth.get_session()
    assert session is not None

    await user.client.auth.sign_out()

    with pytest.raises(AuthApiError) as error:
        await user.client.auth.get_user(session.access_token)
    assert error.value.code == "session_not_found"
    with pytest.raises(AuthApiError) as refused:
        await user.client.auth.refresh_session(session.refresh_token)
    # the client's own list of codes lacks it
    assert str(refused.value.code) == "refresh_token_not_found"


@pytest.mark.parametrize(
    ("password", "email", "code"),
    [
        ("wrong password", None, "invalid_credentials"),
        (PASSWORD, "nobody@example.test", "invalid_credentials"),
    ],
)
async def test_a_wrong_password_and_an_unknown_address_look_the_same(
    supabase_stack: SupabaseStack, password: str, email: str | None, code: str
) -> None:
    user = await signed_in_user(supabase_stack)
    browser = await supabase_stack.anonymous()

    with pytest.raises(AuthApiError) as error:
        await browser.auth.sign_in_with_password(
            {"email": email or user.email, "password": password}
        )

    assert (error.value.code, error.value.message) == (code, "Invalid login credentials")


async def test_an_address_is_used_once(supabase_stack: SupabaseStack) -> None:
    user = await signed_in_user(supabase_stack)
    browser = await supabase_stack.anonymous()

    with pytest.raises(AuthApiError) as error:
        await browser.auth.sign_up({"email": user.email, "password": PASSWORD})

    assert error.value.code == "user_already_exists"


async def test_the_service_key_makes_lists_and_deletes_users(supabase_stack: SupabaseStack) -> None:
    service = await supabase_stack.service()
    email = f"{uuid4().hex}@example.test"
    made: AdminUserAttributes = {
        "email": email,
        "password": PASSWORD,
        "email_confirm": True,
        "user_metadata": {"name": "Asha"},
    }

    user = (await service.auth.admin.create_user(made)).user
    listed = {known.id for known in await service.auth.admin.list_users(per_page=1_000)}
    await service.auth.admin.delete_user(user.id)

    assert user.user_metadata == {"name": "Asha"}
    assert user.id in listed
    with pytest.raises(AuthApiError) as error:
        await service.auth.admin.get_user_by_id(user.id)
    assert error.value.code == "user_not_found"


async def test_a_user_cannot_administer_users(supabase_stack: SupabaseStack) -> None:
    user = await signed_in_user(supabase_stack)

    with pytest.raises(AuthApiError) as error:
        await user.client.auth.admin.list_users()

    assert error.value.code == "not_admin"


async def test_signing_in_on_the_service_client_changes_who_it_is(
    supabase_stack: SupabaseStack,
) -> None:
    """A trap of the real client, kept here so that nobody falls into it: use a client of its own
    for auth.
    """
    user, service = await signed_in_user(supabase_stack), await supabase_stack.service()

    await service.auth.sign_in_with_password({"email": user.email, "password": PASSWORD})

    assert (await service.table("user_trading_keys").select("user_id").execute()).data == []
