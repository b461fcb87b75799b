"""One viewer's stream: what is told, at the speed at which it is taken in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from ats.gateway.board import Board
from ats.gateway.events import frame_of
from ats.gateway.metrics import ViewerMetrics
from ats.gateway.viewer import CHUNK_BYTES, Chunk, Viewer
from ats.gateway.views import End, json_of

# seconds between what was taken in and its viewers' waking, so that one waking tells much
PULSE: Final = 0.1
HEARTBEAT: Final = 15.0  # seconds; proxies close what is silent for a minute
TAKEN_WITHIN: Final = 20.0  # seconds in which a viewer takes one chunk in, or is gone
_NS: Final = 1_000_000_000


class Bell:
    """Wakes everybody who waits."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._due = False

    def ring_soon(self) -> None:
        """Ring within one pulse."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(PULSE, self.ring)

    def ring(self) -> None:
        """Wake those who wait now."""
        self._due = False
        rung, self._event = self._event, asyncio.Event()
        rung.set()

    @property
    def next(self) -> asyncio.Event:
        """Set by the next ring."""
        return self._event


@dataclass(frozen=True, slots=True)
class StreamDeps:
    """What a stream needs; see `GatewayDeps`."""

    board: Board
    bell: Bell
    metrics: ViewerMetrics
    wall: Callable[[], float]
    monotonic: Callable[[], float]
    ending: asyncio.Event


async def serve(
    request: web.Request,
    response: web.StreamResponse,
    viewer: Viewer,
    until: float,
    deps: StreamDeps,
) -> None:
    """Send events until the viewer is gone, too slow, the token ends (Unix seconds) or we do."""
    await response.prepare(request)
    if request.transport:
        request.transport.set_write_buffer_limits(high=CHUNK_BYTES)
    with contextlib.suppress(ConnectionError):
        try:
            await _tell(response, viewer, until, deps)
        except TimeoutError:
            deps.metrics.slow += 1
            if request.transport:
                request.transport.abort()  # what waits in its buffer is let go of


async def _tell(
    response: web.StreamResponse, viewer: Viewer, until: float, deps: StreamDeps
) -> None:
    resumed = viewer.place is not None
    silent_since = deps.monotonic()
    while True:
        rung = deps.bell.next
        if reason := _over(until, deps):
            await _write(response, frame_of("end", json_of(End(reason=reason))) + b"\n", deps)
            return
        chunk = viewer.next(deps.board)
        if chunk.data:
            await _write(response, chunk.data, deps)
            _count(chunk, deps, lost=resumed)
            resumed, silent_since = True, deps.monotonic()
        elif deps.monotonic() - silent_since >= HEARTBEAT:
            await _write(response, viewer.heartbeat(), deps)
            silent_since = deps.monotonic()
        if not chunk.more:
            left = min(HEARTBEAT, max(0.0, until - deps.wall()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(rung.wait(), left)


def _over(until: float, deps: StreamDeps) -> str:
    if deps.ending.is_set():
        return "stopping"
    return "token_expired" if deps.wall() >= until else ""


async def _write(response: web.StreamResponse, data: bytes, deps: StreamDeps) -> None:
    """Returns when the viewer has taken in all but the last chunk."""
    async with asyncio.timeout(TAKEN_WITHIN):
        await response.write(data)
    deps.metrics.sent_bytes += len(data)


def _count(chunk: Chunk, deps: StreamDeps, *, lost: bool) -> None:
    if chunk.snapshot:
        deps.metrics.snapshots += 1
        deps.metrics.fell_behind += lost
    if chunk.told_at is not None:
        deps.metrics.delivery.observe(max(0.0, deps.wall() - chunk.told_at / _NS))
