"""The store's word for a connected account, over the real client."""

from __future__ import annotations

from executors.store import Store
from tests.executors.harness import World


async def test_the_credentials_of_a_connected_account_are_asked_for_once_a_token(
    scripted: World,
) -> None:
    user, store = await scripted.user(), Store(scripted.client)
    await scripted.switch_off(user)

    connected = await store.account_credentials(user)
    again = await store.account_credentials(user, connected)

    assert connected
    assert connected.credentials.access_token.get_secret_value() == scripted.tokens[0]
    assert scripted.tokens[0] not in repr(connected)
    assert again is connected


async def test_an_account_without_a_living_token_has_no_credentials(scripted: World) -> None:
    user, store = await scripted.user(), Store(scripted.client)
    connected = await store.account_credentials(user)
    assert connected

    await store.refuse_token(user, connected.token_version, "DH-901")

    assert await store.account_credentials(user, connected) is None
