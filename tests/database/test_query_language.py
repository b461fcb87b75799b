from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postgrest import AsyncPostgrestClient

from simulator.supabase.catalogue import Table
from simulator.supabase.errors import RestError
from simulator.supabase.query import Binds, order_by, select_list, split, where

ORDERS = Table("orders", {"id": "bigint", "symbol": "text", "qty": "integer"}, ("id",))
CLIENT = AsyncPostgrestClient("http://127.0.0.1")
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


def sent(value: str) -> str:
    """A filter on a list as the real client writes it."""
    rows = CLIENT.table("orders").select("*").in_("symbol", [value, "end"])
    return dict(parse_qsl(str(rows.request.params)))["symbol"]


@given(VALUES)
def test_every_value_the_client_lists_arrives_as_it_was(value: str) -> None:
    binds = Binds()

    where(binds, ORDERS, [("symbol", sent(value))])

    assert binds.values == [[value, "end"]]


@given(VALUES)
def test_no_value_enters_the_sql_text(value: str) -> None:
    marked, binds = f"§{value}", Binds()

    sql = where(binds, ORDERS, [("symbol", f"eq.{marked}"), ("symbol", f"like.{marked}")])

    assert "§" not in sql
    assert binds.values == [marked, marked.replace("*", "%")]


@given(st.text(min_size=1))
def test_no_identifier_enters_the_sql_text_unless_the_catalogue_has_it(name: str) -> None:
    attempts: list[Callable[[], str]] = [
        lambda: select_list(ORDERS, name),
        lambda: order_by(ORDERS, name),
        lambda: where(Binds(), ORDERS, [(name, "eq.1")]),
    ]
    for attempt in attempts:
        try:
            sql = attempt()
        except RestError:
            continue
        quoted_parts = sql.split('"')[1::2]
        assert (
            set(quoted_parts) <= {"public", "orders", *ORDERS.columns, *name.split(":")[:1], ""}
            or not sql
        )


@given(st.lists(st.text('ab,"\\ ', min_size=0), min_size=1))
def test_splitting_loses_no_character_but_the_commas_between(items: list[str]) -> None:
    text = ",".join(items)

    assert ",".join(split(text)) == text


@pytest.mark.parametrize("test", ["5", "eq", "is.maybe", "in.1,2", "wat.5"])
def test_a_filter_that_cannot_be_read_is_refused(test: str) -> None:
    with pytest.raises(RestError) as error:
        where(Binds(), ORDERS, [("qty", test)])

    assert error.value.body["code"] == "PGRST100"
