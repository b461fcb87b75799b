"""The peers of `benchmarks.engine`: where each is installed, and how it is run.

NautilusTrader 2 needs Python 3.12 or newer, so it has an interpreter of its own: the one that
`BENCH_PYTHON` names, else the newest that is found. Its newest version, release candidates
included, is installed into a virtual environment in the user's cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from benchmarks._indicators import Pace

VARIABLE = "BENCH_PYTHON"
NEWER = ("3.14", "3.13", "3.12")
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
FOLDER = Path(sys.prefix) / "peers"  # of `make bench-peers`
MOST_TALIPP = 500  # its objects for 5,000 take a minute to warm up
SCRIPT = Path(__file__).with_name("_indicators.py")


@dataclass(frozen=True, slots=True)
class Peer:
    """One library, ready to run.

    Attributes:
        python: Its interpreter.
        path: Where its packages are, besides the interpreter's own.
        most: Instruments it is run with at most.
    """

    name: str
    python: str
    path: str = ""
    most: int = 5_000

    def run(self, instruments: int, seconds: float) -> tuple[str, Pace]:
        """Its name with the library's version, and how fast it is."""
        command = [self.python, str(SCRIPT), self.name, str(instruments), str(seconds)]
        environment = dict(os.environ) | {"PYTHONPATH": self.path}
        done = subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603
        result = json.loads(done.stdout)
        return f"{self.name} {result['version']}", Pace(result["cpu"], result["wall"])


def peers() -> tuple[list[Peer], dict[str, str]]:
    """Those that can run here, and of the others why not."""
    found = [Peer("talib", sys.executable), Peer("pandas", sys.executable)]
    missing = {}
    if (FOLDER / "talipp").is_dir():
        found.append(Peer("talipp", sys.executable, str(FOLDER), MOST_TALIPP))
    else:
        missing["talipp"] = "not installed: run `make bench-peers`"
    python = newer_python()
    if python is None:
        missing["nautilus"] = f"no Python {NEWER[-1]} or newer found: name one by {VARIABLE}"
    elif reason := _install(python, folder := user_cache_path("ats") / "bench-peers"):
        missing["nautilus"] = reason
    else:
        found.insert(0, Peer("nautilus", str(folder / "bin" / "python")))
    return found, missing


def newer_python() -> str | None:
    """An interpreter that NautilusTrader 2 runs on."""
    if named := os.environ.get(VARIABLE):
        return named
    for version in NEWER:
        installed = sorted(PYENV.glob(f"{version}.*/bin/python"))
        for candidate in (shutil.which(f"python{version}"), *map(str, installed)):
            if candidate and _works(candidate):
                return candidate
    return None


def _works(python: str) -> bool:
    command = [python, "-c", ""]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0  # noqa: S603


def _install(python: str, folder: Path) -> str:
    """Install the newest; returns why it could not."""
    own = str(folder / "bin" / "python")
    steps = (
        [python, "-m", "venv", str(folder)],
        [own, "-m", "pip", "install", "-q", "--upgrade", "--pre", "nautilus-trader", "numpy"],
    )
    for command in steps:
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            return f"{' '.join(command[1:4])} failed: {done.stderr.strip().splitlines()[-1:]}"
    return ""
