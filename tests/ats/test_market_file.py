"""A market file that cannot be one is refused at once; Ctrl-C ends the reading of a long one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ats.commands.market_file import look_at
from ats.runtime import exit_codes
from schemas.errors import Misconfigured

HEADER = "symbol,timestamp,open,high,low,close,volume\n"
ROW = "TCS,2026-11-20T09:15:00+05:30,100,101,99,100,5\n"


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def started(*words: str) -> subprocess.Popen[str]:
    def heard() -> None:  # a shell may have us ignore SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)

    return subprocess.Popen(
        [sys.executable, "-m", "ats", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"ATS_ENV_FILE": "/dev/null", "COLUMNS": "200"},
        preexec_fn=heard,  # noqa: PLW1509
    )


def test_what_is_no_file_of_text_is_refused_with_what_it_is_and_the_remedy(tmp_path: Path) -> None:
    text = (HEADER + ROW).encode()
    os.mkfifo(tmp_path / "pipe.csv")
    refused = {
        "no such file": tmp_path / "gone.csv",
        "directory": tmp_path,
        "pipe": tmp_path / "pipe.csv",
        "ends in .gz$": written(tmp_path / "day.csv", gzip.compress(text)),
        "not compressed": written(tmp_path / "day.csv.gz", text),
        "UTF-16; save": written(tmp_path / "utf16.csv", (HEADER + ROW).encode("utf-16")),
        "no text has": written(tmp_path / "utf16le.csv", (HEADER + ROW).encode("utf-16-le")),
        "with xz; unpack": written(tmp_path / "day.csv.xz", lzma.compress(text)),
        "with bzip2; unpack": written(tmp_path / "day.csv.bz2", bz2.compress(text)),
        "with zstd; unpack": written(tmp_path / "day.csv.zst", b"\x28\xb5\x2f\xfd"),
        "spreadsheet": written(tmp_path / "day.xlsx", b"PK\x03\x04" + text),
    }

    for says, path in refused.items():
        with pytest.raises(Misconfigured, match=says) as error:
            look_at(path)
        assert str(path) in str(error.value)


def test_plain_and_gzipped_text_are_let_through(tmp_path: Path) -> None:
    text = (HEADER + ROW).encode()

    look_at(written(tmp_path / "day.csv", text))
    look_at(written(tmp_path / "bom.csv", b"\xef\xbb\xbf" + text))
    look_at(written(tmp_path / "day.csv.gz", gzip.compress(text)))


@pytest.mark.parametrize("command", [["demo"], ["simulator"], ["rules", "try", "ema_cross"]])
def test_each_command_looks_before_it_opens_a_pipe_that_nobody_writes_to(
    command: list[str], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.csv")

    said, _ = started(*command, "--market", str(tmp_path / "pipe.csv")).communicate()

    assert "it is a pipe" in said
    assert "loading" not in said


def test_the_demo_refuses_a_file_of_another_format_before_it_loads_anything(tmp_path: Path) -> None:
    odd = written(tmp_path / "odd.csv", b"date;price\n2026-11-20;5\n")

    demo = started("demo", "--market", str(odd))
    said, _ = demo.communicate()

    assert demo.returncode == exit_codes.MISCONFIGURED
    assert "odd.csv" in said
    assert "lacks the column" in said
    assert "loading ATS" not in said


@pytest.mark.parametrize("command", ["demo", "simulator"])
def test_ctrl_c_ends_the_reading_of_a_long_file_in_the_middle(command: str, tmp_path: Path) -> None:
    rows = (f"S{number},2026-11-20T09:15:00+05:30,100,101,99,100,5\n" for number in range(400_000))
    path = tmp_path / "long.csv"
    path.write_text(HEADER + "".join(rows))
    process = started(command, "--market", str(path))
    assert process.stdout
    assert "reading long.csv" in process.stdout.readline()

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate()

    assert process.returncode in (exit_codes.INTERRUPTED, -signal.SIGINT)
    assert not [line for line in said.splitlines() if "done" in line or "http" in line]


def test_the_demo_warns_of_a_rules_file_that_enables_nothing(tmp_path: Path) -> None:
    demo = started("demo", "--rules", str(written(tmp_path / "rules.toml", b"")))
    assert demo.stdout
    said = ""
    for line in demo.stdout:
        said += line
        if "enables no rule" in line or "starting Kafka" in line:
            break
    demo.send_signal(signal.SIGTERM)
    demo.communicate()

    assert "rules.toml enables no rule" in said
