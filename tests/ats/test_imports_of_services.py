"""Each service imports what it needs: what takes seconds of CPU at each start stays away."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ENGINE = {"numba", "llvmlite", "talib", "pandas", "streams.engine.kernels"}


@pytest.mark.parametrize(
    ("service", "foreign"),
    [
        ("feed", {"agno", "faust", "supabase", "feedparser"} | _ENGINE),
        ("gateway", {"agno", "faust", "supabase", "feedparser", "dhanhq"} | _ENGINE),
        ("executors", {"agno", "feedparser"} | _ENGINE),
    ],
)
def test_a_service_does_not_import_what_only_others_need(service: str, foreign: set[str]) -> None:
    program = f"import sys, ats.services.{service}; print({foreign!r} & set(sys.modules))"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"
