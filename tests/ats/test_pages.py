"""A page is there as a whole, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ats.runtime.pages import write_page
from schemas.errors import Misconfigured


def test_a_page_is_written_over_the_one_before_and_is_utf_8_whatever_the_locale(
    tmp_path: Path,
) -> None:
    path = tmp_path / "report.html"
    path.write_text("yesterday")

    write_page(path, "\N{INDIAN RUPEE SIGN}5 \ud800")

    assert path.read_bytes() == "\N{INDIAN RUPEE SIGN}5 &#55296;".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_the_page_before_stays_and_no_half_one_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "report.html", Path.write_bytes
    path.write_text("yesterday")

    def full(self: Path, data: bytes) -> int:
        real(self, data[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Misconfigured, match=r"report.html cannot be written: No space left"):
        write_page(path, "today")

    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "yesterday"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="/dev/full cannot be written: No space left"):
        write_page(Path("/dev/full"), "a page")
    write_page(Path("/dev/null"), "a page")

    assert Path("/dev/null").is_char_device()
