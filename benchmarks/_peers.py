"""Peers of `benchmarks.engine` and `benchmarks.backtest`: where they are, and how they are run.

NautilusTrader 2 needs Python 3.12 or newer, so it has an interpreter of its own: the one that
`BENCH_PYTHON` names, else the newest that is found. Its newest version, release candidates
included, is installed into a virtual environment in the user's cache. Its indicators without Python
(`benchmarks/crate`) are built there as well, where there is cargo.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path

from benchmarks._indicators import Pace, tick_table

VARIABLE = "BENCH_PYTHON"
NEWER = ("3.14", "3.13", "3.12")
PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
FOLDER = Path(sys.prefix) / "peers"  # of `make bench-peers`
MOST_TALIPP = 500  # its objects for 5,000 take a minute to warm up
SCRIPT = Path(__file__).with_name("_indicators.py")
CACHE = user_cache_path("ats")
CRATE = Path(__file__).with_name("crate")
LIBRARY = "nautilus-indicators"


@dataclass(frozen=True, slots=True)
class Peer:
    """One library, ready to run.

    Attributes:
        command: What prints its pace, with its version unless `version` has it; instruments and
            seconds follow.
        path: Where its packages are, besides the interpreter's own.
        most: Instruments it is run with at most.
        reads_ticks: Whether it is given them on its input, as it cannot make the same itself.
    """

    name: str
    command: list[str]
    path: str = ""
    most: int = 5_000
    version: str = ""
    reads_ticks: bool = field(default=False, kw_only=True)

    def run(self, instruments: int, seconds: float) -> tuple[str, Pace]:
        """Its name with the library's version, and how fast it is."""
        done = subprocess.run(  # noqa: S603
            [*self.command, str(instruments), str(seconds)],
            env=dict(os.environ) | {"PYTHONPATH": self.path},
            input=tick_table(instruments).astype("<i8").tobytes() if self.reads_ticks else None,
            check=True,
            stdout=subprocess.PIPE,
        )
        result = json.loads(done.stdout)
        version = self.version or result["version"]
        return f"{self.name} {version}", Pace(result["cpu"], result["wall"])


def peers() -> tuple[list[Peer], dict[str, str]]:
    """Those that can run here, and of the others why not."""
    found = [Peer("talib", _script(sys.executable, "talib"))]
    found.append(Peer("pandas", _script(sys.executable, "pandas")))
    missing = {}
    if (FOLDER / "talipp").is_dir():
        talipp = _script(sys.executable, "talipp")
        found.append(Peer("talipp", talipp, str(FOLDER), MOST_TALIPP))
    else:
        missing["talipp"] = "not installed: run `make bench-peers`"
    if reason := _build(built := CACHE / "bench-crate"):
        missing["crate"] = reason
    else:
        command = [str(built / "target" / "release" / "bench-crate")]
        found.insert(0, Peer("crate", command, version=_crate_version(), reads_ticks=True))
    python, reason = nautilus_python()
    if python:
        found.insert(0, Peer("nautilus", _script(python, "nautilus")))
    else:
        missing["nautilus"] = reason
    return found, missing


def nautilus_python() -> tuple[str, str]:
    """An interpreter with the newest NautilusTrader; "" with the reason where there is none."""
    python = newer_python()
    if python is None:
        return "", f"no Python {NEWER[-1]} or newer found: name one by {VARIABLE}"
    if reason := _install(python, folder := CACHE / "bench-peers"):
        return "", reason
    return str(folder / "bin" / "python"), ""


def _script(python: str, name: str) -> list[str]:
    return [python, str(SCRIPT), name]


def _crate_version() -> str:
    given = tomllib.loads((CRATE / "Cargo.toml").read_text())["dependencies"][LIBRARY]
    return str(given).removeprefix("=")


def _build(folder: Path) -> str:
    """Build the program of `benchmarks/crate` as far as it changed; returns why it could not.

    It takes minutes once. In a copy, since cargo writes its lock file, which names a registry,
    beside the sources.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        return "no cargo found: install Rust"
    shutil.copytree(CRATE, folder, dirs_exist_ok=True)
    # it asks for a newer Rust than it needs
    options = ["--release", "--quiet", "--ignore-rust-version"]
    return _failed([cargo, "build", *options, "--manifest-path", f"{folder}/Cargo.toml"])


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
    return next(filter(None, map(_failed, steps)), "")


def _failed(command: list[str]) -> str:
    """Run a step; returns why it failed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    if not done.returncode:
        return ""
    return f"{' '.join(command[1:4])} failed: {done.stderr.strip().splitlines()[-1:]}"
