"""Which code ran: versions, and digests of the rooms whose code decides an output."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import JsonValue

DISTRIBUTION: Final = "agentic-trading-system"
DIGITS: Final = 16  # of a digest in hexadecimal: enough to tell two builds apart


def build_of(rooms: Iterable[str], libraries: Iterable[str]) -> JsonValue:
    """Our version, the Python's, those of `libraries`, and a digest of the code of each room."""
    return {
        "version": _version(DISTRIBUTION),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in libraries},
        "code": {room: code_digest(_folder(room)) for room in rooms},
    }


def code_digest(folder: Path) -> str:
    """A digest of all Python files below `folder`, with their places."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        body = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(body)}\n".encode())
        digest.update(body)
    return digest.hexdigest()[:DIGITS]


def _folder(room: str) -> Path:
    spec = find_spec(room)
    assert spec is not None, f"{room} is ours"
    assert spec.origin is not None, f"{room} has an __init__.py"
    return Path(spec.origin).parent


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
