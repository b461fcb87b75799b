"""Money as a person in India writes it."""

from __future__ import annotations

import pytest

from audit.amounts import rupees, whole_rupees


@pytest.mark.parametrize(
    ("paise", "words"),
    [
        (0, "₹0.00"),
        (-1, "-₹0.01"),
        (99_999, "₹999.99"),
        (1_00_000, "₹1,000.00"),
        (99_99_999, "₹99,999.99"),
        (1_00_00_000, "₹1,00,000.00"),
        (-4_34_255_72, "-₹4,34,255.72"),
        (123_45_67_890_12, "₹1,23,45,67,890.12"),
    ],
)
def test_rupees_stand_in_lakhs_and_crores(paise: int, words: str) -> None:
    assert rupees(paise) == words


def test_a_column_of_whole_rupees_stands_in_lakhs_too() -> None:
    assert whole_rupees(-4_34_255_72) == "-4,34,256"
