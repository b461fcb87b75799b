"""A story's sentences as they are shown. Pure."""

from __future__ import annotations

from dataclasses import replace

from audit.sentences import Section, Sentence
from audit.shown import clean


def printable(each: Sentence) -> Sentence:
    """What came from outside steers neither a terminal nor the direction of a page's text."""
    return replace(
        each,
        text=clean(each.text),
        details=tuple(map(clean, each.details)),
        sections=tuple(
            Section(clean(part.title), tuple(map(clean, part.lines))) for part in each.sections
        ),
    )
