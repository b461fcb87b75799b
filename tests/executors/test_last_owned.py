"""Whom to guard at a start without Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest

from executors.orders.last_owned import LastOwned


def test_what_was_ours_last_is_known_after_a_death(tmp_path: Path) -> None:
    LastOwned(tmp_path / "new" / "books-1.owned", 4).remember([2, 0])

    assert LastOwned(tmp_path / "new" / "books-1.owned", 4).recall() == (0, 2)


def test_nothing_is_ours_after_the_group_was_left(tmp_path: Path) -> None:
    owned = LastOwned(tmp_path / "books-1.owned", 4)
    owned.remember([1])
    owned.forget()

    assert owned.recall() == ()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"owned": 1, "of": 4}', '{"owned": [4], "of": 4}', '{"owned": ["0"]}']
)
def test_a_file_that_cannot_be_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "books-1.owned").write_text(text)

    assert LastOwned(tmp_path / "books-1.owned", 4).recall() == ()


def test_another_number_of_partitions_gives_users_to_others(tmp_path: Path) -> None:
    LastOwned(tmp_path / "books-1.owned", 4).remember([1])

    assert LastOwned(tmp_path / "books-1.owned", 8).recall() == ()


def test_a_disk_that_takes_nothing_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    owned = LastOwned(tmp_path / "file" / "books-1.owned", 4)

    owned.remember([1])

    assert owned.recall() == ()
