"""An order's story as its owner may read it: the sentences of `ats why`, without what is others'.

Left out: how many other users got an order, how much all of them ordered together, where records
stand on their topics (a place tells how busy others are), and what models were asked in the
operator's words. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ats.gateway.views import WhySection, WhyStep
from audit.checks import CROWD
from audit.printable import printable
from audit.sentences import Section, sentences
from audit.story import Story
from executors.charges.rates import Rates

OF_OTHERS: Final = frozenset({"fan-out", "made under"})
OF_OPERATOR: Final = frozenset({"model"})  # of which the sentence is told, and nothing below it


def owners_story(story: Story, rates: Rates) -> tuple[WhyStep, ...]:
    """The steps of the story of an order, in the order of `audit.sentences`."""
    return tuple(
        WhyStep(
            role=each.role,
            text=each.text,
            at=each.record.published_at if each.record else None,
            details=() if each.role in OF_OPERATOR else each.details,
            sections=() if each.role in OF_OPERATOR else tuple(_sections(each.sections)),
        )
        for each in map(printable, sentences(story, rates))
        if each.role not in OF_OTHERS
    )


def _sections(sections: tuple[Section, ...]) -> Iterator[WhySection]:
    for section in sections:
        yield WhySection(title=section.title, lines=tuple(map(_line, section.lines)))


def _line(line: str) -> str:
    """A check by its name and verdict alone, where what it saw is about everybody."""
    head, _, _ = line.partition(";")
    return head if head.endswith(f": {CROWD}") else line
