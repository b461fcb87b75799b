"""Each policy and lock that an outsider could take away unnoticed: it holds in our database, and
its mutant is caught.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from ats.embedded.postgres import EmbeddedPostgres
from tests.database import guards
from tests.database.fixtures import MIGRATIONS, SupabaseStack, own_stack

LOCK = (
    r"  perform "
    r"pg_catalog\.pg_advisory_xact_lock(_shared)?\(pg_catalog\.hashtextextended\({key}, 0\)\);\n"
)


class Mutant(NamedTuple):
    """What to change in the last definition of `function`, and the check that must notice.

    Attributes:
        wrapped: The last definition only calls the one before it, which stands in `private` now.
        beside: Functions that hold the same guard: without theirs too, or nothing is seen.
    """

    check: guards.Check
    function: str
    pattern: str
    replacement: str = ""
    wrapped: bool = False
    beside: tuple[str, ...] = ()


def lock(
    check: guards.Check, function: str, key: str, *, wrapped: bool = False, beside: str = ""
) -> Mutant:
    others = (beside,) if beside else ()
    return Mutant(check, function, LOCK.format(key=key), wrapped=wrapped, beside=others)


PAIR = r"p_user::text \|\| p_decision::text"
MUTANTS = [
    Mutant(
        guards.order_times_are_ones_own,
        "own_order_times",
        r"where claim\.user_id = private\.signed_in_user\(\)",
    ),
    Mutant(
        guards.a_user_turns_no_other_switch,
        "own_switch_is_turned",
        r"using \(user_id = \(select auth\.uid\(\)\)\)\s+with check \(user_id = \(select "
        r"auth\.uid\(\)\) and",
        "using (true) with check (true and",
    ),
    Mutant(
        guards.corrections_are_ones_own,
        "own_corrections",
        r"where correction\.user_id = private\.signed_in_user\(\)",
    ),
    lock(guards.corrections_of_an_order_are_made_one_by_one, "append_correction", PAIR),
    lock(
        guards.a_correction_waits_for_orders_of_its_decision,
        "follow_execution",
        r"'executed ' \|\| p_decision",
    ),
    lock(
        guards.an_accepted_order_waits_for_corrections_of_its_decision,
        "log_outcome",
        r"'executed ' \|\| p_claim\.decision_id",
    ),
    *(
        Mutant(
            check,
            function,
            rf"  perform pg_catalog\.{call}\(private\.halt_key\({key}\)\);\n",
            beside=beside,
        )
        for check, function, call, key, beside in (
            (
                guards.a_claim_waits_for_a_halt_of_everybody,
                *("is_halted", "pg_advisory_xact_lock_shared", "null", ("is_stopped",)),
            ),
            (
                guards.a_claim_waits_for_a_halt_of_its_user,
                *("is_halted", "pg_advisory_xact_lock_shared", "p_user", ("is_stopped",)),
            ),
            (
                guards.a_halt_waits_for_claims,
                *("wait_for_claims", "pg_advisory_xact_lock", "p_user", ()),
            ),
        )
    ),
    Mutant(
        guards.a_halt_waits_for_no_claim_that_hangs,
        "wait_for_claims",
        r" set lock_timeout = '500ms'",
    ),
    lock(guards.a_claim_waits_for_the_denial_of_its_order, "claim_order", PAIR),
    lock(guards.a_denial_waits_for_the_claim_of_its_order, "record_outcome", PAIR),
    lock(
        guards.attempts_to_connect_are_counted_one_by_one,
        "begin_dhan_consent",
        r"'dhan_consents ' \|\| v_user",
        wrapped=True,
    ),
    lock(
        guards.returns_from_dhan_are_counted_one_by_one,
        "take_dhan_consents",
        r"'dhan_callbacks ' \|\| v_user",
    ),
    lock(guards.doubts_are_counted_one_by_one, "doubt_dhan_token", r"'token_doubts ' \|\| v_user"),
    lock(
        guards.stored_tokens_are_counted_one_by_one,
        "store_dhan_token",
        r"'key_audit ' \|\| v_user",
        wrapped=True,
    ),
    lock(
        guards.users_of_one_account_connect_one_by_one,
        "store_dhan_token",
        r"'dhan_account ' \|\| p_client_id",
        wrapped=True,
    ),
    lock(
        guards.switching_on_waits_for_a_report_of_the_platform,
        "refuse_switch_on_other_terms",
        r"'platform_reports'",
        beside="refuse_switch_of_no_member",
    ),
    lock(
        guards.a_report_of_the_platform_waits_for_switching_on,
        "report_platform",
        r"'platform_reports'",
    ),
]


def named(mutant: Mutant) -> str:
    return mutant.function


@pytest.mark.parametrize("mutant", MUTANTS, ids=named)
async def test_it_holds(supabase_stack: SupabaseStack, mutant: Mutant) -> None:
    await mutant.check(supabase_stack)


@pytest.mark.parametrize("mutant", MUTANTS, ids=named)
async def test_its_mutant_is_caught(
    postgres: EmbeddedPostgres, tmp_path: Path, mutant: Mutant
) -> None:
    migrations = mutated(mutant, tmp_path)

    async with own_stack(postgres, f"mutant_{mutant.check.__name__}", migrations) as stack:
        with pytest.raises(AssertionError):
            await mutant.check(stack)


def mutated(mutant: Mutant, folder: Path) -> Path:
    """The migrations with `mutant` in the definitions in force of its functions or policy."""
    texts = {file.name: file.read_text() for file in sorted(MIGRATIONS.glob("*.sql"))}
    for function in (mutant.function, *mutant.beside):
        name, start = definition(texts, function, before=1 if mutant.wrapped else 0)
        text = texts[name]
        changed, count = re.subn(mutant.pattern, mutant.replacement, text[start:], count=1)
        assert count == 1, f"{name}: nothing to change in {function}"
        texts[name] = text[:start] + changed
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def definition(texts: Mapping[str, str], name: str, before: int) -> tuple[str, int]:
    """Where the last definition of a function or policy begins, or one `before` it."""
    defines = re.compile(rf"create (or replace )?(function|policy) ((public|private)\.)?{name}\b")
    found = [
        (file, match.start()) for file, text in texts.items() for match in defines.finditer(text)
    ]
    return found[-1 - before]
