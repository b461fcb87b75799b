"""Runs services as processes of their own and starts again what ends, until told to stop.

A service ends itself on anything unexpected and relies on being started again (docs/bus.md). It is
not started again when its exit code says that a person must act, or when it keeps dying.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from ats.runtime.child import Child
from ats.runtime.exit_codes import PERSON_MUST_ACT, error_of
from schemas.errors import AtsError

log = structlog.get_logger(__name__)

BACKOFF: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds before each further start; the last repeats
STEADY: Final = 30.0  # seconds of life after which earlier deaths are forgotten
MOST_DEATHS: Final = 8  # in a row, about half a minute of trying
_POLL: Final = 0.1


@dataclass(slots=True)
class Service:
    """One supervised process and its history."""

    child: Child
    restarts: int = 0
    deaths_in_a_row: int = 0
    started_at: float = field(default=0.0)


class Supervisor:
    """Keeps `children` alive.

    `failed` names a service that cannot be kept alive, why, and what must happen next.
    """

    def __init__(self, children: Sequence[Child]) -> None:
        self.services = [Service(child) for child in children]
        self.failed: AtsError | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Start all services and restart those that end.

        Returns when `stop` is set, or when one service cannot be kept alive.
        """
        for service in self.services:
            self._start(service)
        while not stop.is_set() and not self.failed:
            await asyncio.gather(*(self._look_after(service) for service in self.services))
            await asyncio.sleep(_POLL)

    def add(self, child: Child) -> None:
        """Start one more, and keep it alive too."""
        self.services.append(Service(child))
        self._start(self.services[-1])

    def _start(self, service: Service) -> None:
        service.started_at = time.monotonic()
        service.child.start()

    async def _look_after(self, service: Service) -> None:
        code = service.child.exit_code
        if code is None:
            return
        lived = time.monotonic() - service.started_at
        service.deaths_in_a_row = 1 if lived > STEADY else service.deaths_in_a_row + 1
        if code in PERSON_MUST_ACT or service.deaths_in_a_row > MOST_DEATHS:
            name = service.child.name
            self.failed = error_of(
                name, code, f"{name} ended with exit code {code}", service.child.tail()
            )
            return
        service.restarts += 1
        log.warning(
            "service_restarts", name=service.child.name, exit_code=code, lived_s=round(lived, 1)
        )
        await asyncio.sleep(BACKOFF[min(service.deaths_in_a_row, len(BACKOFF)) - 1])
        self._start(service)

    async def stop(self, grace: float, *, first: Collection[str] = ()) -> None:
        """End all, those named in `first` before the others, so that work in flight finds its way
        out.
        """
        early = [service.child for service in self.services if service.child.name in first]
        late = [service.child for service in self.services if service.child.name not in first]
        await asyncio.gather(*(child.stop(grace) for child in early))
        await asyncio.gather(*(child.stop(grace) for child in late))
