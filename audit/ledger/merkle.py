"""Merkle trees of RFC 9162 (and 6962) over SHA-256: roots, inclusion and consistency proofs. Pure.

Section numbers are those of RFC 9162.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

HASH_SIZE: Final = 32  # bytes
EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf (section 2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (section 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that grows and tells its root; it keeps one hash for each bit of its size."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []  # of the complete subtrees, the largest first

    def append(self, leaf: bytes) -> None:
        """Add one leaf, by its hash."""
        node, size = leaf, self.size
        while size & 1:  # two subtrees of one height become the next higher one
            node, size = node_hash(self._peaks.pop(), node), size >> 1
        self._peaks.append(node)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The hash of the whole tree."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


class MerkleTree:
    """A tree with all its nodes, which proves what stands in it and in what it grew from."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """`leaves` are hashes."""
        # of each height the complete subtrees, from the left
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        """How many leaves it has."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add one leaf, by its hash."""
        node, height = leaf, 0
        while True:
            if height == len(self._levels):
                self._levels.append([])
            level = self._levels[height]
            level.append(node)
            if len(level) % 2:
                return
            node, height = node_hash(level[-2], level[-1]), height + 1

    def leaf(self, index: int) -> bytes:
        """The hash of one leaf."""
        return self._levels[0][index]

    def root(self, size: int | None = None) -> bytes:
        """The hash of the tree as it was when it had `size` leaves; None is now."""
        size = self.size if size is None else size
        _check(0 <= size <= self.size, f"size {size} of {self.size}")
        return self._range(0, size) if size else EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Hashes that lead from leaf `index` to the root of `size` leaves (section 2.1.3.1)."""
        size = self.size if size is None else size
        _check(0 <= index < size <= self.size, f"leaf {index} of {size} of {self.size}")
        proof: list[bytes] = []
        begin, end = 0, size
        while end - begin > 1:
            middle = begin + _split(end - begin)
            if index < middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(begin, middle))
                begin = middle
        return proof[::-1]

    def consistency_proof(self, old: int, size: int | None = None) -> list[bytes]:
        """Hashes that show the tree of `size` leaves to continue that of `old` (2.1.4.1)."""
        size = self.size if size is None else size
        _check(0 < old <= size <= self.size, f"{old} of {size} of {self.size}")
        proof: list[bytes] = []
        begin, end, whole = 0, size, True
        while old != end:
            middle = begin + _split(end - begin)
            if old <= middle:
                proof.append(self._range(middle, end))
                end = middle
            else:
                proof.append(self._range(begin, middle))
                begin, whole = middle, False
        if not whole:
            proof.append(self._range(begin, end))
        return proof[::-1]

    def _range(self, begin: int, end: int) -> bytes:
        """The hash of the leaves from `begin` before `end`, a subtree of some tree."""
        length = end - begin
        if length & (length - 1) == 0:
            height = length.bit_length() - 1
            return self._levels[height][begin >> height]
        middle = begin + _split(length)
        return node_hash(self._range(begin, middle), self._range(middle, end))


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"no such tree: {what}")


def _split(length: int) -> int:
    """The largest power of two below `length`."""
    return 1 << (length - 1).bit_length() - 1


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` leads from `leaf` at `index` to `root` of `size` leaves (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, node = index, size - 1, leaf
    for each in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(each, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, each)
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


def continues(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows the tree of `size` leaves to continue that of `old` (2.1.4.2).

    Every tree continues the empty one.
    """
    if old == size:
        return not proof and old_root == root
    if not 0 <= old < size:
        return False
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for each in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(each, first), node_hash(each, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, each)
        at, last = at >> 1, last >> 1
    return last == 0 and first == old_root and second == root
