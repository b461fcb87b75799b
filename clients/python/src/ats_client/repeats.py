"""Messages that came before, and outcomes that no longer count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from ats_client.messages import Execution


class Repeats:
    """Remembers the last messages of one topic, each in about 100 bytes.

    A repeat has the id and the bytes of what it repeats. The bytes are asked too, as one request to
    a model has one id however often it is tried.
    """

    def __init__(self, remember: int) -> None:
        """`remember` is how many messages are known again; the oldest is forgotten first."""
        self._remember = remember
        self._seen: dict[bytes, None] = {}  # in the order in which they came

    def is_new(self, value: bytes) -> bool:
        """Whether a message is seen for the first time; remembers it."""
        digest = blake2b(value, digest_size=16).digest()
        if digest in self._seen:
            return False
        self._seen[digest] = None
        if len(self._seen) > self._remember:
            del self._seen[next(iter(self._seen))]
        return True


class Corrections:
    """Which executions count: an outcome may be corrected, and a correction too.

    It does not matter in which order they are read.
    """

    def __init__(self, executions: Iterable[Execution] = ()) -> None:
        self._by_id: dict[UUID, Execution] = {}
        self._replaced: set[UUID] = set()
        for execution in executions:
            self.add(execution)

    def add(self, execution: Execution) -> None:
        """Take one in."""
        self._by_id[execution.id] = execution
        if execution.corrects is not None:
            self._replaced.add(execution.corrects)

    def __iter__(self) -> Iterator[Execution]:
        """Those that no other one corrects, in the order in which they were added."""
        return (each for id_, each in self._by_id.items() if id_ not in self._replaced)
