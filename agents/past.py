"""The decisions of each instrument, in the order of the signals they are of.

A decision carries the offset of its signal (`schemas.lineage`). So what was decided before a signal
is a question of offsets, not of who was faster: a signal that comes again after a crash finds what
it found before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import structlog

from bus.connection import KafkaConnection
from bus.reader import read_topics
from bus.records import Record
from bus.stored import Since
from schemas import topics
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import InstrumentId
from schemas.lineage import HEADER, Cause
from schemas.market import trading_day
from schemas.messages import Decision, Signal
from schemas.strategy import counts_for, mode_of

log = structlog.get_logger(__name__)

# decisions kept of an instrument: hours of a rule that fires every few minutes
REMEMBERED: Final = 64


class DecisionHistory:
    """Decisions by instrument and offset of their signal."""

    def __init__(self) -> None:
        self._known: defaultdict[InstrumentId, dict[int, Decision]] = defaultdict(dict)

    def note(self, offset: int, decision: Decision) -> None:
        """Keep the decision of the signal at `offset`.

        A restarted engine may write a signal again: its decision counts once, at the first offset.
        """
        known = self._known[decision.instrument]
        first = self._first(known, decision.signal_id)
        if first is not None and offset >= first:
            return
        known[offset] = decision if first is None else known.pop(first)
        if len(known) > REMEMBERED:
            del known[min(known)]

    def before(self, offset: int, signal: Signal) -> tuple[Decision, ...]:
        """Decisions of the same day and instrument whose signals came before, oldest first.

        What a strategy decided that goes less far than this one's is left out.
        """
        day, known = trading_day(signal.event_time), self._known.get(signal.instrument, {})
        first = self._first(known, signal.id)
        until = offset if first is None else min(offset, first)
        mode = mode_of(signal.strategy)
        return tuple(
            decision
            for at, decision in sorted(known.items())
            if at < until
            and trading_day(decision.event_time) == day
            and counts_for(mode_of(decision.strategy), mode)
        )

    @staticmethod
    def _first(known: Mapping[int, Decision], signal: UUID) -> int | None:
        """Where the signal stands first, as far as its decision is known."""
        return next((at for at, each in known.items() if each.signal_id == signal), None)


async def sync_decisions(
    connection: KafkaConnection, history: DecisionHistory, since: Since, *, until_end: bool = False
) -> None:
    """Keep `history` up to date with what this and other processes decide.

    Endless unless `until_end`. A decision that cannot be read, or that names no signal, is logged.
    """
    reading = read_topics(connection, [topics.DECISIONS], since=since, until_end=until_end)
    async for record in reading:
        try:
            note_record(history, record)
        except Unreadable as error:
            log.error("decision_unreadable", at=str(record), reason=str(error))


def note_record(history: DecisionHistory, record: Record) -> None:
    """Keep the decision in a record of `ats.decisions`.

    Raises:
        Unreadable: it is no decision, or does not say which signal it is of.
    """
    cause = Cause.decode(record.headers.get(HEADER, b""))
    history.note(cause.offset, decode(Decision, record.value))
