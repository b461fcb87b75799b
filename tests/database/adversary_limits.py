"""What limits promise, the operator's ceiling and the user's own choice, as
`tests.database.adversary` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from tests.database.adversary import ROLES, Check, Row, Scene
from tests.database.conftest import acting_as

SERVICE: Final = {"set_user_limits", "limits_in_force", "user_limits_told"}
USERS: Final = {
    *("tighten_own_limits", "widen_own_limits", "own_limits_and_checks", "own_limit_changes"),
    "operator_limits",
}
INNER: Final = {
    *("no_larger", "no_smaller", "no_others", "in_both", "wider_limits"),
    *("refuse_unknown_limits", "limits_for_change", "write_limits", "change_own_limits"),
    *("limits_of", "values_of"),
}
REFUSED: Final = asyncpg.InsufficientPrivilegeError

PRIVATE_CALLS: Final = (
    "select coalesce(sum(calls), 0) from pg_stat_xact_user_functions where schemaname = 'private'"
)

# every limit, a tighter value, and one that is not tighter than the first
TIGHT: Final[dict[str, tuple[Any, Any, Any]]] = {
    "max_order_value_paise": (10, 9, 11),
    "risk_per_trade_paise": (10, 9, 11),
    "max_orders_per_day": (10, 9, 11),
    "max_open_positions": (10, 9, 11),
    "max_symbol_exposure_paise": (10, 9, 11),
    "max_exposure_paise": (10, 9, 11),
    "max_daily_loss_paise": (10, 9, 11),
    "stop_out_cooldown_minutes": (10, 11, 9),
    "max_stop_outs_per_day": (10, 9, 11),
    "segments": (["NSE_EQ", "BSE_EQ"], ["NSE_EQ"], ["NSE_EQ", "NSE_FNO"]),
    "products": (["INTRADAY", "CNC"], ["CNC"], ["MTF"]),
    "long_only": (False, True, None),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Both parties' changes, and what is told of them."""

    scene: Scene

    async def tighten(self, user: UUID | None = None, **limits: Any) -> None:
        """As the user."""
        await self._own("tighten", user, limits)

    async def widen(self, user: UUID | None = None, **limits: Any) -> None:
        """As the user; None gives a choice up."""
        await self._own("widen", user, limits)

    async def _own(self, verb: str, user: UUID | None, limits: Row) -> None:
        given = orjson.dumps(limits).decode()
        await self.scene.user(user or self.scene.mine, f"select {verb}_own_limits($1)", given)

    async def told(self, user: UUID | None = None) -> Row:
        """`ceiling`, `own` and `held`; None where there is none."""
        query = "select user_limits_told($1)"
        (row,) = orjson.loads(await self.scene.service(query, user or self.scene.mine))
        return dict(row)

    async def held(self, user: UUID | None = None) -> Row:
        return dict((await self.told(user))["held"])

    async def in_force(self, known: int | None = None) -> Row:
        """What an order worker is told."""
        return dict(orjson.loads(await self.scene.service("select limits_in_force($1)", known)))


async def functions_of_limits_are_for_their_role(scene: Scene) -> None:
    rows = await scene.sql.fetch(
        "with ours as materialized (select oid, proname from pg_proc where proname = any ($1)) "
        "select proname, r as role from ours, unnest($2::text[]) r where "
        "has_function_privilege(r, oid, 'execute')",
        *(SERVICE | USERS | INNER, ("public", *ROLES)),
    )
    settings = await scene.sql.fetch(
        "select proname, prosecdef, array_to_string(proconfig, ' ') as settings from pg_proc "
        "where proname = any ($1)",
        SERVICE | USERS | INNER,
    )

    wanted = {(name, "service_role") for name in SERVICE}
    assert {tuple(row) for row in rows} == wanted | {(name, "authenticated") for name in USERS}
    assert {row["proname"] for row in settings} == SERVICE | USERS | INNER
    assert {row["proname"] for row in settings if row["prosecdef"]} == SERVICE | USERS
    assert {row["settings"] for row in settings} == {'search_path=""'}


async def nothing_of_limits_is_granted_in_private(scene: Scene) -> None:
    held = await scene.sql.fetchval(
        "select count(*) from unnest($1::text[]) r where "
        "has_sequence_privilege(r, 'private.limit_versions', 'usage') or "
        "has_table_privilege(r, 'private.user_limit_changes', 'select')",
        ROLES,
    )
    secured = await scene.sql.fetchval(
        "select relrowsecurity from pg_class where oid = 'private.user_limit_changes'::regclass"
    )

    assert (held, secured) == (0, True)


async def users_read_their_own_limits_only(scene: Scene) -> None:
    for user in (scene.mine, scene.theirs):
        await scene.limit(user, max_open_positions=1)
        await Limits(scene).tighten(user, max_open_positions=0)
    async with acting_as(scene.sql, "authenticated", scene.mine):
        rows = await scene.sql.fetch("select user_id, own from user_limits order by own")
        for change in (
            *("update user_limits set max_open_positions = 9", "delete from user_limits"),
            "insert into user_limits select * from user_limits",
        ):
            await scene.refuses(REFUSED, scene.sql.execute(change))
    assert [tuple(row) for row in rows] == [(scene.mine, False), (scene.mine, True)]
    await scene.sql.execute("grant select on user_limits to anon")
    async with acting_as(scene.sql, "anon"):
        assert await scene.sql.fetchval("select count(*) from user_limits") == 0


async def a_user_tightens_each_limit_and_widens_it_up_to_the_ceiling(scene: Scene) -> None:
    limits = Limits(scene)
    for name, (ceiling, tighter, wider) in TIGHT.items():
        await scene.limit(**{name: ceiling})
        for value in (wider, None) if name != "long_only" else (wider,):
            await scene.refuses(REFUSED, limits.tighten(**{name: value}))
        if wider is not None:
            await scene.refuses(REFUSED, limits.widen(**{name: wider}))
        assert (await limits.held())[name] == ceiling, name
        await limits.tighten(**{name: tighter})
        assert (await limits.held())[name] == tighter, name
        for value in (ceiling, wider):
            await scene.refuses(REFUSED, limits.tighten(**{name: value}))
        await limits.widen(**{name: ceiling})
        assert (await limits.told())["own"][name] == ceiling, name
        await limits.tighten(**{name: tighter})
        await limits.widen(**{name: None})
        told = await limits.told()
        assert (told["own"][name], told["held"][name]) == (None, ceiling), name


async def an_operator_sets_the_ceiling_and_the_users_choice_stays(scene: Scene) -> None:
    limits = Limits(scene)
    for name, (middle, tightest, widest) in TIGHT.items():
        ceiling = middle if name != "products" else ["CNC", "MTF"]
        chosen: Any = {name: tightest if name == "long_only" else ceiling}
        await limits.tighten(**chosen)
        await scene.limit(**{name: tightest})
        assert (await limits.held())[name] == tightest, name
        await scene.limit(**{name: widest})
        told = await limits.told()
        assert told["ceiling"][name] == widest, name
        within = {"segments": ["BSE_EQ", "NSE_EQ"], "products": ["MTF"], "long_only": True}
        if name in within:
            within |= {"segments": ["NSE_EQ"]}
        assert told["held"][name] == within.get(name, ceiling), name


async def a_limit_above_a_lowered_ceiling_is_tightened_from_what_holds(scene: Scene) -> None:
    limits = Limits(scene)
    await limits.tighten(max_open_positions=8, max_orders_per_day=20)
    await scene.limit(max_open_positions=5)

    await scene.refuses(REFUSED, limits.tighten(max_open_positions=7))
    await limits.tighten(max_orders_per_day=10)
    told = await limits.told()

    assert (told["own"]["max_open_positions"], told["held"]["max_open_positions"]) == (8, 5)
    assert told["held"]["max_orders_per_day"] == 10


async def a_choice_changes_whole_or_not_at_all_and_the_refusal_names_the_limits(
    scene: Scene,
) -> None:
    limits = Limits(scene)
    await scene.limit(max_open_positions=5, max_orders_per_day=7)
    await limits.tighten(max_exposure_paise=1)
    hints = []
    given: Row = {"max_open_positions": 9, "max_orders_per_day": 8, "max_exposure_paise": 2}
    for change in (limits.tighten, limits.widen):
        try:
            async with scene.sql.transaction():
                await change(**given)
        except REFUSED as error:
            hints.append((error.detail, error.hint))

    assert hints == [
        ("wider", "max_exposure_paise,max_open_positions,max_orders_per_day"),
        ("above_ceiling", "max_open_positions,max_orders_per_day"),
    ]
    assert (await limits.told())["own"]["max_exposure_paise"] == 1
    await limits.widen(max_exposure_paise=2)
    assert (await limits.held())["max_exposure_paise"] == 2


async def a_user_without_limits_may_choose_each_and_not_begin_to_sell_short(scene: Scene) -> None:
    limits = Limits(scene)
    for change in (limits.tighten, limits.widen):
        await scene.refuses(REFUSED, change(long_only=False))
    for name, (given, *_) in TIGHT.items():
        if name != "long_only":
            await limits.tighten(**{name: given})
    await limits.tighten(long_only=True)
    await limits.tighten(scene.theirs, max_orders_per_day=1)

    wanted = {name: given for name, (given, *_) in TIGHT.items()} | {"long_only": True}
    assert await limits.held() == wanted
    assert {value for value in (await limits.held(scene.theirs)).values() if value} == {1}


async def a_users_consent_to_short_sales_allows_none(scene: Scene) -> None:
    limits = Limits(scene)
    await scene.limit(long_only=False)
    await limits.tighten(long_only=False)
    for ceiling in (None, True, False):
        await scene.limit(long_only=ceiling)
        assert (await limits.held())["long_only"] is ceiling


async def lists_without_a_common_word_allow_nothing(scene: Scene) -> None:
    limits = Limits(scene)
    await limits.tighten(products=["CNC"], segments=[])
    await scene.limit(products=["INTRADAY"], segments=["NSE_EQ"])

    held = await limits.held()

    assert (held["products"], held["segments"]) == ([], [])


async def a_change_of_one_limit_leaves_the_others_and_null_is_the_platforms_own(
    scene: Scene,
) -> None:
    limits = Limits(scene)
    await scene.limit(max_open_positions=5, max_orders_per_day=7)
    await limits.tighten(max_open_positions=4)
    await scene.limit(max_open_positions=9)
    raised = await limits.held()
    await scene.limit(max_orders_per_day=None)

    assert (raised["max_open_positions"], raised["max_orders_per_day"]) == (4, 7)
    assert (await limits.held())["max_orders_per_day"] is None


async def limits_out_of_bounds_and_misspelt_are_refused(scene: Scene) -> None:
    limits = Limits(scene)
    changes = (scene.limit, limits.tighten, limits.widen)
    for name, (given, *_) in TIGHT.items():
        bad: Any = {int: -1, list: ["XYZ"]}.get(type(given))
        if bad is not None:
            await scene.refuses(asyncpg.CheckViolationError, scene.limit(**{name: bad}))
    await scene.refuses(asyncpg.CheckViolationError, scene.limit(stop_out_cooldown_minutes=1_441))
    for name, word, most in (("segments", "NSE_EQ", 7), ("products", "INTRADAY", 4)):
        longest: Any = {name: [word] * most}
        await limits.tighten(**longest)
        for odd in ([[word]], [word] * (most + 1)):
            for change in changes:
                listed: Any = {name: odd}
                await scene.refuses(asyncpg.CheckViolationError, change(**listed))
        await limits.widen(**{name: None})
    await limits.tighten(max_orders_per_day=2**63 - 1)
    for change in changes:
        for name in ("max_orders", "own", "user_id", "version", "changed_at"):
            misspelt: Any = {name: None}
            await scene.refuses(asyncpg.InvalidParameterValueError, change(**misspelt))
        odd_numbers: list[Any] = [2**63, "many", True, [1], {}, 1.5]
        for number in odd_numbers:
            odd_one: Any = {"max_orders_per_day": number}
            await scene.refuses(asyncpg.DataError, change(**odd_one))
        odd_lists: list[Any] = [[None], [""], ["NSE_EQ", None], [1]]
        for words in odd_lists:
            nothing: Any = {"segments": words}
            await scene.refuses(asyncpg.CheckViolationError, change(**nothing))
    for given_whole in (None, "[]", "1", '"segments"', "null"):
        call = scene.service("select set_user_limits($1, $2, 'A', 'r')", scene.mine, given_whole)
        await scene.refuses(asyncpg.InvalidParameterValueError, call)
        for verb in ("tighten", "widen"):
            own = scene.user(scene.mine, f"select {verb}_own_limits($1)", given_whole)
            await scene.refuses(asyncpg.InvalidParameterValueError, own)
    assert len((await limits.in_force())["limits"]) == 1


async def who_changed_a_limit_and_why_stays(scene: Scene) -> None:
    limits = Limits(scene)
    await scene.limit(max_open_positions=5)
    await limits.tighten(max_open_positions=4)
    await limits.widen(max_open_positions=5)
    rows = await scene.sql.fetch(
        "select own, changed_by, reason, before ->> 'max_open_positions' as before, "
        "after ->> 'max_open_positions' as after from private.user_limit_changes order by id"
    )
    for by, why in (("", "r"), ("Asha", "")):
        call = scene.service("select set_user_limits($1, '{}', $2, $3)", scene.mine, by, why)
        await scene.refuses(asyncpg.CheckViolationError, call)
    for change in ("update private.user_limit_changes set reason = 'x'",
                   "delete from private.user_limit_changes"):  # fmt: skip
        await scene.refuses(REFUSED, scene.sql.execute(change))

    assert [tuple(row) for row in rows] == [
        (False, "Asha", "agreed", None, "5"),
        (True, "user", "tightened by the user", None, "4"),
        (True, "user", "widened by the user", "4", "5"),
    ]


async def a_user_is_told_the_changes_of_their_own_limits(scene: Scene) -> None:
    limits = Limits(scene)
    await scene.limit(scene.theirs, max_open_positions=1)
    await scene.limit(max_open_positions=5, segments=["NSE_EQ"])
    for most in range(30):
        await limits.tighten(max_exposure_paise=100 - most)
    await limits.widen(max_exposure_paise=None, max_open_positions=2)
    many = orjson.loads(await scene.user(scene.mine, "select own_limit_changes()"))
    theirs = orjson.loads(await scene.user(scene.theirs, "select own_limit_changes()"))

    assert len(many) == 30
    assert (many[0]["own"], many[0]["changed"]) == (
        True,
        {"max_exposure_paise": [71, None], "max_open_positions": [None, 2]},
    )
    assert [(each["own"], each["changed"]) for each in theirs] == [
        (False, {"max_open_positions": [None, 1]})
    ]
    assert set(theirs[0]) == {"at", "own", "changed"}  # neither who operates nor what they noted


async def a_user_changes_limits_fifty_times_a_day(scene: Scene) -> None:
    limits = Limits(scene)
    many = (
        "insert into private.user_limit_changes (user_id, own, changed_by, reason, after) "
        "select $1, $3, 'x', 'r', '{}' from generate_series(1, $2)"
    )
    await scene.sql.execute(many, scene.mine, 60, False)
    await scene.sql.execute(many, scene.theirs, 60, True)
    await scene.sql.execute(many, scene.mine, 49, True)
    await limits.tighten(max_open_positions=9)

    for change in (limits.tighten, limits.widen):
        await scene.refuses(asyncpg.RaiseError, change(max_open_positions=8))
    await scene.limit(max_open_positions=7)
    assert (await limits.held())["max_open_positions"] == 7


async def limits_are_told_when_they_changed(scene: Scene) -> None:
    limits = Limits(scene)
    nothing = await limits.in_force()
    await scene.limit(max_open_positions=5)
    one = await limits.in_force(nothing["version"])
    same = await limits.in_force(one["version"])
    await limits.tighten(scene.theirs, max_open_positions=2)
    both = await limits.in_force(one["version"])
    await limits.tighten(max_open_positions=4)
    mine = await limits.in_force(both["version"])

    assert nothing["limits"] == []
    assert [row["max_open_positions"] for row in one["limits"]] == [5]
    assert same == {"version": one["version"], "limits": None}
    assert sorted(row["max_open_positions"] for row in both["limits"]) == [2, 5]
    assert sorted(row["max_open_positions"] for row in mine["limits"]) == [2, 4]
    assert {row["user_id"] for row in mine["limits"]} == {str(scene.mine), str(scene.theirs)}
    assert "own" not in mine["limits"][0]


async def everybodys_limits_are_read_without_a_call_for_each_user(scene: Scene) -> None:
    """Each order worker waits three seconds for them, also where there are ten thousand."""
    limits = Limits(scene)
    for user in (scene.mine, scene.theirs):
        await scene.limit(user, segments=["NSE_EQ", "BSE_EQ"])
        await limits.tighten(user, segments=["NSE_EQ"])

    await scene.sql.execute("set track_functions = 'all'")
    before = await scene.sql.fetchval(PRIVATE_CALLS)
    await limits.in_force()
    calls = await scene.sql.fetchval(PRIVATE_CALLS) - before
    await scene.sql.execute("reset track_functions")

    assert calls == 1


async def the_page_is_told_ceiling_choice_and_what_holds(scene: Scene) -> None:
    limits = Limits(scene)
    await scene.limit(scene.theirs, max_orders_per_day=1)
    before = orjson.loads(await scene.user(scene.mine, "select own_account()"))
    await scene.limit(max_orders_per_day=5)
    ceiling = orjson.loads(await scene.user(scene.mine, "select own_account()"))
    await limits.tighten(max_orders_per_day=4)
    both = orjson.loads(await scene.user(scene.mine, "select own_account()"))

    def orders(told: Row) -> list[int | None]:
        names = ("limits_ceiling", "limits_own", "limits")
        return [told[name] and told[name]["max_orders_per_day"] for name in names]

    assert [orders(each) for each in (before, ceiling, both)] == [
        *([None, None, None], [5, None, 5], [5, 4, 4]),
    ]
    assert set(both["limits"]) == set(TIGHT)


async def operators_are_told_anybodys_limits_and_nobody_else_is(scene: Scene) -> None:
    query = "select operator_limits($1)"
    await scene.limit(scene.theirs, max_open_positions=3)
    await Limits(scene).tighten(scene.theirs, max_open_positions=2)
    await scene.refuses(REFUSED, scene.user(scene.theirs, query, scene.theirs))
    await scene.service("select add_operator($1, 'Asha', 'Bimal')", scene.mine)

    told = orjson.loads(await scene.user(scene.mine, query, scene.theirs))

    assert [told[of]["max_open_positions"] for of in ("ceiling", "own", "held")] == [3, 2, 2]
    assert await scene.user(scene.mine, query, scene.mine) is None
    assert await scene.user(scene.mine, query, None) is None


async def nobody_changes_or_reads_limits_without_signing_in(scene: Scene) -> None:
    for query in ("tighten_own_limits('{}')", "widen_own_limits('{}')", "own_limit_changes()"):
        await scene.refuses(REFUSED, scene.user(None, f"select {query}"))
    await scene.sql.execute("delete from auth.sessions where user_id = $1", scene.mine)
    for change in (Limits(scene).tighten, Limits(scene).widen):
        await scene.refuses(REFUSED, change(max_open_positions=1))


CHECKS: Final[tuple[Check, ...]] = (
    functions_of_limits_are_for_their_role,
    nothing_of_limits_is_granted_in_private,
    users_read_their_own_limits_only,
    a_user_tightens_each_limit_and_widens_it_up_to_the_ceiling,
    an_operator_sets_the_ceiling_and_the_users_choice_stays,
    a_limit_above_a_lowered_ceiling_is_tightened_from_what_holds,
    a_choice_changes_whole_or_not_at_all_and_the_refusal_names_the_limits,
    a_user_without_limits_may_choose_each_and_not_begin_to_sell_short,
    a_users_consent_to_short_sales_allows_none,
    lists_without_a_common_word_allow_nothing,
    a_change_of_one_limit_leaves_the_others_and_null_is_the_platforms_own,
    limits_out_of_bounds_and_misspelt_are_refused,
    who_changed_a_limit_and_why_stays,
    a_user_is_told_the_changes_of_their_own_limits,
    a_user_changes_limits_fifty_times_a_day,
    limits_are_told_when_they_changed,
    everybodys_limits_are_read_without_a_call_for_each_user,
    the_page_is_told_ceiling_choice_and_what_holds,
    operators_are_told_anybodys_limits_and_nobody_else_is,
    nobody_changes_or_reads_limits_without_signing_in,
)
