"""What `ats replay` was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from schemas.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the command line says; see `ats replay --help`.

    Attributes:
        verify: Compare with what stands on the topics.
        into: Write the record to topics whose names begin so, instead of deriving anything.
        speed: Seconds of the record per second then; None is as fast as it goes.
        demo: The folder of a kept demo, whose Kafka is started for it; None asks a running one.
        archive: The folder of an archive, which is read instead of Kafka.
    """

    first: date
    last: date
    verify: bool
    demo: Path | None
    as_json: bool
    into: str = ""
    speed: float | None = 1.0
    archive: Path | None = None

    @classmethod
    def of(
        cls,
        day: date | None,
        first: date | None,
        last: date | None,
        *,
        verify: bool,
        demo: Path | None,
        as_json: bool,
        into: str = "",
        speed: float | None = 1.0,
        archive: Path | None = None,
    ) -> ReplayOptions:
        """Raises Misconfigured where options contradict each other, or no day is named."""
        if day is not None and (first or last):
            raise Misconfigured("give one DATE, or --from and --to, not both")
        begin, end = (day, day) if day else (first or last, last or first)
        if begin is None or end is None:
            raise Misconfigured("no day given: `ats replay 2026-11-20`, or --from and --to")
        if begin > end:
            raise Misconfigured(f"--from {begin} is after --to {end}")
        if into and verify:
            raise Misconfigured("--into writes the day again and --verify judges it: give one")
        return cls(begin, end, verify, demo, as_json, into, speed, archive)
