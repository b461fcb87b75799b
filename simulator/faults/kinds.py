"""The faults there are: where each strikes, which parameters it takes, and what it hits unless told
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Place(StrEnum):
    """Where faults strike, and what counts as one thing passing there.

    A thing at REQUEST is one REST call, at TOKEN one use of an access token (a call, a handshake or
    a login), at MARKET one step of the market, at HANDSHAKE one WebSocket upgrade, at STREAM one
    feed packet, order update or postback.
    """

    REQUEST = "request"
    TOKEN = "token"  # noqa: S105 - a place, no secret
    MARKET = "market"
    HANDSHAKE = "handshake"
    STREAM = "stream"


class FaultKind(StrEnum):
    """What the client sees. docs/simulator.md has the table."""

    # The reply to a REST call. The first four happen although the call had its effect.
    ACCEPT_THEN_DROP_REPLY = "accept_then_drop_reply"
    ACCEPT_THEN_500 = "accept_then_500"
    SLOW_REPLY = "slow_reply"
    EMPTY_BODY = "empty_body"
    SHAPE = "shape"
    UNKNOWN_STATUS = "unknown_status"
    HTML_429 = "html_429"
    REJECT = "reject"
    ERROR = "error"
    # What becomes of an order.
    FILL_BEFORE_REPLY = "fill_before_reply"
    CANCEL_FILL_RACE = "cancel_fill_race"
    LATE_REJECT = "late_reject"
    PHONE_ORDER = "phone_order"
    # Access.
    TOKEN_DEATH = "token_death"  # noqa: S105 - a fault, no secret
    HANDSHAKE_429 = "handshake_429"
    UPGRADE_THEN_RESET = "upgrade_then_reset"
    # A stream: market feed, depth feed, order updates, postbacks.
    STALL = "stall"
    RESET = "reset"
    CLOSE = "close"
    DISCONNECT = "disconnect"
    LAG = "lag"
    LOSE = "lose"
    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    TRUNCATE = "truncate"
    STRANGE_PACKET = "strange_packet"


class Trait(NamedTuple):
    """What a kind is.

    Attributes:
        parameters: Fields of `Fault` that mean something to it, beside when and whom.
        endpoint: What it hits unless the script says otherwise; see `Fault.endpoint`.
    """

    place: Place
    parameters: frozenset[str] = frozenset()
    endpoint: str = "*"


_PLACING: Final = "POST /v2/*orders"  # plain, super and forever ones
_FEED: Final = "/feed"


def _reply(*parameters: str, endpoint: str = _PLACING) -> Trait:
    return Trait(Place.REQUEST, frozenset(parameters), endpoint)


def _stream(*parameters: str) -> Trait:
    return Trait(Place.STREAM, frozenset(parameters), _FEED)


TRAITS: Final[Mapping[FaultKind, Trait]] = {
    FaultKind.ACCEPT_THEN_DROP_REPLY: _reply(),
    FaultKind.ACCEPT_THEN_500: _reply("status"),
    FaultKind.SLOW_REPLY: _reply("delay"),
    FaultKind.EMPTY_BODY: _reply(),
    FaultKind.SHAPE: _reply(endpoint="GET /v2/orders/*"),
    FaultKind.UNKNOWN_STATUS: _reply("message", endpoint="* /v2/orders*"),
    FaultKind.HTML_429: _reply("message"),
    FaultKind.REJECT: _reply("message"),
    FaultKind.ERROR: _reply("code", "message"),
    FaultKind.FILL_BEFORE_REPLY: _reply(),
    FaultKind.CANCEL_FILL_RACE: _reply(endpoint="DELETE /v2/orders/*"),
    FaultKind.LATE_REJECT: _reply("delay", "message"),
    FaultKind.PHONE_ORDER: Trait(Place.MARKET, frozenset({"quantity"})),
    FaultKind.TOKEN_DEATH: Trait(Place.TOKEN),
    FaultKind.HANDSHAKE_429: Trait(Place.HANDSHAKE, frozenset({"delay"}), _FEED),
    FaultKind.UPGRADE_THEN_RESET: Trait(Place.HANDSHAKE, endpoint=_FEED),
    FaultKind.STALL: _stream("delay", "instrument"),
    FaultKind.RESET: _stream(),
    FaultKind.CLOSE: _stream("code"),
    FaultKind.DISCONNECT: _stream("code"),
    FaultKind.LAG: _stream("delay", "lasting"),
    FaultKind.LOSE: _stream(),
    FaultKind.DUPLICATE: _stream("copies"),
    FaultKind.OUT_OF_ORDER: _stream("seconds"),
    FaultKind.TRUNCATE: _stream("cut"),
    FaultKind.STRANGE_PACKET: _stream("code"),
}
