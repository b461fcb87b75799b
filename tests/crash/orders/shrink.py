"""Finds the shortest story that still goes wrong, as far as the time allows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.crash.orders.story import Story


async def shortest(
    story: Story, fails: Callable[[Story], Awaitable[bool]], has_time: Callable[[], bool]
) -> Story:
    """Leave out events, by halves and then one by one, while `fails` says that it still fails.

    A story that fails only now and then may end longer than it need be, never with a story that
    was not seen to fail.
    """
    size = len(story.events) // 2
    while size:
        left = list(story.numbers)
        for start in range(0, len(left), size):
            dropped = set(left[start : start + size])
            rest = [number for number in story.numbers if number not in dropped]
            if not rest:
                continue
            if not has_time():
                return story
            shorter = story.only(rest)
            if await fails(shorter):
                story = shorter
        size //= 2
    return story
