"""Identifiers.

All are deterministic: made from what caused the thing, never from chance or a clock. The same cause
gives the same id in every process and every replay, so a message that arrives twice is recognised.
"""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple, NewType
from uuid import UUID, uuid5

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

# ours alone; changing it renames every id ever made
NAMESPACE: Final = UUID("6a1f2c1e-6d0b-5b0e-9a55-0a7c0d5e8a11")

UserId = NewType("UserId", UUID)
SignalId = NewType("SignalId", UUID)
ScanId = NewType("ScanId", UUID)
ReportId = NewType("ReportId", UUID)
DecisionId = NewType("DecisionId", UUID)
OrderId = NewType("OrderId", UUID)
DhanClientId = NewType("DhanClientId", str)
DhanOrderId = NewType("DhanOrderId", str)
CorrelationId = NewType("CorrelationId", str)

_SECURITY_ID = re.compile(r"[0-9]{1,10}")
# Dhan refuses the whole order above it, as DH-905 without the field's name (measured; its documents
# say 30)
CORRELATION_ID_LENGTH: Final = 25
MAX_SECURITY_ID: Final = 2**32 - 1  # u32 in the feed's packet header


class Segment(StrEnum):
    """Dhan's exchange segments, as JSON spells them."""

    IDX_I = "IDX_I"
    NSE_EQ = "NSE_EQ"
    NSE_FNO = "NSE_FNO"
    NSE_CURRENCY = "NSE_CURRENCY"
    BSE_EQ = "BSE_EQ"
    MCX_COMM = "MCX_COMM"
    BSE_CURRENCY = "BSE_CURRENCY"
    BSE_FNO = "BSE_FNO"

    @property
    def code(self) -> int:
        """The segment's number in binary packets."""
        return SEGMENT_CODES[self]

    @classmethod
    def from_code(cls, code: int) -> Segment | None:
        """The segment of a number in a binary packet; None when Dhan lists no such number."""
        return _SEGMENT_BY_CODE.get(code)


# Dhan annexure, "Exchange Segment"; 6 is unused.
SEGMENT_CODES: Final[dict[Segment, int]] = {
    Segment.IDX_I: 0,
    Segment.NSE_EQ: 1,
    Segment.NSE_FNO: 2,
    Segment.NSE_CURRENCY: 3,
    Segment.BSE_EQ: 4,
    Segment.MCX_COMM: 5,
    Segment.BSE_CURRENCY: 7,
    Segment.BSE_FNO: 8,
}
_SEGMENT_BY_CODE: Final = {code: segment for segment, code in SEGMENT_CODES.items()}


class InstrumentId(NamedTuple):
    """What is traded: a security id is unique only within its segment. Written `NSE_EQ:2885`."""

    segment: Segment
    security_id: int

    def __str__(self) -> str:
        return f"{self.segment}:{self.security_id}"

    @classmethod
    def parse(cls, text: str) -> InstrumentId:
        """Read `SEGMENT:SECURITY_ID`.

        Raises:
            ValueError: unknown segment, or a security id that is not an unsigned 32-bit number.
        """
        return _instrument(text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from_text = core_schema.no_info_after_validator_function(
            cls.parse, core_schema.str_schema(max_length=24)
        )
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema(
                [core_schema.is_instance_schema(cls), from_text]
            ),
            serialization=core_schema.to_string_ser_schema(),
        )


@lru_cache(maxsize=16_384)  # more than the instruments of a day
def _instrument(text: str) -> InstrumentId:
    segment, colon, security_id = text.partition(":")
    if not colon or segment not in Segment.__members__ or not _SECURITY_ID.fullmatch(security_id):
        raise ValueError(f"not an instrument: {text!r} (expected for example NSE_EQ:2885)")
    if int(security_id) > MAX_SECURITY_ID:
        raise ValueError(f"security id beyond 32 bits: {text!r}")
    return InstrumentId(Segment(segment), int(security_id))


def derive(kind: str, *parts: object) -> UUID:
    """The id of the thing of `kind` that `parts` caused.

    Parts are joined by `|`, so none may contain it.
    """
    return uuid5(NAMESPACE, "|".join([kind, *map(str, parts)]))


def scan_id(day: date, instrument: InstrumentId) -> ScanId:
    """One a trading day and instrument."""
    return ScanId(derive("scan", day.isoformat(), instrument))


def report_id(signal: SignalId, agent: str) -> ReportId:
    """One a signal and analyst."""
    return ReportId(derive("report", signal, agent))


def decision_id(signal: SignalId) -> DecisionId:
    """One a signal."""
    return DecisionId(derive("decision", signal))


def order_id(decision: DecisionId, user: UserId) -> OrderId:
    """One a decision and user: a decision that comes twice is the same order."""
    return OrderId(derive("order", decision, user))


def correlation_id(order: OrderId) -> CorrelationId:
    """The order's name at Dhan: letters and digits, the beginning of the order's UUID.

    It is `CORRELATION_ID_LENGTH` characters long. 86 of its bits are free (23 digits of 4, less the
    UUID's version and variant). Dhan needs it unique among the 7,000 orders an account may place in
    a day; the database refuses a second one for ever, and for 10^10 orders the chance of that is
    one in a million. It would then be a dead letter, never a wrong order.
    """
    return CorrelationId("AT" + order.hex[: CORRELATION_ID_LENGTH - 2])
