"""`python -m tests.bad_day`: the day as it went, and the most that was reached of each limit."""

from __future__ import annotations

import asyncio
import sys

from dhan.transport import open_client
from tests.bad_day.story import Broken, Story


async def main() -> int:
    """Play it; 1 when a protection did not act."""
    async with open_client() as http:
        story = Story(http)
        try:
            await story.play()
        except Broken as broken:
            sys.stdout.write("\n".join([*story.account.watched.lines, f"BROKEN: {broken}", ""]))
            return 1
        watched = story.account.watched
    sys.stdout.write("\n".join([*watched.lines, ""]))
    sys.stdout.write(
        f"{len(watched.denials)} denials of {len(set(watched.denials))} kinds; "
        f"{watched.rejudged} verdicts judged again from their records, all the same\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
