"""Imports between rooms point one way (docs/architecture.md, Rooms), as pyproject.toml has it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tools.house import imports
from tools.house.tree import PRODUCT

ROOT = Path(__file__).resolve().parents[1]
TOOL: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]


def test_imports_keep_the_contracts() -> None:
    pytest.importorskip("importlinter", reason="the lock of dev has grown: make lint")

    assert imports.broken(ROOT) == []


def test_every_package_of_the_wheel_is_under_the_contracts() -> None:
    shipped = TOOL["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert TOOL["importlinter"]["root_packages"] == shipped == list(PRODUCT)


def test_the_supabase_folder_does_not_shadow_the_supabase_package() -> None:
    assert not (ROOT / "supabase" / "__init__.py").exists()
