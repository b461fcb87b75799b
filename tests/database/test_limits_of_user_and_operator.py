"""The operator's ceiling and the user's own choice: whatever both do in whatever order, no more is
allowed than either allows; and the migration that took them apart gave nobody more.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ats.embedded.postgres import EmbeddedPostgres
from simulator.supabase import migrate
from tests.database.adversary import Row, Scene
from tests.database.adversary_limits import TIGHT, Limits
from tests.database.conftest import Connection
from tests.database.fixtures import MIGRATIONS, create_database

APART: Final = "20261130130000"  # the migration that takes them apart
COOLDOWNS: Final = (0, 15, 30, 1_440)
WORDS: Final = ("NSE_EQ", "BSE_EQ", "NSE_FNO")
NUMBERS: Final = st.none() | st.integers(0, 3) | st.sampled_from((2**53, 2**63 - 1))

VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "max_open_positions": NUMBERS,
    "max_daily_loss_paise": NUMBERS,
    "stop_out_cooldown_minutes": st.none() | st.sampled_from(COOLDOWNS),
    "segments": st.none() | st.lists(st.sampled_from(WORDS), max_size=3),
    "long_only": st.none() | st.booleans(),
}
CHANGES: Final = st.lists(
    st.tuples(
        st.sampled_from(("operator", "tighten", "widen")),
        st.fixed_dictionaries({}, optional=VALUES).filter(bool),
    ),
    min_size=2,
    max_size=8,
)


def allows(row: Row | None, name: str, wish: Any) -> bool:
    """Whether this row by itself lets somebody have `wish`; null is the platform's own."""
    limit = (row or {}).get(name)
    match name:
        case "long_only":  # wishes are sales that begin a position, with this money
            return not (wish == "real" if limit is None else limit)
        case _ if limit is None:
            return True
        case "segments":
            return wish in limit
        case "stop_out_cooldown_minutes":
            return bool(wish >= limit)
        case _:
            return bool(wish <= limit)


def wishes(name: str) -> tuple[Any, ...]:
    """Enough of them to tell the values of `VALUES` apart."""
    match name:
        case "long_only":
            return ("paper", "real")
        case "segments":
            return (*WORDS, "MCX_COMM")
        case "stop_out_cooldown_minutes":
            return (-1, *COOLDOWNS)
        case _:
            return (0, 1, 2, 3, 4, 2**53, 2**53 + 1, 2**63 - 1, 2**63)


def is_within(own: Row, bound: Row, name: str) -> bool:
    return all(allows(bound, name, wish) for wish in wishes(name) if allows(own, name, wish))


def both_allow(ceiling: Row, own: Row, name: str, wish: Any) -> bool:
    if name == "long_only" and own.get(name) is False:
        return allows(ceiling, name, wish)  # a user's consent allows nothing by itself
    own_allows = own.get(name) is None or allows(own, name, wish)
    return own_allows and allows(ceiling, name, wish)


def is_rightly_judged(who: str, values: Row, ceiling: Row, own: Row, *, accepted: bool) -> bool:
    """A tightening is within both, a widening within the ceiling. No choice at all is as wide as
    what holds without one.
    """

    def fits(name: str, value: Any) -> bool:
        chosen = None if name == "long_only" and own.get(name) is False else own.get(name)
        if value is None:
            return who == "widen" or (ceiling.get(name) is None and chosen is None)
        within_own = who == "widen" or chosen is None or is_within(values, own, name)
        return within_own and is_within(values, ceiling, name)

    return all(fits(name, value) for name, value in values.items()) is accepted


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=CHANGES)
async def test_no_order_of_changes_lets_more_hold_than_the_ceiling_and_the_users_choice_allow(
    scene: Scene, changes: list[tuple[str, Row]]
) -> None:
    undo = scene.sql.transaction()
    await undo.start()
    try:
        ceiling, own = dict[str, Any](), dict[str, Any]()
        others = await in_force(scene)
        for who, values in changes:
            accepted = await is_accepted(scene, who, values)
            if who == "operator":
                ceiling |= values
            else:
                assert is_rightly_judged(who, values, ceiling, own, accepted=accepted)
                own |= values if accepted else {}
            told = await in_force(scene)
            row = told.pop(str(scene.mine), {})
            for name in VALUES:
                for wish in wishes(name):
                    held = allows(row, name, wish)
                    assert held is both_allow(ceiling, own, name, wish), (name, wish)
            assert told == others
    finally:
        await undo.rollback()


async def in_force(scene: Scene) -> dict[str, Row]:
    """What order workers are told, by user."""
    return {row["user_id"]: row for row in (await Limits(scene).in_force())["limits"]}


async def is_accepted(scene: Scene, who: str, values: Row) -> bool:
    limits = Limits(scene)
    change = {"operator": scene.limit, "tighten": limits.tighten, "widen": limits.widen}[who]
    try:
        async with scene.sql.transaction():
            await change(**values)
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


@pytest_asyncio.fixture
async def scene(moved: Moved) -> AsyncIterator[Scene]:
    sql = await asyncpg.connect(moved.dsn)
    mine, theirs = await a_user(sql), await a_user(sql)
    yield Scene(sql, mine, theirs)
    await sql.close()


async def a_user(sql: Connection) -> UUID:
    user: UUID = await sql.fetchval("insert into auth.users default values returning id")
    await sql.execute("insert into auth.sessions (user_id) values ($1)", user)
    return user


@dataclass(frozen=True, slots=True)
class Moved:
    """A database of before the migration, and after it."""

    dsn: str
    users: dict[str, UUID]
    before: dict[str, Row]


async def tightened(scene: Scene) -> None:
    await scene.limit(max_open_positions=9, segments=["NSE_EQ", "BSE_EQ"], long_only=False)
    await Limits(scene).tighten(max_open_positions=6, segments=[], long_only=True)


async def never_set_by_an_operator(scene: Scene) -> None:
    await Limits(scene).tighten(max_open_positions=6)


async def never_tightened(scene: Scene) -> None:
    await scene.limit(max_open_positions=9)


async def touched_by_an_operator_since(scene: Scene) -> None:
    await tightened(scene)
    await scene.limit(max_orders_per_day=5)


async def changed_past_the_functions(scene: Scene) -> None:
    await tightened(scene)
    await scene.sql.execute(
        "update user_limits set max_open_positions = 7 where user_id = $1", scene.mine
    )


async def of_lists_made_plain_since(scene: Scene) -> None:
    """The operator's list was one in a list, as it could be once."""
    await scene.sql.execute("alter table user_limits drop constraint segments_are_one_list")
    await scene.limit(segments=[["NSE_EQ"], ["BSE_EQ"]])
    await scene.sql.execute(
        "update user_limits set segments = '{BSE_EQ,NSE_EQ}' where user_id = $1", scene.mine
    )
    await scene.sql.execute(
        "alter table user_limits add constraint segments_are_one_list "
        "check (array_ndims(segments) = 1)"
    )
    await Limits(scene).tighten(max_open_positions=6)


STORIES: Final = (
    *(tightened, never_set_by_an_operator, never_tightened, touched_by_an_operator_since),
    *(changed_past_the_functions, of_lists_made_plain_since),
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def moved(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Moved:
    earlier = tmp_path_factory.mktemp("earlier")
    for file in MIGRATIONS.glob("*.sql"):
        if file.name < APART:
            shutil.copy(file, earlier)
    await create_database(postgres, "limits_apart", earlier)
    dsn = postgres.dsn(database="limits_apart")
    await migrate(dsn, earlier, shim=True)
    sql = await asyncpg.connect(dsn)
    users = {}
    for story in STORIES:
        users[story.__name__] = user = await a_user(sql)
        await story(Scene(sql, user, user))
    before = await in_force(Scene(sql, user, user))
    await migrate(dsn, MIGRATIONS, shim=True)
    await sql.close()
    return Moved(dsn, users, before)


async def test_the_migration_changes_what_holds_for_nobody(moved: Moved, scene: Scene) -> None:
    after = await in_force(scene)

    for user in moved.users.values():
        before = moved.before[str(user)]
        assert {name: after[str(user)][name] for name in TIGHT} == {
            name: before[name] for name in TIGHT
        }


@pytest.mark.parametrize(
    ("story", "ceiling", "own"),
    [
        ("tightened", (9, ["BSE_EQ", "NSE_EQ"], False), (6, [], True)),
        ("never_set_by_an_operator", (None, None, None), (6, None, None)),
        ("never_tightened", (9, None, None), None),
        ("touched_by_an_operator_since", (6, [], True), None),
        ("changed_past_the_functions", (7, [], True), None),
        ("of_lists_made_plain_since", (None, ["BSE_EQ", "NSE_EQ"], None), (6, None, None)),
    ],
)
async def test_a_value_becomes_the_users_own_only_where_the_audit_says_that_the_user_set_it(
    moved: Moved, scene: Scene, story: str, ceiling: tuple[Any, ...], own: tuple[Any, ...] | None
) -> None:
    told = await Limits(scene).told(moved.users[story])

    names = ("max_open_positions", "segments", "long_only")
    assert tuple(told["ceiling"][name] for name in names) == ceiling
    assert (told["own"] and tuple(told["own"][name] for name in names)) == own
