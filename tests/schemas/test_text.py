from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.text import clean

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(ANY_TEXT, st.integers(1, 60))
def test_clean_text_is_one_bounded_line_that_utf_8_and_postgres_take(text: str, limit: int) -> None:
    kept = clean(text, limit)

    assert len(kept) <= limit
    assert kept.encode().decode() == kept
    assert "\0" not in kept
    assert len(kept.splitlines()) <= 1


@given(ANY_TEXT, st.integers(1, 60))
def test_cleaning_clean_text_changes_nothing(text: str, limit: int) -> None:
    kept = clean(text, limit)

    assert clean(kept, limit) == kept


@pytest.mark.parametrize("text", ["RMS: Margin ₹1,00,000 से कम", "naïve – “quoted” 👩🏽‍💻"])
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert clean(text, 100) == text


def test_what_is_no_text_leaves_a_mark() -> None:
    assert clean("a\0b\ud800c\u202ed\x1b[31m", 100) == "a�b�c�d�[31m"
