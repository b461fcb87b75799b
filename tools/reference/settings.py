"""The page of settings: names, types and defaults from `ats.settings`, the words from
`.env.example`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, get_args, get_origin

import platformdirs
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ats.settings import REMEDIES, Settings
from tools.reference.markdown import code, table
from tools.reference.markdown import page as page_of
from tools.reference.source import ROOT

INTRODUCTION: Final = (
    "Settings are environment variables, or lines of a file `.env` in the folder where `ats` "
    "starts. An empty value counts as not set. `ats show-config` prints what is in force; `ats "
    "doctor` tries it."
)
_SECTION: Final = re.compile(r"^# --- (.+)$")
_SETTING: Final = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]+)=(\S*)(?:\s+#\s(.+))?$")

_LIMITS: Final = (("ge", "from"), ("le", "to"))
_FOLDERS: Final = {
    platformdirs.user_cache_dir("ats"): "the user's cache folder",
    platformdirs.user_state_dir("ats"): "the user's state folder",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """A setting as `.env.example` shows it."""

    section: str
    name: str
    words: str


def explained() -> Iterator[Explained]:
    """Every setting of `.env.example`, in its order."""
    section = ""
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        if heading := _SECTION.match(line):
            section = heading[1]
        elif setting := _SETTING.match(line):
            yield Explained(section, setting[1], setting[3] or "")


def page() -> str:
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    known = list(explained())
    parts = [INTRODUCTION]
    for section in dict.fromkeys(setting.section for setting in known):
        rows = [
            (
                code(setting.name),
                _default(fields[setting.name]),
                _values(fields[setting.name]),
                _words(setting),
            )
            for setting in known
            if setting.section == section
        ]
        parts += [f"## {section}", table(("Setting", "Default", "Values", "What it does"), rows)]
    return page_of("Settings", "`ats/settings.py` and `.env.example`", *parts)


def _words(setting: Explained) -> str:
    words = setting.words.removeprefix("or ")
    # "or SSL, SASL_SSL": the column of values says so
    if words != setting.words and ":" not in words:
        return ""
    return words or REMEDIES.get(setting.name, "")


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr) or value in {None, (), ""}:
        return ""
    if str(value) in _FOLDERS:
        return _FOLDERS[str(value)]
    return code(",".join(map(str, value)) if isinstance(value, tuple) else str(value))


def _values(field: FieldInfo) -> str:
    kind = field.annotation
    if get_origin(kind) is Literal:
        return ", ".join(code(str(value)) for value in get_args(kind))
    if kind is SecretStr:
        return "a secret"
    limits = [
        f"{sign} {getattr(limit, name)}"
        for limit in field.metadata
        for name, sign in _LIMITS
        if hasattr(limit, name)
    ]
    return " ".join(("a number", *limits)) if limits else ""
