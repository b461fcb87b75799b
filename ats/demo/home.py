"""Where a demo lives: a folder of the user's, or one that is removed at its end."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from schemas.errors import Misconfigured

FAILED: Final = "failed-demos"
KEPT: Final = 3  # of the logs of failed demos, the newest
_LOGS: Final = "*.log"


@dataclass(slots=True)
class Home:
    """The folder, and whether what happened in it is evidence.

    Attributes:
        failed: Set by who finds a promise broken; an exception says it by itself.
    """

    path: Path
    failed: bool = False


@contextmanager
def home_of(keep: Path | None, state: Path, console: Console) -> Iterator[Home]:
    """The folder `keep`, or one that is removed; of a failed demo the logs are moved into `state`.

    Says on `console` where the logs are. Stopping a demo is no failure.

    Raises:
        Misconfigured: `keep` holds the data of another demo.
    """
    if keep and is_kept(keep):
        raise Misconfigured(
            f"--keep {keep} holds the data of a demo: look at it with --serve {keep}, "
            "or name another folder"
        )
    folder = keep or Path(tempfile.mkdtemp(prefix="ats-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # Postgres runs as another account under root and must be able to enter
    home = Home(folder.resolve())
    try:
        yield home
    except Exception:
        home.failed = True
        raise
    finally:
        if home.failed:
            logs = folder if keep else keep_logs(home.path, state / FAILED)
            console.print(f"The logs of this run are kept in {logs}", soft_wrap=True, markup=False)
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def is_kept(folder: Path) -> bool:
    """Whether `folder` holds what `ats demo --keep` leaves."""
    return (folder / "kafka/data").is_dir() and (folder / "supabase").is_dir()


def keep_logs(home: Path, place: Path) -> Path:
    """Copy every log below `home` to a folder of its own in `place`, which keeps the newest few."""
    kept = place / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    kept.mkdir(parents=True)
    for log in home.rglob(_LOGS):
        if log.is_file() and not log.is_symlink():
            shutil.copy2(log, kept / "-".join(log.relative_to(home).parts))
    for old in sorted(place.iterdir())[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return kept
