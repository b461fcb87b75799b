"""The messages of a day as one root, whatever their offsets, stamps and repeats. Pure.

A replay derives messages, not the places where a broker put them. So here the leaves are the
distinct messages of a day (`Entry.message`), in the order of their hashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from audit.ledger.entries import Entry, message_hash
from audit.ledger.log import LOGGED
from audit.ledger.merkle import MerkleTree, leaf_hash
from audit.replay.day import COMPARED
from bus.records import Output
from schemas.topics import ORDER_EVENTS

# of observations a replay derives only those that placing an order showed
DERIVED: Final = tuple(topic for topic in COMPARED if topic in LOGGED and topic is not ORDER_EVENTS)
_NAMES: Final = frozenset(topic.name for topic in DERIVED)

Messages = Mapping[str, set[bytes]]


def message_root(hashes: Iterable[bytes]) -> bytes:
    """The root of the distinct `hashes`."""
    return MerkleTree(leaf_hash(each) for each in sorted(set(hashes))).root()


def logged_messages(entries: Iterable[Entry]) -> dict[str, set[bytes]]:
    """By topic, what the leaves say was written, of what a replay derives."""
    found: dict[str, set[bytes]] = {name: set() for name in sorted(_NAMES)}
    for each in entries:
        if each.topic in _NAMES:
            found[each.topic].add(each.message)
    return found


class DerivedMessages:
    """What a replay derives, by topic."""

    def __init__(self) -> None:
        self.found: dict[str, set[bytes]] = {name: set() for name in sorted(_NAMES)}

    def take(self, output: Output) -> None:
        """One derived message that has its partition."""
        topic = output.topic.name
        if topic in _NAMES:
            partition = output.partition or 0
            self.found[topic].add(message_hash(topic, partition, output.key, output.value))
