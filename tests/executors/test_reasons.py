from __future__ import annotations

import re
from pathlib import Path

import pytest

from executors import sessions
from executors.reasons import WORDS, Reason, for_operator, for_user
from executors.risk.denial import Denial
from executors.risk.preflight import Red
from executors.risk.sizing import NoOrder

MIGRATIONS = Path(__file__).resolve().parents[2] / "supabase" / "migrations"
CLAIM = re.compile(
    r"function (?:p\w+\.claim_order|private\.token_refusal)\(.*?\n(?:end )?\$\$;", re.DOTALL
)


def test_no_code_is_without_both_sentences_and_no_sentence_without_a_code() -> None:
    codes = {str(code) for kind in (Denial, Red, NoOrder, Reason) for code in kind}

    assert {str(code) for code in WORDS} == codes
    assert [code for code, words in WORDS.items() if not (words.user and words.operator)] == []


@pytest.mark.parametrize("code", sorted(map(str, WORDS)))
def test_a_user_reads_whole_sentences_without_names_of_commands_and_settings(code: str) -> None:
    assert re.fullmatch(r"[A-Z][^`_]+[.]", WORDS[code].user)
    assert WORDS[code].idle == "" or re.fullmatch(r"On, but [^`_]+[.]", WORDS[code].idle)


def test_what_the_claim_refuses_has_words() -> None:
    refused = {
        word
        for migration in MIGRATIONS.glob("*.sql")
        for function in CLAIM.findall(migration.read_text(encoding="utf-8"))
        for word in re.findall(r"(?:then|else|'reason',) '([a-z_]+)'", function)
    }

    assert refused >= {"switched_off", "no_account", "order_unresolved", "stopped", "not_a_member"}
    assert refused - {str(code) for code in WORDS} == set()


def test_who_is_not_active_is_told_why() -> None:
    states = {sessions.SWITCHED_OFF, sessions.NO_TOKEN, sessions.TOKEN_EXPIRED}
    states |= {sessions.TOKEN_REFUSED, sessions.DATABASE_AWAY}

    assert all(for_user(state) and for_operator(state) for state in states)


def test_a_code_of_dhans_has_no_words_of_ours() -> None:
    assert (for_user("DH-906"), for_operator("DH-906")) == ("", "")
