"""Reads a script of faults: YAML (or JSON, which is YAML), strictly. docs/simulator.md describes
the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import time
from pathlib import Path
from typing import Any, Final

import yaml

from schemas.errors import Misconfigured
from simulator.faults.fault import Fault
from simulator.faults.kinds import TRAITS, FaultKind

_COMMON: Final = frozenset(
    (
        "kind",
        "times",
        "client_id",
        "endpoint",
        "connection",
        "market_time",
        "machine_time",
        "after",
        "chance",
    )
)
_PARAMETERS: Final = frozenset(field.name for field in fields(Fault)) - _COMMON


@dataclass(frozen=True, slots=True)
class Script:
    """A seed and the faults it draws for, in order."""

    faults: tuple[Fault, ...]
    seed: int = 1


def load_script(path: Path) -> Script:
    """Read a file.

    Raises:
        Misconfigured: no such file, or not a script; the text names file and field.
    """
    try:
        return read_script(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be read ({error.strerror}); name a file with a script of faults"
        ) from None
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{path}: is no UTF-8 text ({error.reason})") from None
    except Misconfigured as error:
        raise Misconfigured(f"{path}: {error}") from None


def read_script(text: str) -> Script:
    """Read a script: `{seed?, faults: [...]}`, a bare list of faults, or one fault.

    Raises:
        Misconfigured: it is something else; the text names the field, like `faults[2].delay`.
    """
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 1}: " if where else ""
        raise Misconfigured(
            f"{line}not YAML: {getattr(error, 'problem', None) or type(error).__name__}"
        ) from None
    if isinstance(body, dict) and "faults" in body:
        return _whole(body)
    if isinstance(body, list):
        return _whole({"faults": body})
    return Script((_fault(body, ""),))


def _whole(body: Mapping[Any, Any]) -> Script:
    if odd := sorted(str(key) for key in body.keys() - {"seed", "faults"}):
        raise Misconfigured(f"{odd[0]}: unknown; a script has seed and faults")
    seed, entries = body.get("seed", 1), body["faults"]
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise Misconfigured(f"seed: {seed!r} is not a whole number")
    if not isinstance(entries, list) or not entries:
        raise Misconfigured("faults: is not a list of at least one fault")
    return Script(tuple(_fault(entry, f"faults[{at}]") for at, entry in enumerate(entries)), seed)


def _fault(entry: object, path: str) -> Fault:
    dot = f"{path}." if path else ""
    if not isinstance(entry, dict):
        raise Misconfigured(f"{path or 'script'}: {entry!r} is not a fault with a kind"[:200])
    kind = entry.get("kind")
    if kind not in list(FaultKind):
        raise Misconfigured(f"{dot}kind: {kind!r} is not one of {', '.join(FaultKind)}")
    allowed = TRAITS[FaultKind(kind)].parameters
    for name in entry:
        if name not in _COMMON | _PARAMETERS:
            raise Misconfigured(f"{dot}{name}: unknown field")
        if name in _PARAMETERS - allowed:
            takes = ", ".join(sorted(allowed)) or "none"
            raise Misconfigured(f"{dot}{name}: {kind} does not take it; its parameters: {takes}")
    try:
        return Fault(
            **{
                **entry,
                "kind": FaultKind(kind),
                "market_time": _time_of_day(entry.get("market_time")),
            }
        )
    except ValueError as error:
        raise Misconfigured(f"{dot}{error}") from None


def _time_of_day(value: object) -> time | None:
    """YAML reads an unquoted 10:15:00 as the number 36900."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 86_400:
        return time(value // 3_600, value // 60 % 60, value % 60)
    try:
        if isinstance(value, str):
            return time.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"market_time: {value!r} is not a time of day like 10:15:00")
