"""Makes dead letters of records that could not be read.

A dead letter holds the record verbatim, with the reason and where it came from. The id follows from
topic, partition and offset, so a repeat after a crash is recognised. No `ats-cause` header: records
of many topics meet in the one partition of `ats.deadletter`, where the rule of the highest offset
would drop good ones.
"""

from __future__ import annotations

import base64
from typing import Final

from bus.records import Output, Record, message_output
from schemas.errors import Unreadable
from schemas.ids import derive
from schemas.messages import DeadLetter
from schemas.topics import DEAD_LETTER

REASON_LENGTH: Final = 4_000  # `schemas.messages.Text`
LABEL_LENGTH: Final = 100  # `schemas.messages.Label`
# of a value: as base64 3.87 MB, which with key and reason stays below the topic's 4 MiB
KEPT_BYTES: Final = 2_900_000
KEPT_KEY_BYTES: Final = 60_000


def dead_letter(record: Record, error: Unreadable) -> Output:
    """The output that keeps `record`.

    One too large for the topic is cut, and its reason says so.
    """
    cut = [
        f"{name} of {len(part)} bytes cut to {limit}"
        for name, part, limit in (
            ("key", record.key, KEPT_KEY_BYTES),
            ("value", record.value, KEPT_BYTES),
        )
        if part is not None and len(part) > limit
    ]
    note = f" [{', '.join(cut)}; the whole stays at {record} while retention lasts]" if cut else ""
    letter = DeadLetter(
        id=derive("deadletter", record.topic, record.partition, record.offset),
        event_time=record.published_at,  # the only time known of a record that cannot be read
        topic=record.topic[:LABEL_LENGTH],
        partition=record.partition,
        offset=record.offset,
        reason=_printable(error.reason)[: REASON_LENGTH - len(note)] + note,
        field=_printable(error.field)[:LABEL_LENGTH],
        key=_base64(record.key, KEPT_KEY_BYTES),
        value=_base64(record.value, KEPT_BYTES),
    )
    return message_output(DEAD_LETTER, letter, record.topic, partition=0)


def _base64(part: bytes | None, limit: int) -> str | None:
    return None if part is None else base64.b64encode(part[:limit]).decode()


def _printable(text: str) -> str:
    """The reason without half characters (lone surrogates), which JSON cannot hold.

    A reason may quote what could not be read.
    """
    return text.encode("utf-8", "replace").decode()
