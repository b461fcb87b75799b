"""The other processes of a backtest."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil

KILLED = """
import os, signal
from ats.backtest.pool import FEW, pool_of

if __name__ == "__main__":
    with pool_of(2, FEW + 1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_they_end_with_a_backtest_that_was_killed(tmp_path: Path) -> None:
    # a file: a pipe would stay open as long as a worker lives
    with (tmp_path / "worker").open("w+") as said:
        done = subprocess.run([sys.executable, "-c", KILLED], stdout=said, timeout=120, check=False)
        said.seek(0)
        worker = int(said.read())

    gone = True
    with contextlib.suppress(psutil.NoSuchProcess):
        _, alive = psutil.wait_procs([psutil.Process(worker)], timeout=60)
        for process in alive:
            process.kill()
            gone = False
    assert done.returncode == -signal.SIGKILL
    assert gone
