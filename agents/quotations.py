"""How words of strangers, and of models that read them, are cleaned for a model. Pure."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

# a report's whole: three sentences
SUMMARY_CHARACTERS: Final = 600
# no word of a headline is longer; what is may be encoded text
LONGEST_WORD: Final = 40
LEFT_OUT: Final = "…"


def bounded_text(text: str, most: int = SUMMARY_CHARACTERS) -> str:
    """`text` as one line of at most `most` plain characters.

    Letters that only look different become the usual ones (NFKC). Characters that do not show,
    marks that pile up on a letter, and words too long to be any are left out.
    """
    joined = text[: 8 * most]
    if not (joined.isascii() and joined.isprintable()):  # most words are plain already
        joined = _plain(joined)
    words = (word if len(word) <= LONGEST_WORD else LEFT_OUT for word in joined.split())
    return " ".join(words)[:most].rstrip()


def _plain(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text.encode("utf-8", "ignore").decode())
    shown = "".join(_shown(character) for character in plain)
    return unicodedata.normalize("NFKC", shown)  # what only a mark kept apart


@lru_cache(maxsize=4_096)  # of the alphabets that people write in
def _shown(character: str) -> str:
    """A mark is what NFKC could not join to its letter, or a selector of a variant."""
    if unicodedata.category(character) in ("Mn", "Me"):
        return ""
    return character if character.isprintable() else " "
