"""Checkpoints: the head of a log in three lines (c2sp.org/tlog-checkpoint). Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Final, Self

from audit.ledger.merkle import HASH_SIZE
from audit.ledger.notes import Note, b64decoded
from schemas.errors import Unreadable

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of one log.

    Attributes:
        origin: Which log.
        size: How many leaves.
        root: Of the tree of so many leaves.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note. Extension lines, which nobody audits, are refused.

        Raises:
            Unreadable: it is no such text.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise Unreadable("not a checkpoint: origin, size and root, one line each")
        if not _SIZE.fullmatch(lines[1]):
            raise Unreadable("a checkpoint's size is a decimal number")
        root = b64decoded(lines[2], "the root of the checkpoint", HASH_SIZE)
        return cls(lines[0], int(lines[1]), root)

    @classmethod
    def of_note(cls, note: Note) -> Self:
        """What `note` says. Raises as `parse`."""
        return cls.parse(note.text)
