"""Reads strictly what a client of the market feed or of a depth feed asks for.

A client may subscribe, unsubscribe and disconnect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from schemas.ids import InstrumentId, Segment
from simulator.streaming.packets import Mode, Reason

DISCONNECT: Final = 12
_MODES: Final[Mapping[int, tuple[Mode, bool]]] = {
    15: (Mode.TICKER, True),
    16: (Mode.TICKER, False),
    17: (Mode.QUOTE, True),
    18: (Mode.QUOTE, False),
    21: (Mode.FULL, True),
    22: (Mode.FULL, False),
}
PER_MESSAGE: Final = 100
PER_CONNECTION: Final = 5_000
SUBSCRIBE_DEPTH: Final = 23
UNSUBSCRIBE_DEPTH: Final = (24, 25)  # Dhan's two documents disagree; the SDK sends 24
FEW_LEVELS: Final = 20
PER_DEPTH_CONNECTION: Final[Mapping[int, int]] = {FEW_LEVELS: 50, 200: 1}  # instruments
_DEPTH_SEGMENTS: Final = (Segment.NSE_EQ, Segment.NSE_FNO)


@dataclass(frozen=True, slots=True)
class Change:
    """Instruments to add to or take from a mode."""

    mode: Mode
    subscribe: bool
    instruments: tuple[InstrumentId, ...]


@dataclass(frozen=True, slots=True)
class DepthChange:
    """Instruments to add to or take from a depth connection."""

    subscribe: bool
    instruments: tuple[InstrumentId, ...]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The client is done."""


@dataclass(frozen=True, slots=True)
class Invalid:
    """The message breaks the protocol; the connection ends with `reason`."""

    reason: Reason
    detail: str


def read_request(text: str, *, numeric_ids: bool = False) -> Change | Goodbye | Invalid:
    """What one text message of a feed client asks for.

    `numeric_ids` lets security ids be numbers too.
    """
    body = _object(text)
    if isinstance(body, Invalid):
        return body
    code = body.get("RequestCode")
    if code == DISCONNECT:
        return Goodbye()
    if not isinstance(code, int) or code not in _MODES:
        return _bad(f"unknown RequestCode {code!r}")
    mode, subscribe = _MODES[code]
    listed = _listed(body, PER_MESSAGE, numeric_ids)
    return listed if isinstance(listed, Invalid) else Change(mode, subscribe, listed)


def read_depth_request(
    text: str, levels: int, *, numeric_ids: bool = False
) -> DepthChange | Goodbye | Invalid:
    """What one text message of a depth client asks for.

    With 20 levels it holds a list, with 200 one instrument in the message itself.
    """
    body = _object(text)
    if isinstance(body, Invalid):
        return body
    code = body.get("RequestCode")
    if code == DISCONNECT:
        return Goodbye()
    if code not in (SUBSCRIBE_DEPTH, *UNSUBSCRIBE_DEPTH):
        return _bad(f"unknown RequestCode {code!r}")
    if "InstrumentList" not in body and levels > FEW_LEVELS:
        body = {"InstrumentCount": 1, "InstrumentList": [body]}
    listed = _listed(body, PER_DEPTH_CONNECTION[levels], numeric_ids)
    if isinstance(listed, Invalid):
        return listed
    if any(instrument.segment not in _DEPTH_SEGMENTS for instrument in listed):
        return _bad("depth is of NSE_EQ and NSE_FNO only")
    return DepthChange(code == SUBSCRIBE_DEPTH, listed)


def _object(text: str) -> dict[str, Any] | Invalid:
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _bad(f"not JSON: {error}")
    return body if isinstance(body, dict) else _bad("not a JSON object")


def _listed(
    body: Mapping[str, Any], most: int, numeric_ids: bool
) -> tuple[InstrumentId, ...] | Invalid:
    listed = body.get("InstrumentList")
    if not isinstance(listed, list) or body.get("InstrumentCount") != len(listed):
        return _bad("InstrumentCount does not say how long InstrumentList is")
    if len(listed) > most:
        return Invalid(
            Reason.TOO_MANY_INSTRUMENTS, f"{len(listed)} instruments in one message, at most {most}"
        )
    instruments = []
    for entry in listed:
        instrument = _read_instrument(entry, numeric_ids)
        if instrument is None:
            return _bad(f"not an instrument with string fields: {entry!r}"[:200])
        instruments.append(instrument)
    return tuple(instruments)


def _read_instrument(entry: object, numeric_ids: bool) -> InstrumentId | None:
    if not isinstance(entry, dict):
        return None
    segment, security_id = entry.get("ExchangeSegment"), entry.get("SecurityId")
    if numeric_ids and isinstance(security_id, int) and not isinstance(security_id, bool):
        security_id = str(security_id)
    if (
        not isinstance(segment, str)
        or segment not in Segment.__members__
        or not isinstance(security_id, str)
    ):
        return None
    try:
        return InstrumentId.parse(f"{segment}:{security_id}")
    except ValueError:
        return None


def _bad(detail: str) -> Invalid:
    return Invalid(Reason.BAD_REQUEST, detail)
