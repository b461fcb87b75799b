"""Runs a command that takes minutes and says, every few seconds, how far it is.

`python tools/visibly.py "installing Python packages" COMMAND...`, for the Makefile: it runs before
anything is installed, so it needs the standard library only. Of `pip install -r FILE` it counts the
packages. The command's own output is shown when it fails.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, TextIO

LINE_EVERY: Final = 4.0  # seconds; on a terminal one line is written anew, more often
REDRAW_EVERY: Final = 0.5
WIDTH: Final = 60  # characters of the command's last line
_BAR: Final = "━"  # pip draws bars into files too, each as it ended
_PINNED: Final = re.compile(r"^[\w.-]+(\[[\w,-]+\])?==", re.MULTILINE)


def main(words: Sequence[str], out: TextIO) -> int:
    """Run the command after what it is for; returns its exit code."""
    what, *command = words
    began, live = time.monotonic(), out.isatty()
    with tempfile.TemporaryFile() as log:
        say(out, what)
        with subprocess.Popen(  # noqa: S603  the Makefile's own command lines, no shell
            command, stdout=log, stderr=subprocess.STDOUT
        ) as process:
            code = None
            while code is None:
                try:
                    code = process.wait(REDRAW_EVERY if live else LINE_EVERY)
                except subprocess.TimeoutExpired:
                    passed = time.monotonic() - began
                    how_far = f"{what}: {passed:3.0f} s  {state(log, command)}"
                    say(out, how_far, again=live)
        if code:
            log.seek(0)
            say(out, log.read().decode(errors="replace").rstrip())
            say(out, f"{what}: failed, exit code {code}")
        else:
            say(out, f"{what}: done in {time.monotonic() - began:.0f} s")
    return code


def say(out: TextIO, line: str, *, again: bool = False) -> None:
    """Write a line; `again` leaves it to be written over by the next."""
    start, end = ("\r\x1b[K", "") if out.isatty() else ("", "\n")
    out.write(f"{start}{line}{end if again else chr(10)}")
    out.flush()


def state(log: IO[bytes], command: Sequence[str]) -> str:
    """Where the command is: packages of pip by number, else its last line."""
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    said = (line.strip() for line in reversed(lines) if not line.strip().startswith(_BAR))
    last = next((line for line in said if line), "")
    if "-r" not in command:
        return last[:WIDTH]
    wanted = len(_PINNED.findall(Path(command[command.index("-r") + 1]).read_text()))
    if last.startswith("Installing collected packages"):
        there = sum(1 for _ in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))
        return f"unpacking, {there} packages are there"
    begun = sum(line.startswith("Collecting ") for line in lines)
    return f"package {begun} of about {wanted}: {last}"[: WIDTH + 30]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], sys.stdout))
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells say it
