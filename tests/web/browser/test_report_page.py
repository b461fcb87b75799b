"""The page that `ats report` writes opens anywhere, and axe finds nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.report.day import report_of
from audit.report.page import page
from executors.charges.rates import shipped_rates
from schemas.ids import UserId
from tests.audit.report_day import ANN, held, recorded, the_day
from tests.web.browser.window import THEMES, Chromium, Size


@pytest.mark.parametrize(
    ("user", "size"), [(None, "desktop"), (ANN, "phone")], ids=["everybody", "one user"]
)
async def test_a_report_opens_without_a_network_and_axe_finds_nothing_in_any_theme(
    chromium: Chromium, tmp_path: Path, user: UserId | None, size: Size
) -> None:
    day = [*the_day(user), held(1.5, 10, 0), held(1.6, 10, 10), held(4.5, 0, 0)]
    file = tmp_path / "report.html"
    file.write_text(page(report_of(recorded(day, user), shipped_rates())))
    window = await chromium.window(size)

    await window.page.goto(file.as_uri())

    asked = [each.split()[1] for each in window.asked]
    assert asked == [file.as_uri()]
    assert window.said == []
    assert await window.wider_than_the_window() == 0
    for theme in THEMES:
        await window.theme(theme)
        await window.shoot(f"report-{'user' if user else 'all'}-{size}-{theme}")
        assert await window.violations() == []
