from __future__ import annotations

import re
from html.parser import HTMLParser
from io import StringIO

from rich.console import Console

from ats.commands.why import as_json, tree
from audit.page import BARS_AFTER, BARS_BEFORE, around, chart, page
from audit.printable import printable
from audit.sentences import sentences
from schemas.ids import derive
from schemas.market import Timeframe
from schemas.messages import Candle
from schemas.units import Price, UtcNs
from tests.ats.factories import TCS, a_decision
from tests.audit.test_story import CHAIN, DECISION, INTENT, OURS, SIGNAL, story_from
from tests.schemas.factories import a_candle

FIVE = UtcNs.minutes(5)


def bar(number: int, **changes: object) -> Candle:
    """The bar that ends so many bars after the signal's."""
    end = UtcNs(SIGNAL.event_time + number * FIVE)
    whole = {
        "id": derive("bar", number),
        "instrument": TCS,
        "timeframe": Timeframe.M5,
        "start": UtcNs(end - FIVE),
        "event_time": end,
        "high": Price(10_200 + abs(number)),
    }
    return a_candle(**(whole | changes))


class Tags(HTMLParser):
    """What the browser would build."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


def test_the_page_asks_no_host_and_text_from_outside_is_text() -> None:
    hostile = a_decision(reasoning="<script>alert(1)</script><img src=//evil.example/x>")
    chain = [hostile if each is DECISION else each for each in CHAIN]
    story = story_from(INTENT, (*chain, *OURS))
    written = page(story, list(sentences(story)), [bar(0)], "<script>")

    tags = Tags()
    tags.feed(written)

    assert not {"script", "img", "link", "iframe"} & set(tags.names)
    assert not {"src", "href", "onload", "onclick"} & {name for name, _ in tags.attributes}
    assert "default-src 'none'" in written
    assert "&lt;script&gt;alert(1)" in written


def test_the_chart_has_the_bars_the_signal_and_the_orders_levels() -> None:
    drawn = chart(story_from(INTENT, (*CHAIN, *OURS)), [bar(n) for n in range(-3, 4)])

    assert drawn.count("<rect ") == 7
    for word in ("signal", "limit", "stop", "target"):
        assert f">{word}</text>" in drawn
    assert "₹3,001.00" in drawn
    assert all(0 <= float(y) <= 320 for y in re.findall(r' y="([0-9.]+)"', drawn))


def test_without_bars_there_is_no_chart() -> None:
    assert chart(story_from(INTENT, (*CHAIN, *OURS)), []) == ""


def test_bars_are_those_next_to_the_signal_each_once() -> None:
    far = range(-BARS_BEFORE - 9, BARS_AFTER + 9)
    others = [bar(0, timeframe=Timeframe.M1), bar(0)]

    shown = around(SIGNAL, [*(bar(n) for n in far), *others])

    assert [each.event_time for each in shown] == [
        SIGNAL.event_time + n * FIVE for n in range(-BARS_BEFORE + 1, BARS_AFTER + 1)
    ]


def test_what_came_from_outside_turns_no_text_round_and_steers_no_terminal() -> None:
    hostile = a_decision(reasoning="up\x1b[2J\u202ekcatta")
    chain = [hostile if each is DECISION else each for each in CHAIN]
    story = story_from(INTENT, (*chain, *OURS))
    told = [printable(each) for each in sentences(story)]
    shown = Console(file=StringIO(), width=200)

    shown.print(tree(story, told), soft_wrap=True)

    for text in (page(story, told, [bar(0)], "t"), as_json(story, told), shown.file.getvalue()):  # type: ignore[attr-defined]  # a StringIO
        assert "\x1b[2J" not in text
        assert "\u202e" not in text
        assert "kcatta" in text
