"""One fault: what, when, whom, how often.

Frozen and checked; the same in Python and in a script.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import time
from fnmatch import fnmatchcase
from typing import Any, Final

from schemas.ids import Segment
from simulator.faults.kinds import TRAITS, FaultKind, Place

INSTRUMENT: Final = re.compile(rf"({'|'.join(Segment)}):[0-9]{{1,10}}")
UNLIMITED: Final = 1_000_000_000  # `times` of a fault that goes on for the whole run


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of a script.

    It strikes the first thing that fits, from its moment on, `times` times.

    Attributes:
        times: How many things it strikes.
        client_id: Only this account's; None is any.
        endpoint: Only there: "METHOD /path" for a REST call, "/path" for a stream or a handshake,
            "/postback" for postbacks; `*` stands for anything. None is the kind's own choice
            (`simulator.faults.kinds.TRAITS`).
        connection: Only the nth WebSocket connection of the run, from 1; None is any.
        market_time: Not before this Indian clock time of the simulated market.
        machine_time: Not before so many seconds of machine time after it was set.
        after: Lets so many fitting things pass first.
        chance: Of each thing that fits, to be struck; drawn from the script's seed.
        delay: Seconds. How long a slow reply or a stall takes, how late a lag is, when a late
            rejection comes, how long handshakes are refused after a `handshake_429`.
        lasting: Seconds of machine time a lag goes on.
        message: What a rejection says; the text of a 429's page; an unknown status.
        code: "DH-901" to "DH-911" of an error; the reason of a disconnect packet; of a close frame,
            1006 for none; the response code of a strange packet, 0 for a heartbeat. None is the
            kind's default.
        status: HTTP status of the reply after an acceptance, 500 to 599.
        copies: How many times a duplicate is sent again.
        seconds: How far an out-of-order trade time goes back.
        cut: Bytes missing from a truncated packet.
        quantity: Of an order placed from the phone.
        instrument: "NSE_EQ:2885": only this one falls silent, on the market feed, from the market's
            next step on.
    """

    kind: FaultKind
    times: int = 1
    client_id: str | None = None
    delay: float = 10.0
    message: str = "Rejected on request of the test"
    endpoint: str | None = None
    connection: int | None = None
    market_time: time | None = None
    machine_time: float = 0.0
    after: int = 0
    chance: float = 1.0
    lasting: float = 10.0
    code: str | int | None = None
    status: int = 500
    copies: int = 1
    seconds: int = 60
    cut: int = 5
    quantity: int = 1
    instrument: str | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, whose text begins with the field's name."""
        for field in fields(self):
            rule = _RULES.get(field.name)
            value = getattr(self, field.name)
            if rule is not None and value != field.default and not rule.fits(value):
                raise ValueError(f"{field.name}: {value!r} is not {rule.wanted}")
        _check_code(self)

    @property
    def place(self) -> Place:
        """Where a fault of this kind strikes."""
        return TRAITS[self.kind].place

    @property
    def where(self) -> str:
        """The pattern of endpoints it hits."""
        return self.endpoint if self.endpoint is not None else TRAITS[self.kind].endpoint

    def hits(self, client_id: str, endpoint: str, connection: int) -> bool:
        """Whether it is meant for such a thing."""
        return (
            self.client_id in (None, client_id)
            and self.connection in (None, connection)
            and fnmatchcase(endpoint, self.where)
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """The values a field may have."""

    wanted: str
    kinds: tuple[type, ...]
    least: float = float("-inf")
    most: float = float("inf")
    pattern: re.Pattern[str] | None = None

    def fits(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, self.kinds):
            return False
        if self.pattern is not None and not self.pattern.fullmatch(str(value)):
            return False
        return not isinstance(value, int | float) or self.least <= value <= self.most


def _whole(least: int, most: int = UNLIMITED) -> _Rule:
    return _Rule(f"a whole number from {least} to {most}", (int,), least, most)


_SECONDS: Final = _Rule("a number of seconds from 0 to 86400", (int, float), 0, 86_400)
_TEXT: Final = _Rule("a text", (str,))
_RULES: Final[Mapping[str, _Rule]] = {
    "kind": _Rule(f"one of {', '.join(FaultKind)}", (FaultKind,)),
    "times": _whole(1),
    "client_id": _TEXT,
    "endpoint": _TEXT,
    "message": _TEXT,
    "connection": _whole(1),
    "market_time": _Rule("a time of day like 10:15:00", (time,)),
    "machine_time": _SECONDS,
    "after": _whole(0),
    "chance": _Rule("a probability above 0 and up to 1", (int, float), 1e-9, 1.0),
    "delay": _SECONDS,
    "lasting": _SECONDS,
    "status": _whole(500, 599),
    "copies": _whole(1, 100),
    "seconds": _whole(1, 86_400),
    "cut": _whole(1, 161),
    "quantity": _whole(1),
    "instrument": _Rule("an instrument like NSE_EQ:2885", (str,), pattern=INSTRUMENT),
}

ERROR_CODES: Final = tuple(f"DH-{code}" for code in range(901, 912))
_CODES: Final[Mapping[FaultKind, tuple[str, Any]]] = {
    FaultKind.ERROR: ("one of DH-901 to DH-911", ERROR_CODES),
    FaultKind.DISCONNECT: ("a reason from 0 to 65535", range(65_536)),
    FaultKind.STRANGE_PACKET: ("a response code from 0 to 255", range(256)),
    FaultKind.CLOSE: ("a close code from 1000 to 4999", range(1_000, 5_000)),
}


def _check_code(fault: Fault) -> None:
    wanted, allowed = _CODES.get(fault.kind, ("used by this kind", ()))
    if fault.code is not None and (isinstance(fault.code, bool) or fault.code not in allowed):
        raise ValueError(f"code: {fault.code!r} is not {wanted}")
