"""What the demo does for people who come in by its page."""

from __future__ import annotations

import asyncio
import io

from rich.console import Console

from ats.demo.users import Visitor, visitors
from ats.demo.web import print_mails
from schemas.ids import UserId
from tests.database.fixtures import SupabaseStack, signed_in_user
from tests.database.test_stand_in_links import ask, browser, mailed_link


class Printed(io.StringIO):
    """Output that tells when an address is in it."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._address = address
        self.seen = asyncio.Event()

    def write(self, text: str) -> int:
        size = super().write(text)
        if self._address in self.getvalue():
            self.seen.set()
        return size


async def test_a_sign_in_link_that_nobody_mails_is_printed_once(
    supabase_stack: SupabaseStack,
) -> None:
    user, client = await signed_in_user(supabase_stack), await browser(supabase_stack)
    await ask(client, user.email)
    link = await mailed_link(supabase_stack, user)
    out = Printed(link)

    printing = asyncio.create_task(
        print_mails(supabase_stack.url, supabase_stack.secret_key, Console(file=out, width=60))
    )
    async with asyncio.timeout(30):
        await out.seen.wait()
    printing.cancel()
    await asyncio.gather(printing, return_exceptions=True)

    assert f"To sign in as {user.email} open, once:\n{link}\n" in out.getvalue()
    assert out.getvalue().count(link) == 1


async def test_who_has_an_account_and_is_not_of_the_cast_is_a_visitor(
    supabase_stack: SupabaseStack,
) -> None:
    user, known = await signed_in_user(supabase_stack), await signed_in_user(supabase_stack)

    found = await visitors(supabase_stack.url, supabase_stack.secret_key, {UserId(known.id)})

    assert Visitor(user.email, active=False, id=UserId(user.id)) in found
    assert UserId(known.id) not in {visitor.id for visitor in found}
