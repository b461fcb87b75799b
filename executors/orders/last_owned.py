"""Which partitions of `ats.order-events` were ours last: whom to guard at a start without Kafka.

A file of one line in `ATS_STATE_DIR`, one for each process. It is written at each assignment and
removed when the process has left its group, because somebody else may own them then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LastOwned:
    """Remembers across deaths of the process.

    Attributes:
        file: Where; its folder need not exist.
        partitions: How many the topic has; what was remembered of another number does not count.
    """

    file: Path
    partitions: int

    def remember(self, owned: Iterable[int]) -> None:
        """Exactly these are ours. A disk that takes nothing is told, and ends nothing."""
        new = self.file.with_suffix(".new")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({"owned": sorted(owned), "of": self.partitions}))
            new.replace(self.file)
        except OSError as error:
            log.error("owned_partitions_not_remembered", error=type(error).__name__)

    def recall(self) -> tuple[int, ...]:
        """What was ours last; nothing where nobody knows."""
        try:
            told = json.loads(self.file.read_bytes())
            owned, of = tuple(told["owned"]), told["of"]
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        known = all(type(each) is int and 0 <= each < self.partitions for each in owned)
        return owned if known and of == self.partitions else ()

    def forget(self) -> None:
        """None of them need be ours any more."""
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
