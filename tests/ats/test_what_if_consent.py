"""Models are asked for a what-if after a yes on the terminal, and after nothing else."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

PROGRAM = """
import asyncio
from rich.console import Console
from ats.replay.asking import agreed
from audit.whatif.asking import Bill
from schemas.units import Paise

bill = Bill("a-model", 2, 3, Paise(150))
while True:
    said = agreed([("", bill)], Console(stderr=True), yes=False, has_key=True)
    print(asyncio.run(said), flush=True)
"""


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        words = [sys.executable, "-c", PROGRAM]
        self.process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self._ahead = ""

    def until(self, word: str) -> str:
        """What it prints next, up to `word`."""
        while word not in self._ahead:
            self._ahead += os.read(self._ours, 1_024).decode()
        said, _, self._ahead = self._ahead.partition(word)
        return said

    def type(self, line: str) -> None:
        os.write(self._ours, line.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


def test_only_a_yes_on_the_terminal_lets_models_be_asked_and_ctrl_c_ends_it(
    terminal: Terminal,
) -> None:
    said = terminal.until("[y/N]")
    for line, agreed in (("\n", "False"), ("nay\n", "False"), ("\x04", "False"), ("yes\n", "True")):
        terminal.type(line)
        terminal.until(agreed)
        terminal.until("[y/N]")
    terminal.process.send_signal(signal.SIGINT)

    assert "2 answers must be asked anew of a-model, and at most 3 more" in said
    assert "at most ₹1.50. Ask? " in said
    assert terminal.process.wait(10) == -signal.SIGINT
