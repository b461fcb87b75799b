"""Public functions say what they do: the share of them that has a docstring, by room.

Public are functions and methods without a leading underscore, in classes without one. A function
inside a function does not count, nor does one that overrides a method: it inherits the docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tools.house.tree import PRODUCT, room_of, sources

AT_LEAST: Final = 0.85  # of the product
INHERITED: Final = {"override", "overload", "setter"}


class Public(NamedTuple):
    """One public function: its room, where it stands, and whether it says what it does."""

    room: str
    place: str
    documented: bool


def broken(root: Path) -> list[str]:
    """A line for each silent public function when too many of the product are silent."""
    every = list(functions(root))
    share = _share(every)
    if share >= AT_LEAST:
        return []
    silent = [public.place for public in every if not public.documented]
    return [f"{share:.1%} have one, want {AT_LEAST:.0%}; without:", *silent]


def report(root: Path) -> list[str]:
    """The share of each room, and of all."""
    rooms: dict[str, list[Public]] = {}
    for public in functions(root):
        rooms.setdefault(public.room, []).append(public)
    rows = [(room, rooms[room]) for room in sorted(rooms)]
    rows.append(("all", [public for found in rooms.values() for public in found]))
    return [f"{room:22} {_share(found):>5.0%} of {len(found):4}" for room, found in rows]


def _share(found: list[Public]) -> float:
    return sum(public.documented for public in found) / len(found) if found else 1.0


def functions(root: Path) -> Iterator[Public]:
    """Every public function of the product's packages under `root`."""
    for path in sources(root, PRODUCT):
        name = path.relative_to(root)
        for place, node in _public(ast.parse(path.read_text(encoding="utf-8")), ""):
            yield Public(
                room_of(name), f"{name}:{node.lineno} {place}", ast.get_docstring(node) is not None
            )


def _public(
    node: ast.AST, within: str
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if not child.name.startswith("_") and not _inherits(child):
                yield within + child.name, child
        elif isinstance(child, ast.ClassDef):
            if not child.name.startswith("_"):
                yield from _public(child, f"{within}{child.name}.")
        elif isinstance(child, ast.If | ast.Try | ast.With):
            yield from _public(child, within)


def _inherits(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        ast.unparse(decorator).rpartition(".")[2] in INHERITED
        for decorator in function.decorator_list
    )
