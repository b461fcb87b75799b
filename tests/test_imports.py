"""The arrows between rooms point one way (docs/architecture.md, Rooms)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "schemas": set(),
    "bus": {"schemas"},
    "dhan": {"schemas"},
    "streams": {"schemas", "bus", "dhan"},
    "agents": {"schemas", "bus", "dhan"},
    "executors": {"schemas", "bus", "dhan"},
    "simulator": {"schemas"},
    "ats": {"schemas", "bus", "dhan", "streams", "agents", "executors", "simulator"},
}
# A library with inner names we depend on is imported in one place only.
ONLY_IN = {
    "faust": "bus/",
    "mode": "bus/",
    "aiokafka": "bus/",
    "dhanhq": "dhan/",
    "agno": "agents/model.py",
}


def imports_of(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def modules() -> list[Path]:
    return sorted(path for room in MAY_IMPORT for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_the_architecture_lets_it(module: Path) -> None:
    room = module.relative_to(ROOT).parts[0]

    foreign = {name for name in imports_of(module) if name in MAY_IMPORT and name != room}

    assert foreign <= MAY_IMPORT[room]


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_behind_an_adapter_is_imported_there_only(module: Path) -> None:
    name = str(module.relative_to(ROOT))

    strays = {
        library
        for library in imports_of(module)
        if library in ONLY_IN and not name.startswith(ONLY_IN[library])
    }

    assert not strays


def test_the_supabase_folder_does_not_shadow_the_supabase_package() -> None:
    assert not (ROOT / "supabase" / "__init__.py").exists()
