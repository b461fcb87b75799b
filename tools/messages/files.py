"""The files that are made, each with the function that makes its content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools.messages import asyncapi, python, typescript

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final[Mapping[Path, Callable[[], str]]] = {
    ROOT / "schemas" / "asyncapi.json": asyncapi.document,
    ROOT / "clients" / "python" / "src" / "ats_client" / "messages.py": python.module,
    ROOT / "web" / "src" / "lib" / "messages.ts": typescript.module,
    ROOT / "web" / "src" / "lib" / "gateway" / "views.ts": typescript.gateway,
}
