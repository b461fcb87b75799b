"""The exchange's list of bans: what it says, and that an old or broken one is no list."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from executors.bans import MOST_BYTES, BanBoard, BanPoller
from executors.clock import MonotonicClock
from executors.risk.ban_list import BanList, parse
from executors.risk.listed import Ban, DayMaster
from schemas.errors import Unreadable
from schemas.ids import InstrumentId, Segment
from tests.executors.factories import RELIANCE

DAY = date(2026, 9, 2)
HEADER = "Securities in Ban For Trade Date 02-SEP-2026:"
FILE = f"{HEADER}\r\n1,SAIL\r\n2,M&M\r\n"
FUTURE = replace(
    RELIANCE, id=InstrumentId(Segment.NSE_FNO, 52_001), kind="FUTSTK", underlying="SAIL"
)
INDEX_OPTION = replace(FUTURE, kind="OPTIDX", underlying="NIFTY")


def test_the_list_names_its_day_and_its_shares() -> None:
    assert parse(FILE) == BanList(DAY, frozenset({"SAIL", "M&M"}))


@pytest.mark.parametrize("text", [f"{HEADER}\nNIL\n", f"{HEADER} NIL"])
def test_nothing_is_banned_where_the_list_says_so(text: str) -> None:
    assert parse(text) == BanList(DAY, frozenset())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,SAIL",
        HEADER,
        f"{HEADER}\n<html>",
        f"{HEADER}\n1,SAIL\nSAIL",
        HEADER.replace("02-SEP", "31-SEP") + "\nNIL",
        f"{HEADER}\n" + "1,SAIL\n" * 1_001,
    ],
    ids=["empty", "no header", "header alone", "page", "half a row", "no day", "too long"],
)
def test_what_is_not_wholly_a_list_is_none(text: str) -> None:
    with pytest.raises(Unreadable):
        parse(text)


def test_a_list_of_another_day_says_nothing() -> None:
    known = parse(FILE)

    assert known.of("SAIL", DAY) is Ban.IN_FORCE
    assert known.of("TCS", DAY) is Ban.NONE
    assert known.of("TCS", DAY + timedelta(1)) is Ban.UNKNOWN


def test_contracts_on_shares_ask_the_list_and_nothing_else_does() -> None:
    listed = (RELIANCE, FUTURE, INDEX_OPTION)
    for each, with_list, without in zip(
        listed, (Ban.NONE, Ban.IN_FORCE, Ban.NONE), (Ban.NONE, Ban.UNKNOWN, Ban.NONE), strict=True
    ):
        instruments = {each.id: each}
        assert DayMaster(instruments, DAY, parse(FILE).of).of(each.id, DAY).ban is with_list
        assert DayMaster(instruments, DAY).of(each.id, DAY).ban is without


async def test_a_file_that_breaks_takes_the_list_away_and_a_new_one_brings_it(
    tmp_path: Path,
) -> None:
    path, board = tmp_path / "fo_secban.csv", BanBoard()
    heard = list[tuple[bool, Ban]]()
    poller = BanPoller(
        path,
        board,
        MonotonicClock(),
        on_change=lambda found: heard.append((found is not None, board.of("SAIL", DAY))),
    )
    seen = []
    for content in (None, FILE, FILE + "x", FILE, FILE + "\n" * MOST_BYTES):
        if content is not None:
            path.write_text(content)
        await poller.poll()
        seen.append(board.of("SAIL", DAY))

    assert seen == [Ban.UNKNOWN, Ban.IN_FORCE, Ban.UNKNOWN, Ban.IN_FORCE, Ban.UNKNOWN]
    # each change once, while the one before it still holds
    assert heard == [
        (True, Ban.UNKNOWN),
        (False, Ban.IN_FORCE),
        (True, Ban.UNKNOWN),
        (False, Ban.IN_FORCE),
    ]
