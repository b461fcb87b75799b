"""How a model wants to be asked, by its name: some refuse a parameter that others need.

Pure. A model that is not in the table is asked as the first chat models were: `max_tokens`, a
temperature and a seed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Dialect:
    """The parameters a model accepts.

    Attributes:
        temperature: Whether it takes one.
        seed: Whether it takes one.
        limit: What it calls the limit of its output.
        thoughts: Tokens it may think before it answers. They count against the limit and are billed
            as output.
    """

    temperature: bool = True
    seed: bool = True
    limit: str = "max_tokens"
    thoughts: int = 0


PLAIN: Final = Dialect()
# several times what a question of ours takes at the default effort; unused ones are not billed
THOUGHTS: Final = 4_000

_TABLE: Final = (
    # GPT-5 and later, o1, o3, o4-mini: "Unsupported parameter: 'max_tokens'", and only the default
    # temperature
    (
        re.compile(r"(gpt-[5-9]|o[1-9])(?![0-9])"),
        Dialect(False, True, "max_completion_tokens", THOUGHTS),
    ),
    # HTTP 400, Unknown name "seed"
    (re.compile(r"gemini"), Dialect(seed=False, thoughts=THOUGHTS)),
)


def dialect_of(model: str) -> Dialect:
    """The dialect of `model`; a router's prefix such as `openai/` does not count."""
    name = model.lower().rpartition("/")[2]
    return next((dialect for pattern, dialect in _TABLE if pattern.match(name)), PLAIN)
