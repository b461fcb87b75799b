"""The rules of the house find what they are for, on small trees that break them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tools.house import docstrings, imports, vocabulary
from tools.house.tree import PRODUCT
from tools.reference.source import ROOT


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with our contracts and packages that import what those name."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in PRODUCT:
        for package in (ROOT / room).rglob("__init__.py"):
            write(tmp_path, str(package.relative_to(ROOT)), "")
    write(tmp_path, "bus/faust_app.py", "import aiokafka, confluent_kafka, faust, mode\n")
    write(tmp_path, "dhan/orders.py", "import dhanhq\n")
    write(tmp_path, "agents/model.py", "import agno\n")
    write(tmp_path, "agents/feeds/syndication.py", "import feedparser\n")
    write(tmp_path, "audit/archive/columns.py", "import pyarrow\n")
    write(tmp_path, "simulator/market/columnar.py", "import pyarrow\n")
    write(tmp_path, "backtest/columnar.py", "import pyarrow\n")
    return tmp_path


def test_a_tree_that_keeps_the_contracts_breaks_nothing(tree: Path) -> None:
    assert imports.broken(tree) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("schemas/units.py", "bus.faust_app"),  # up
        ("streams/service.py", "agents.model"),  # across
        ("simulator/server.py", "dhan.orders"),  # what it tests
        ("executors/app.py", "audit"),  # up
        ("audit/replay.py", "ats"),  # up
        ("audit/replay.py", "simulator"),  # what was played, for what was recorded
        ("executors/app.py", "faust"),  # past the adapter
        ("agents/app.py", "agno"),
        ("streams/service.py", "dhanhq"),
        ("audit/replay.py", "backtest"),  # what was recorded, for what might have been
        ("executors/app.py", "backtest"),  # up
        ("ats/replay/source.py", "pyarrow"),
    ],
)
def test_an_import_that_points_up_or_across_or_past_an_adapter_is_found(
    tree: Path, module: str, imported: str
) -> None:
    write(tree, module, f"import {imported}\n")

    assert imports.broken(tree)


def test_a_circle_of_packages_is_found_though_no_two_modules_import_each_other(tree: Path) -> None:
    for room in ("one", "two"):
        write(tree, f"simulator/{room}/__init__.py", "")
        write(tree, f"simulator/{room}/leaf.py", "")
    write(tree, "simulator/one/user.py", "import simulator.two.leaf\n")
    write(tree, "simulator/two/user.py", "import simulator.one.leaf\n")

    assert "No cycles are allowed in simulator" in imports.broken(tree)[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("executors/store.py", "class Settlement: ...\n"),
        ("executors/store.py", '"""Calls `settle_order` once."""\n'),
        ("executors/store.py", "x = 1  # as `Settled` says\n"),
        ("docs/executors.md", "One\n```python\nsettle(1)\n```\n"),
    ],
)
def test_a_retired_name_is_found_in_code_and_between_backticks(
    tmp_path: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "NOT_YET", {})
    write(tmp_path, name, text)

    (found,) = _of_names(tmp_path)

    assert name in found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("executors/risk/gate.py", "spread = ask - bid\n"),  # the field's own sense
        ("executors/store.py", '"""Settled users settle."""\n'),  # English
        ("executors/store.py", "unsettled = 1\n"),  # part of another word
        ("CHANGELOG.md", "`Settlement` is `OrderOutcome`\n"),  # tells what was renamed
    ],
)
def test_the_field_s_sense_and_plain_english_are_left_alone(
    tmp_path: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "NOT_YET", {})
    write(tmp_path, name, text)

    assert _of_names(tmp_path) == []


def test_the_list_of_what_is_left_can_only_shrink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabulary, "NOT_YET", {"Settlement": 1, "AnswerBook": 1})
    write(tmp_path, "executors/store.py", "class Settlement: ...\n")

    assert _of_names(tmp_path) == ["NOT_YET: AnswerBook is gone, take it out"]

    write(tmp_path, "executors/more.py", "from executors.store import Settlement\n")
    assert _of_names(tmp_path)[0] == (
        "NOT_YET: Settlement stands 2 times, 1 were left; rename the new ones"
    )


def test_a_retired_module_is_found(tmp_path: Path) -> None:
    write(tmp_path, "bus/follower.py", "")

    assert any(line.startswith("bus/follower.py: ") for line in vocabulary.broken(tmp_path))


def _of_names(root: Path) -> list[str]:
    return [line for line in vocabulary.broken(root) if not line.startswith("MODULES_NOT_YET")]


def test_a_silent_public_function_counts_and_a_private_or_overriding_one_does_not(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        "bus/reader.py",
        "def silent(): ...\n"
        "def _private(): ...\n"
        "class _Hidden:\n    def inside(self): ...\n"
        "class Reader:\n"
        "    @override\n    def taken_over(self): ...\n"
        "    def says(self):\n        'Says.'\n        def inner(): ...\n",
    )

    found = list(docstrings.functions(tmp_path))

    assert [(public.place, public.documented) for public in found] == [
        ("bus/reader.py:1 silent", False),
        ("bus/reader.py:8 Reader.says", True),
    ]
    assert docstrings.broken(tmp_path)[1:] == ["bus/reader.py:1 silent"]
    assert docstrings.report(tmp_path) == [f"{room:22}   50% of    2" for room in ("bus", "all")]
