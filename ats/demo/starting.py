"""Waiting for the services of a demo to be at work, or to have done theirs.

Slow is not late: who works may take its time, and who gives no sign is given up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import httpx

from ats.demo.stack import GRACE
from ats.runtime import exit_codes
from ats.runtime.child import Child
from ats.runtime.metrics import Health
from ats.runtime.signs import Signs
from schemas.errors import TryLater

LOOK_EVERY: Final = 0.2  # seconds between two looks
NO_ANSWER: Final = Health(ok=False, why="no answer yet")

Tell = Callable[[str, int, int], None]


async def until_at_work(
    children: Sequence[Child],
    ports: Mapping[str, int],
    *,
    also: Callable[[], bool],
    check: Callable[[], None],
    tell: Tell,
) -> None:
    """Until each child's `/health` at its port says that it is healthy, and `also` holds.

    `check` raises when one of them has ended; `tell` hears whom one waits for, and how many steps
    of how many are done.

    Raises:
        TryLater: a child gave no sign for a while; the last line of its log is in the message.
    """
    waiting = {child.name: child for child in children}
    signs = {child.name: Signs(child) for child in children}
    said = dict.fromkeys(waiting, NO_ANSWER)
    async with httpx.AsyncClient(timeout=2) as http:
        while waiting:
            check()
            for name in waiting:
                said[name] = await _health(http, ports[name]) or said[name]
            if also():
                waiting = {name: child for name, child in waiting.items() if not said[name].ok}
            tell(*heard({name: said[name] for name in waiting}))
            for name in waiting:
                if lost := signs[name].lost:
                    raise TryLater(
                        f"{name} {lost} ({said[name].why}); "
                        f"the last line of its log: {signs[name].last_line}"
                    )
            await asyncio.sleep(LOOK_EVERY)


async def until_done(child: Child, failure: str, check: Callable[[], None]) -> None:
    """Run `child` until it ends by itself.

    `failure` says what came of it when it does not end well; `check` raises when another one has
    ended.

    Raises:
        Misconfigured, Faulty, TryLater: it did not end well, or gave no sign for a while.
    """
    child.start()
    signs = Signs(child)
    try:
        while not (await child.ended(LOOK_EVERY) or signs.lost):
            check()
    finally:
        await child.stop(GRACE)  # Ctrl-C may come while it works
    if child.exit_code != exit_codes.DONE:
        raise exit_codes.error_of(child.name, child.exit_code, failure, child.tail())


async def _health(http: httpx.AsyncClient, port: int) -> Health | None:
    try:
        return Health(**(await http.get(f"http://127.0.0.1:{port}/health")).json())
    except httpx.TransportError:
        return None  # not listening yet, or too busy to answer


def heard(waiting: Mapping[str, Health]) -> tuple[str, int, int]:
    """In words who is waited for, and how far the one is that counts its steps."""
    counting = next((health for health in waiting.values() if health.of), None)
    if counting:
        return counting.why, counting.done, counting.of
    return "still to come: " + ", ".join(waiting) if waiting else "", 0, 0
