from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ats.services.calendars import calendar_of
from ats.services.feed import mode_of
from ats.services.streams import service_of
from ats.settings import Settings
from bus.records import Record
from schemas import history
from schemas.errors import Misconfigured
from schemas.market import Timeframe
from schemas.units import Price, Quantity, UtcNs
from streams.feed.config import Mode
from tests.ats.factories import OPEN, TCS

NOW = UtcNs.seconds(1_800_000_000)
BAR = history.Bar(OPEN, Price(10), Price(10), Price(10), Price(10), Quantity(1))
PAST = history.encode(history.History(NOW, history.rows_of(TCS, Timeframe.M5, [BAR])))


def a_record(value: bytes | None) -> Record:
    return Record("ats.ticks", 0, 0, None, value, NOW)


@pytest.mark.parametrize(
    "value", [None, b"", b"poison", PAST], ids=["nothing", "empty", "poison", "history"]
)
def test_a_record_without_ticks_was_received_when_it_was_published(value: bytes | None) -> None:
    assert service_of(Settings()).received_at(a_record(value)) == NOW


def test_history_counts_as_no_ticks() -> None:
    assert service_of(Settings()).size(a_record(PAST)) == 0


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ({"ats_timeframes": ("7m",)}, "7m"),
        ({"ats_indicators": ("magic",)}, "magic"),
        ({"ats_timeframes": ("5m",)}, "1m"),
    ],
)
def test_a_timeframe_or_indicator_that_does_not_exist_is_named(
    setting: dict[str, tuple[str, ...]], names: str
) -> None:
    with pytest.raises(Misconfigured, match=names):
        service_of(Settings(**setting))  # type: ignore[arg-type]


def test_a_rule_whose_indicator_is_left_out_is_named() -> None:
    with pytest.raises(Misconfigured, match="rsi"):
        service_of(Settings(ats_indicators=("ema",))).fresh(0)


def test_the_calendar_file_closes_its_holidays(tmp_path: Path) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text('[[holidays]]\nday = 2026-11-26\nname = "moved"\n')

    calendar = calendar_of(Settings(ats_calendar=path))

    assert not calendar.sessions(date(2026, 11, 26), TCS)
    assert calendar.sessions(date(2026, 11, 25), TCS)


@pytest.mark.parametrize("content", [None, "holidays = 3", "[["])
def test_a_calendar_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "calendar.toml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misconfigured, match=r"calendar\.toml"):
        calendar_of(Settings(ats_calendar=path))


@pytest.mark.parametrize(
    "rules", ["", "[rules.ema_cross]\nenabled = false\n"], ids=["empty", "all off"]
)
def test_a_rules_file_that_enables_nothing_is_warned_of(tmp_path: Path, rules: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(rules)

    with capture_logs() as logs:
        service_of(Settings(ats_rules=path))

    (warning,) = [line for line in logs if line["log_level"] == "warning"]
    assert f"{path} enables no rule" in warning["said"]


def test_the_rules_of_no_file_are_no_reason_to_warn() -> None:
    with capture_logs() as logs:
        service_of(Settings())

    assert [line for line in logs if line["log_level"] == "warning"] == []


def test_order_books_are_subscribed_to_only_where_they_are_asked_for() -> None:
    assert mode_of(Settings()) is Mode.QUOTE
    assert mode_of(Settings(ats_depth="on")) is Mode.FULL
