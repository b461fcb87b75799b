"""Which records of a log are of a day that is written again."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import uuid4

from audit.archive.survey import Membership
from audit.ledger.log import day_of
from audit.replay.publish import OfSpan
from audit.replay.recorded import span_of
from bus.records import Record
from schemas.topics import FEED, SESSIONS, SIGNALS, Topic
from schemas.units import UtcNs
from tests.ats.factories import OPEN

DAY = date(2026, 11, 20)


def test_what_tells_of_the_machines_time_goes_along_with_what_was_written_next() -> None:
    def at(topic: Topic, written: int, moment: int) -> Record:
        value = b'{"event_time":%d,"id":"%s"}' % (moment, str(uuid4()).encode())
        return Record(topic.name, 0, 0, b"", value, UtcNs.minutes(written), {})

    span, today, machine = span_of(DAY, DAY), int(OPEN), int(OPEN + 9 * 86_400 * 1_000_000_000)
    early, near, signal, later, other, last = (
        at(SESSIONS, 0, machine),
        at(SESSIONS, 100, machine),
        at(SIGNALS, 110, today),
        at(FEED, 111, machine),
        at(SIGNALS, 112, machine),
        at(FEED, 113, machine),
    )

    chosen = OfSpan(span)
    told = [each for record in (early, near, signal) for each in chosen.take(record)]
    trailing = OfSpan(span)
    ended = [*trailing.take(signal), *trailing.take(later), *trailing.rest()]

    assert told == [near, signal]
    assert [each for record in (later, other, last) for each in chosen.take(record)] == []
    assert chosen.rest() == []
    assert ended == [signal, later]


def test_who_is_active_is_of_the_day_on_which_it_was_told_not_of_its_older_cause() -> None:
    tomorrow = DAY + timedelta(days=1)
    value = b'{"event_time":%d,"id":"%s"}' % (OPEN, str(uuid4()).encode())
    told = Record(SESSIONS.name, 0, 0, b"", value, UtcNs(OPEN + UtcNs.minutes(24 * 60)), {})

    republished = [day for day in (DAY, tomorrow) if OfSpan(span_of(day, day)).take(told)]
    archived = [day for day in (DAY, tomorrow) if Membership(day).wants(told)]

    assert republished == archived == [day_of(told)] == [tomorrow]
