"""What the ledger writes: leaves in their order, and signed heads of the logs."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from pydantic import Field

from schemas.frozen import FrozenModel
from schemas.messages import Count, Label, Message, Text

MAX_ENTRIES: Final = 1_000  # of one batch: a fifth of the topic's largest record

Hash = Annotated[str, Field(min_length=44, max_length=44, description="SHA-256, base64")]
Seal = Annotated[str, Field(min_length=88, max_length=88, description="Ed25519, base64")]


class LedgerEntry(FrozenModel):
    """One leaf: where a record stands, and what it is (`audit.ledger.entries`)."""

    topic: Label
    partition: Count
    offset: Count
    published_ms: Count = Field(description="the record's own stamp, POSIX milliseconds")
    message: Hash = Field(description="of topic, partition, key and value")
    headers: Hash = Field(description="of the record's headers")


class LedgerBatch(Message):
    """`ats.ledger`: leaves of one day's log, in their order.

    It counts where it continues the log as the topic has it: `first` is the size of the log before.
    """

    day: date = Field(description="trading date of the records")
    first: Count = Field(description="index of the first leaf")
    entries: Annotated[tuple[LedgerEntry, ...], Field(min_length=1, max_length=MAX_ENTRIES)]


class LedgerCheckpoint(Message):
    """`ats.checkpoints`: the head of one day's log, signed by the ledger or by a witness too."""

    day: date
    size: Count = Field(description="how many leaves")
    note: Text = Field(description="the signed note (c2sp.org/tlog-checkpoint)")
    since: Count = Field(description="index of the first leaf that `seals` are of")
    seals: Annotated[
        tuple[Seal, ...],
        Field(max_length=MAX_ENTRIES, description="of each leaf since, the ledger's signature"),
    ] = ()
    places: Annotated[
        tuple[Label, ...],
        Field(max_length=MAX_ENTRIES, description="TOPIC-PARTITION@OFFSET of each leaf since"),
    ] = ()
