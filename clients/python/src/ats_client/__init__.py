"""Reads the topics of ATS.

async with Reader("localhost:9092", Decision) as decisions:
    async for decision in decisions:
        print(decision.symbol, decision.action)
"""

from ats_client.cursor import Cursor, Since, load_cursor, save_cursor
from ats_client.reader import CursorAhead, EndNotReached, Reader, Record, TopicMissing
from ats_client.repeats import Corrections, Repeats

__all__ = [
    "Corrections",
    "Cursor",
    "CursorAhead",
    "EndNotReached",
    "Reader",
    "Record",
    "Repeats",
    "Since",
    "TopicMissing",
    "load_cursor",
    "save_cursor",
]
