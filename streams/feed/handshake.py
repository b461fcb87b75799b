"""Opening a connection to Dhan's feed, subscribing, and what its end means.

The token is never logged, nor any URL.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from schemas.errors import Misconfigured
from schemas.ids import Segment
from schemas.market import Instrument
from streams.feed.config import GatewayConfig, Mode

PER_MESSAGE: Final = 100  # Dhan's limit of instruments in one subscribe message
OPEN_TIMEOUT: Final = 10.0  # seconds for TCP, TLS and the upgrade together
FIRST_WAIT: Final = 0.5  # seconds before the first new attempt, doubled each time
MAX_FRAME_BYTES: Final = 4 << 20  # 25,000 Full packets at once, more than Dhan sends in a second

# Codes of a disconnect packet after which only a person can help (Dhan, annexure, data API errors).
FATAL: Final = {
    806: "the account has no Data API plan; subscribe to it on web.dhan.co",
    807: "the access token has expired; make a new one",
    808: "authentication failed; check the client id and the access token",
    809: "the access token is invalid; make a new one",
    810: "the client id is invalid; check ADMIN_DHAN_CLIENT_ID",
}
MEANING: Final = FATAL | {
    800: "internal server error at Dhan",
    804: "too many instruments",
    805: "too many connections of this account, the oldest is dropped",
    814: "invalid request",
}

# websockets writes the request line, which holds the token, to its log at level DEBUG
_MUTE: Final = logging.getLogger("streams.feed.websocket")
_MUTE.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Why a connection ended.

    Attributes:
        fatal: Trying again is useless.
        cool_off: Dhan asks for a pause before the next attempt.
    """

    reason: str
    fatal: bool = False
    cool_off: bool = False

    @classmethod
    def from_error(cls, error: BaseException) -> Disconnect:
        """What a failed or broken connection means.

        Raises:
            BaseException: `error` itself, when it is none of the network's.
        """
        match error:
            case InvalidURI():
                raise Misconfigured(
                    "the feed address is not a WebSocket URL; see DHAN_FEED_URL"
                ) from None
            case InvalidStatus() if error.response.status_code == 429:
                return cls("Dhan answered 429, too many connections", cool_off=True)
            case InvalidStatus():
                return cls(f"Dhan answered {error.response.status_code} to the connection")
            case ConnectionClosed():
                frame = error.rcvd or error.sent
                return cls(
                    f"closed with code {frame.code}" if frame else "the connection was reset"
                )
            case InvalidHandshake() | TimeoutError() | OSError():
                # their texts may quote what we sent
                return cls(f"no connection ({type(error).__name__})")
        raise error

    @classmethod
    def from_code(cls, code: int) -> Disconnect:
        """What the code of a disconnect packet means."""
        reason = f"Dhan disconnected with code {code}: {MEANING.get(code, 'not documented')}"
        return cls(reason, fatal=code in FATAL, cool_off=code == 805)


class _Direct(connect):
    """A connection that follows no redirect: the token goes where we said, or nowhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_feed(config: GatewayConfig, token: str) -> ClientConnection:
    """Connect. With a bad token this succeeds too: Dhan upgrades and then resets."""
    query = urlencode({"version": 2, "token": token, "clientId": config.client_id, "authType": 2})
    return await _Direct(
        f"{config.url}?{query}",
        proxy=None,  # of the environment: it would see the token
        compression=None,  # packets are dense and small; deflate would only add latency
        open_timeout=OPEN_TIMEOUT,
        close_timeout=2.0,
        ping_interval=10.0,
        ping_timeout=30.0,
        max_size=MAX_FRAME_BYTES,
        logger=_MUTE,
    )


class Request(Enum):
    """What is asked of the feed; the value is added to the mode's code."""

    SUBSCRIBE = 0
    UNSUBSCRIBE = 1


def requests(request: Request, instruments: Sequence[Instrument], mode: Mode) -> Iterator[str]:
    """The messages that (un)subscribe all `instruments`. Ids are strings, or Dhan ignores them.

    Whether Dhan takes an index in Full mode is not known, and it has no order book: it gets Quote.
    """
    if mode is Mode.FULL:
        indices = [each for each in instruments if each.id.segment is Segment.IDX_I]
        instruments = [each for each in instruments if each.id.segment is not Segment.IDX_I]
        yield from requests(request, indices, Mode.QUOTE)
    for first in range(0, len(instruments), PER_MESSAGE):
        part = instruments[first : first + PER_MESSAGE]
        listed = [
            {"ExchangeSegment": each.id.segment, "SecurityId": str(each.id.security_id)}
            for each in part
        ]
        body = {
            "RequestCode": mode + request.value,
            "InstrumentCount": len(listed),
            "InstrumentList": listed,
        }
        yield orjson.dumps(body).decode()


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next attempt.

    Doubling, with jitter so that many gateways do not knock at once.
    """

    random: Random
    cool_off: float
    longest_wait: float
    _failures: int = 0

    def succeeded(self) -> None:
        """A tick came: the next failure is the first again."""
        self._failures = 0

    def wait(self, disconnect: Disconnect) -> float:
        """Seconds to wait after `disconnect`."""
        ceiling = min(self.longest_wait, FIRST_WAIT * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return self.cool_off * disconnect.cool_off + ceiling * self.random.uniform(0.5, 1.0)


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Sleep, but not beyond `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
