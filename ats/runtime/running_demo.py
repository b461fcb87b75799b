"""Which demo runs on this machine and where, for `ats tail` and `ats kill` in another terminal.

A demo leaves one small file in `ATS_STATE_DIR` and takes it away at its end. A file left by one
that was killed is ignored, also when its process id has another process by now.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import orjson
import psutil

from schemas.errors import Misconfigured

FOLDER: Final = "demos"
_SAME_START: Final = 1.0  # seconds between two readings of when one process began


@dataclass(frozen=True, slots=True)
class Running:
    """A demo, or kept data of one that is served again.

    Attributes:
        kafka: Address of its broker, host:port.
        pid: Its process.
        began: When that process began, in seconds since 1970 UTC.
        supabase: Address of its database; empty where nothing trades.
        keys: The folder of that database's keys, which only their owner can read.
    """

    kafka: str
    pid: int
    began: float
    supabase: str = ""
    keys: str = ""

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        try:
            return abs(psutil.Process(self.pid).create_time() - self.began) < _SAME_START
        except psutil.Error:
            return False


@contextmanager
def announced(
    state: Path, kafka: str, *, supabase: str = "", keys: Path | None = None
) -> Iterator[Running]:
    """While it lasts, `running(state)` finds this process, its broker and its database.

    Raises:
        Misconfigured: the folder `state` cannot be written to.
    """
    me = psutil.Process()
    ours = Running(kafka, me.pid, me.create_time(), supabase, str(keys or ""))
    folder = state / FOLDER
    path = folder / f"{ours.pid}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as out:
            out.write(orjson.dumps(asdict(ours)))
        Path(out.name).replace(path)  # nobody reads half a file
    except OSError as error:
        raise Misconfigured(f"ATS_STATE_DIR={str(state)!r} cannot be used: {error}") from None
    try:
        yield ours
    finally:
        path.unlink(missing_ok=True)


def running(state: Path) -> Running | None:
    """The demo that began last, of those that run; None when none does."""
    found = (_read(path) for path in (state / FOLDER).glob("*.json"))
    alive = [demo for demo in found if demo and demo.alive]
    return max(alive, key=lambda demo: demo.began, default=None)


def _read(path: Path) -> Running | None:
    try:
        said = orjson.loads(path.read_bytes())
        place = str(said.get("supabase", "")), str(said.get("keys", ""))
        return Running(str(said["kafka"]), int(said["pid"]), float(said["began"]), *place)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # taken away meanwhile, or not ours
