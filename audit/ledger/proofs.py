"""Files that prove one leaf offline (c2sp.org/tlog-proof, `.tlog-proof`). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Self

from audit.ledger.checkpoints import Checkpoint
from audit.ledger.merkle import HASH_SIZE, includes, leaf_hash
from audit.ledger.notes import Note, PublicKey, b64decoded
from schemas.errors import Unreadable

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_FILE: Final = 8 * 1024 * 1024  # characters of a proof that are read
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,17})")
_EXTRA: Final = "extra "


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That a leaf stands in a log whose head was signed.

    Attributes:
        index: Of the leaf.
        hashes: From the leaf's sibling up to the root's child.
        note: The signed checkpoint, as it stands.
        extra: Whatever the maker added; nothing vouches for it.
    """

    index: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes = b""

    def __str__(self) -> str:
        extra = [_EXTRA + base64.b64encode(self.extra).decode()] if self.extra else []
        hashes = [base64.b64encode(each).decode() for each in self.hashes]
        lines = [HEADER, *extra, f"index {self.index}", *hashes, ""]
        return "\n".join(lines) + "\n" + self.note

    @classmethod
    def parse(cls, whole: str) -> Self:
        """Read a file.

        Raises:
            Unreadable: it is no proof.
        """
        if len(whole) > MAX_FILE:
            raise Unreadable(f"a proof of {len(whole)} characters, more than {MAX_FILE}")
        head, blank, note = whole.partition("\n\n")
        lines = head.split("\n")
        if not blank or lines.pop(0) != HEADER:
            raise Unreadable(f"not a proof: it does not begin with {HEADER}")
        extra = b""
        if lines and lines[0].startswith(_EXTRA):
            extra = b64decoded(lines.pop(0).removeprefix(_EXTRA), "the extra data")
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None:
            raise Unreadable("a proof without the index of its leaf")
        hashes = tuple(b64decoded(line, "a hash of the proof", HASH_SIZE) for line in lines)
        return cls(int(index[1]), hashes, note, extra)

    def proves(self, entry: bytes, origin: str, keys: Collection[PublicKey]) -> Checkpoint:
        """The head that contains `entry`, signed by each of `keys`.

        Raises:
            Unreadable: it proves nothing of the kind; the message says what is missing.
        """
        note = Note.parse(self.note)
        checkpoint = Checkpoint.of_note(note)
        if checkpoint.origin != origin:
            raise Unreadable(f"the proof is of {checkpoint.origin}, not of {origin}")
        signed = note.verified_by(keys)
        if missing := sorted(key.name for key in keys if key not in signed):
            raise Unreadable(f"not signed by {', '.join(missing)}")
        if not keys:
            raise Unreadable("without a key nothing is proven")
        leaf = leaf_hash(entry)
        if not includes(leaf, self.index, checkpoint.size, self.hashes, checkpoint.root):
            raise Unreadable(f"the entry is not leaf {self.index} of this head")
        return checkpoint
