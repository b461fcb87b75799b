"""Reads what a feed client asks for: subscribe, unsubscribe, disconnect. Strict, as Dhan documents it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from schemas.ids import InstrumentId, Segment
from simulator.packets import Mode, Reason

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


@dataclass(frozen=True, slots=True)
class Change:
    """Instruments to add to or take from a mode."""

    mode: Mode
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


def read_request(text: str) -> Change | Goodbye | Invalid:
    """What one text message of a client asks for."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _bad(f"not JSON: {error}")
    if not isinstance(body, dict):
        return _bad("not a JSON object")
    code = body.get("RequestCode")
    if code == DISCONNECT:
        return Goodbye()
    if not isinstance(code, int) or code not in _MODES:
        return _bad(f"unknown RequestCode {code!r}")
    return _read_change(*_MODES[code], body)


def _read_change(mode: Mode, subscribe: bool, body: Mapping[str, Any]) -> Change | Invalid:
    listed = body.get("InstrumentList")
    if not isinstance(listed, list) or body.get("InstrumentCount") != len(listed):
        return _bad("InstrumentCount does not say how long InstrumentList is")
    if len(listed) > PER_MESSAGE:
        return Invalid(Reason.TOO_MANY_INSTRUMENTS, f"{len(listed)} instruments in one message, at most {PER_MESSAGE}")
    instruments = []
    for entry in listed:
        instrument = _read_instrument(entry)
        if instrument is None:
            return _bad(f"not an instrument with string fields: {entry!r}"[:200])
        instruments.append(instrument)
    return Change(mode, subscribe, tuple(instruments))


def _read_instrument(entry: object) -> InstrumentId | None:
    if not isinstance(entry, dict):
        return None
    segment, security_id = entry.get("ExchangeSegment"), entry.get("SecurityId")
    if not isinstance(segment, str) or segment not in Segment.__members__ or not isinstance(security_id, str):
        return None
    try:
        return InstrumentId.parse(f"{segment}:{security_id}")
    except ValueError:
        return None


def _bad(detail: str) -> Invalid:
    return Invalid(Reason.BAD_REQUEST, detail)
