"""In mode `family` the page connects and switches on declared members, and says so to others."""

from __future__ import annotations

from tests.database.fixtures import SupabaseStack
from tests.simulator.factories import USER
from tests.web.conftest import Site
from tests.web.front import everything_in
from tests.web.people import somebody, stored_token
from tests.web.test_terms import nobody_reported, sql, workers_report

__all__ = ["nobody_reported"]  # a fixture

DECLARE = (
    "select declare_member(id, $2, 'spouse', 'signed letter', '2026-11-01', '203.0.113.7', 'Asha') "
    "from auth.users where lower(email) = $1"
)
END = "select end_membership($1, 'Asha', 'the test is over')"


async def test_who_is_no_member_connects_nothing_and_is_not_switched_on_and_reads_why(
    site: Site, supabase_stack: SupabaseStack, nobody_reported: None
) -> None:
    await workers_report(supabase_stack, "paper", None)
    async with somebody(site) as person:
        back = await person.callback_address()
        await workers_report(supabase_stack, "family", None)
        consents = everything_in(site.dhan).count("generate-consent")
        begun = await person.post("/api/dhan/auth", json={"clientId": USER.client_id})
        after = everything_in(site.dhan).count("generate-consent")
        returned = await person.told(await person.get(back))
        stored = await stored_token(supabase_stack, person)
        await sql(supabase_stack, DECLARE, person.email, USER.client_id)
        connected = await person.told(await person.get(await person.callback_address()))
        shown = (await person.account())["platform"]
        await sql(supabase_stack, END, USER.client_id)
        told = (await person.get("/today")).text
        ended = shown | {"admits_this_account": False}
        refused = await person.post("/api/account/switch", json={"on": True, "terms": ended})

    assert (begun.status_code, begun.json()) == (409, {"problem": "not_a_member"})
    assert after == consents
    assert "Only declared members of the operator's family trade here" in returned
    assert stored is None
    assert connected == "Your Dhan account is connected."
    assert shown["admits_this_account"] is True
    assert "this mode trades the operator&#x27;s declared family only" in told
    assert (refused.status_code, refused.json()) == (409, {"problem": "switch_not_a_member"})
