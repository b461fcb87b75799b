"""The stand-in through the real client. Expected values are PostgREST's documented answers, written
by hand.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from postgrest import APIError, CountMethod, ReturnMethod

from ats.embedded.postgres import EmbeddedPostgres
from schemas.errors import Misconfigured
from simulator.supabase import SupabaseStandIn
from tests.database.fixtures import SignedInUser, SupabaseStack, signed_in_user

AWKWARD = 'B,"q"(x)\\ é₹'  # every character the filter language itself uses


async def refused(request: Awaitable[Any]) -> str:
    """The code of the error that a request is answered with."""
    with pytest.raises(APIError) as error:
        await request
    return str(error.value.code)


async def a_user_with_orders(stack: SupabaseStack) -> SignedInUser:
    user = await signed_in_user(stack)
    orders = [
        {"symbol": "NIFTY", "qty": 5, "price": 1.25},
        {"symbol": "A", "qty": 1, "price": 2},
        {"symbol": AWKWARD, "qty": 10, "price": None},
    ]
    await user.client.table("orders").insert(orders, returning=ReturnMethod.minimal).execute()
    return user


async def data_of(request: Any) -> Any:
    """What an answer holds: rows, one row or a function's value."""
    return (await request.execute()).data


async def quantities(request: Any) -> list[int]:
    return [row["qty"] for row in await data_of(request)]


async def test_an_insert_gives_the_row_back_with_defaults_and_exact_values(
    conformance: SupabaseStack,
) -> None:
    user = await signed_in_user(conformance)
    row: dict[str, Any] = {
        "symbol": "NIFTY",
        "qty": 5,
        "price": 1.25,
        "meta": {"a": [1, None]},
        "closed_at": "2026-11-23T10:00:00+05:30",
    }

    data = await data_of(user.client.table("orders").insert(row))

    assert data[0] | row == data[0] | {"closed_at": row["closed_at"]}
    assert data[0]["user_id"] == str(user.id)
    assert (data[0]["status"], data[0]["side"]) == ("open", "BUY")
    assert data[0]["closed_at"] == "2026-11-23T04:30:00+00:00"


async def test_numbers_pass_digit_by_digit(conformance: SupabaseStack) -> None:
    user = await signed_in_user(conformance)
    headers = {
        "apikey": conformance.publishable_key,
        "Authorization": await bearer(user),
        "Prefer": "return=representation",
    }

    async with httpx.AsyncClient(headers=headers) as http:
        url = f"{conformance.url}/rest/v1/orders"
        text = '{"symbol":"A","qty":1,"price":1234567890.1234,"meta":{"n":12345678901234567890.5}}'
        answer = await http.post(url, content=text)

    assert '"price":1234567890.1234' in answer.text
    assert "12345678901234567890.5" in answer.text


async def bearer(user: SignedInUser) -> str:
    session = await user.client.auth.get_session()
    assert session is not None
    return f"Bearer {session.access_token}"


@pytest.mark.parametrize(
    ("narrow", "expected"),
    [
        (lambda rows: rows.eq("qty", 5), [5]),
        (lambda rows: rows.neq("qty", 5), [1, 10]),
        (lambda rows: rows.gt("qty", 5), [10]),
        (lambda rows: rows.gte("qty", 5), [5, 10]),
        (lambda rows: rows.lt("qty", 5), [1]),
        (lambda rows: rows.lte("qty", 5), [1, 5]),
        (lambda rows: rows.in_("symbol", [AWKWARD, "A", "none"]), [1, 10]),
        (lambda rows: rows.in_("qty", [1, 5]), [1, 5]),
        (lambda rows: rows.in_("symbol", []), []),
        (lambda rows: rows.eq("symbol", AWKWARD), [10]),
        (lambda rows: rows.is_("price", None), [10]),
        (lambda rows: rows.not_.is_("price", None), [1, 5]),
        (lambda rows: rows.not_.in_("qty", [1, 5]), [10]),
        (lambda rows: rows.like("symbol", "NIF%"), [5]),
        (lambda rows: rows.like("symbol", "nif%"), []),
        (lambda rows: rows.ilike("symbol", "nif*"), [5]),
        (lambda rows: rows.gt("qty", 1).lt("qty", 10), [5]),
        (lambda rows: rows.eq("symbol", "'; drop table orders; --"), []),
    ],
)
async def test_each_filter_narrows_as_postgrest_does(
    conformance: SupabaseStack, narrow: Any, expected: list[int]
) -> None:
    user = await a_user_with_orders(conformance)

    assert (
        await quantities(narrow(user.client.table("orders").select("qty")).order("qty")) == expected
    )


async def test_rows_are_ordered_limited_and_paged(conformance: SupabaseStack) -> None:
    user = await a_user_with_orders(conformance)
    orders = user.client.table("orders")

    assert await quantities(orders.select("qty").order("qty", desc=True).limit(2)) == [10, 5]
    assert await quantities(orders.select("qty").order("price", nullsfirst=True).order("qty")) == [
        10,
        5,
        1,
    ]
    assert await quantities(orders.select("qty").order("price", desc=True, nullsfirst=False)) == [
        1,
        5,
        10,
    ]
    assert await quantities(orders.select("qty").order("qty").range(1, 1)) == [5]
    assert await quantities(orders.select("qty").order("qty").offset(2)) == [10]


async def test_a_count_is_of_all_matching_rows(conformance: SupabaseStack) -> None:
    user = await a_user_with_orders(conformance)

    page = (
        await user.client.table("orders")
        .select("qty", count=CountMethod.exact)
        .range(0, 0)
        .execute()
    )
    head = (
        await user.client.table("orders")
        .select("*", count=CountMethod.exact, head=True)
        .gt("qty", 1)
        .execute()
    )

    assert (page.count, len(page.data)) == (3, 1)
    assert (head.count, head.data) == (2, [])


async def test_a_result_is_cut_at_a_thousand_rows_as_on_supabase(
    conformance: SupabaseStack,
) -> None:
    user = await signed_in_user(conformance)
    many = [{"symbol": "A", "qty": quantity} for quantity in range(1, 1_003)]
    await user.client.table("orders").insert(many, returning=ReturnMethod.minimal).execute()

    rows = user.client.table("orders").select("qty").order("qty")

    assert len(await quantities(rows.limit(5_000))) == 1_000
    assert await quantities(
        user.client.table("orders").select("qty").order("qty").range(1_000, 1_999)
    ) == [
        1_001,
        1_002,
    ]


async def test_one_row_is_an_object_and_any_other_number_an_error(
    conformance: SupabaseStack,
) -> None:
    user = await a_user_with_orders(conformance)
    orders = user.client.table("orders")

    assert (await orders.select("qty, name:symbol").eq("qty", 5).single().execute()).data == {
        "qty": 5,
        "name": "NIFTY",
    }
    assert await refused(orders.select("*").eq("qty", 77).single().execute()) == "PGRST116"
    assert await refused(orders.select("*").single().execute()) == "PGRST116"
    maybe = await orders.select("qty").eq("qty", 77).maybe_single().execute()
    assert maybe is None or maybe.data is None


async def test_an_update_changes_the_filtered_rows_and_gives_them_back(
    conformance: SupabaseStack,
) -> None:
    user = await a_user_with_orders(conformance)
    orders = user.client.table("orders")

    once = await data_of(orders.update({"status": "closed"}).eq("qty", 5).eq("status", "open"))
    again = await data_of(orders.update({"status": "closed"}).eq("qty", 5).eq("status", "open"))

    assert [(row["qty"], row["status"]) for row in once] == [(5, "closed")]
    assert again == []


async def test_a_delete_removes_the_filtered_rows_only(conformance: SupabaseStack) -> None:
    user = await a_user_with_orders(conformance)

    gone = await quantities(user.client.table("orders").delete().eq("qty", 5))

    assert gone == [5]
    assert await quantities(user.client.table("orders").select("qty").order("qty")) == [1, 10]


async def test_a_change_without_a_filter_is_refused(conformance: SupabaseStack) -> None:
    user = await a_user_with_orders(conformance)

    assert await refused(user.client.table("orders").update({"status": "x"}).execute()) == "21000"
    assert await refused(user.client.table("orders").delete().execute()) == "21000"


async def test_an_upsert_merges_or_ignores_as_asked(conformance: SupabaseStack) -> None:
    user, service = await signed_in_user(conformance), await conformance.service()
    notes, own = service.table("notes"), str(user.id)
    await notes.insert(
        {"user_id": own, "body": "first", "secret": "s"}, returning=ReturnMethod.minimal
    ).execute()

    await notes.upsert(
        {"user_id": own, "body": "second"}, on_conflict="user_id", returning=ReturnMethod.minimal
    ).execute()
    merged = (await notes.select("body").eq("user_id", own).execute()).data
    await notes.upsert(
        {"user_id": own, "body": "third"}, ignore_duplicates=True, returning=ReturnMethod.minimal
    ).execute()
    ignored = (await notes.select("body").eq("user_id", own).execute()).data

    assert merged == ignored == [{"body": "second"}]


async def test_a_bulk_insert_turns_missing_keys_into_null_and_not_into_the_default(
    conformance: SupabaseStack,
) -> None:
    user = await signed_in_user(conformance)
    ragged = [{"symbol": "A", "qty": 1, "status": "done"}, {"symbol": "B", "qty": 2}]

    rows = await data_of(user.client.table("orders").insert(ragged))

    assert [row["status"] for row in rows] == ["done", None]


async def test_an_empty_bulk_insert_writes_nothing(conformance: SupabaseStack) -> None:
    user = await signed_in_user(conformance)

    assert (await user.client.table("orders").insert([]).execute()).data == []


async def test_functions_of_every_shape_answer_as_postgrest_does(
    conformance: SupabaseStack,
) -> None:
    user = await a_user_with_orders(conformance)
    call = user.client.rpc

    whoami = {"worker": "w", "n": 1, "uid": str(user.id), "role": "authenticated"}
    assert (await call("whoami", {"worker": "w"}).execute()).data == whoami
    assert await quantities(call("own_orders", {"min_qty": 5})) == [5, 10]
    assert len(await data_of(call("own_orders", {}))) == 3
    assert (await call("pairs", {}).execute()).data == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert (await call("numbers", {}).execute()).data == [3, 1]
    assert not (await call("nothing", {}).execute()).data
    assert (await call("maybe", {}).execute()).data is None


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (lambda c: c.table("nowhere").select("*"), "PGRST205"),
        (lambda c: c.table("orders").select("nothing"), "42703"),
        (lambda c: c.table("orders").select('id"; drop table orders; --'), "42703"),
        (lambda c: c.table("orders").select("*").eq("nothing", 1), "42703"),
        (lambda c: c.table("orders").select("*").eq("qty", "five"), "22P02"),
        (lambda c: c.table("orders").insert({"symbol": "A", "qty": 1, "zzz": 1}), "PGRST204"),
        (lambda c: c.table("orders").insert({"symbol": "A", "qty": -1}), "23514"),
        (lambda c: c.table("orders").insert({"qty": 1}), "23502"),
        (lambda c: c.table("orders").insert({"symbol": "A", "qty": 1, "id": 99}), "428C9"),
        (
            lambda c: c.table("orders").insert({"symbol": "A", "qty": 1, "user_id": str(uuid4())}),
            "42501",
        ),
        (lambda c: c.table("ungranted").select("*"), "42501"),
        (lambda c: c.rpc("refuse", {"message": "no"}), "P0001"),
        (lambda c: c.rpc("nowhere", {}), "PGRST202"),
        (lambda c: c.rpc("whoami", {"worker": "w", "more": 1}), "PGRST202"),
        (lambda c: c.schema("private").table("orders").select("*"), "PGRST106"),
    ],
)
async def test_each_mistake_gets_its_code(
    conformance: SupabaseStack, request_of: Any, code: str
) -> None:
    user = await signed_in_user(conformance)

    assert await refused(request_of(user.client).execute()) == code


@pytest.mark.parametrize(
    "request_of",
    [
        lambda c: c.table("orders").select("*").or_("qty.eq.5,qty.eq.1"),
        lambda c: c.table("orders").select("id, users(*)"),
        lambda c: c.table("orders").select("meta->a"),
        lambda c: c.table("orders").select("qty::text"),
        lambda c: c.table("orders").select("*").contains("meta", {"a": 1}),
        lambda c: c.table("orders").select("*").eq("meta->>a", "1"),
        lambda c: c.table("orders").select("*", count="planned"),
        lambda c: c.rpc("own_orders", {}, get=True),
        lambda c: c.rpc("own_orders", {}).gt("qty", 5),
        lambda c: c.table("orders").insert([{"symbol": "A", "qty": 1}], default_to_null=False),
    ],
)
async def test_what_is_not_built_is_refused_aloud(
    conformance: SupabaseStack, request_of: Any
) -> None:
    user = await a_user_with_orders(conformance)

    with pytest.raises(APIError, match="PGRST127") as error:
        await request_of(user.client).execute()

    assert "stand-in:" in str(error.value.details)


async def test_the_error_of_a_function_reaches_the_client_whole(conformance: SupabaseStack) -> None:
    user = await signed_in_user(conformance)

    with pytest.raises(APIError) as error:
        await user.client.rpc("refuse", {"message": "too late"}).execute()

    assert (error.value.message, error.value.details, error.value.hint) == ("too late", "d", "h")


async def test_each_key_acts_in_its_own_role(conformance: SupabaseStack) -> None:
    user, stranger = await a_user_with_orders(conformance), await signed_in_user(conformance)
    service, anonymous = await conformance.service(), await conformance.anonymous()
    own = str(user.id)

    assert (
        await stranger.client.table("orders").select("*").eq("user_id", own).execute()
    ).data == []
    assert len((await service.table("orders").select("*").eq("user_id", own).execute()).data) == 3
    assert await refused(anonymous.table("orders").select("*").execute()) == "42501"
    assert (await data_of(service.rpc("whoami", {"worker": "w"})))["role"] == "service_role"


async def test_a_new_table_is_served_without_a_restart(conformance: SupabaseStack) -> None:
    connection = await asyncpg.connect(conformance.dsn)
    name = f"later_{uuid4().hex[:8]}"
    await connection.execute(
        f"create table public.{name} (id integer); grant select on public.{name} to service_role"
    )
    await connection.close()

    assert (await (await conformance.service()).table(name).select("*").execute()).data == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, None),
        ({"apikey": "sb_secret_guessed"}, 401, None),
        ({"Authorization": "Bearer a.b.c"}, 401, "PGRST301"),
        ({"Accept": "text/csv"}, 406, "PGRST107"),
        ({"Range": "0-1"}, 400, "PGRST127"),
    ],
)
async def test_the_gate_refuses_what_it_cannot_vouch_for(
    conformance: SupabaseStack, headers: dict[str, str], status: int, code: str | None
) -> None:
    known = {"apikey": conformance.secret_key} if headers and "apikey" not in headers else {}

    async with httpx.AsyncClient(headers=known | headers) as http:
        answer = await http.get(f"{conformance.url}/rest/v1/orders")

    assert (answer.status_code, answer.json().get("code")) == (status, code)


async def test_a_browser_of_another_origin_may_ask(conformance: SupabaseStack) -> None:
    async with httpx.AsyncClient() as http:
        preflight = await http.options(f"{conformance.url}/rest/v1/orders")
        answer = await http.get(f"{conformance.url}/rest/v1/orders")

    assert preflight.status_code == 204
    assert "apikey" in preflight.headers["access-control-allow-headers"]
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_partial_page_is_206_and_a_whole_one_200(conformance: SupabaseStack) -> None:
    user = await a_user_with_orders(conformance)
    headers = {
        "apikey": conformance.publishable_key,
        "Authorization": await bearer(user),
        "Prefer": "count=exact",
    }

    async with httpx.AsyncClient(headers=headers) as http:
        part = await http.get(f"{conformance.url}/rest/v1/orders?select=id&limit=1")
        whole = await http.get(f"{conformance.url}/rest/v1/orders?select=id")

    assert (part.status_code, part.headers["content-range"]) == (206, "0-0/3")
    assert (whole.status_code, whole.headers["content-range"]) == (200, "0-2/3")


async def test_the_stand_in_refuses_to_be_reachable_from_outside(
    postgres: EmbeddedPostgres,
) -> None:
    stand_in = SupabaseStandIn()

    with pytest.raises(Misconfigured, match="not loopback"):
        await stand_in.start(
            postgres.dsn("authenticator"), postgres.dsn("supabase_auth_admin"), host="0.0.0.0"
        )
