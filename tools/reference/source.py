"""What stands behind names in the source.

That is the comment at the end of a line, or an entry in a docstring's list of attributes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_CONSTANT: Final = re.compile(r"^\s*([A-Z][A-Z_]*)(?:: Final)? = .*?\s#\s(.+)$", re.MULTILINE)
_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.+(?:\n {8,}.+)*)", re.MULTILINE)


def comments(thing: type | ModuleType) -> Mapping[str, str]:
    """Constant -> the comment behind it, of a class or module."""
    return dict(_CONSTANT.findall(inspect.getsource(thing)))


def attributes(thing: type) -> Mapping[str, str]:
    """Attribute -> what the docstring's section `Attributes` says of it."""
    _, _, section = (inspect.getdoc(thing) or "").partition("Attributes:\n")
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section)}


def sentence(comment: str) -> str:
    """A comment as a sentence of a page."""
    return comment[:1].upper() + comment[1:].rstrip(".") + "."
