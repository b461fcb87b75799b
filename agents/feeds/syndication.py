"""RSS and Atom into items; the only importer of feedparser. Pure."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, Final
from xml.parsers import expat

import feedparser

from agents.feeds.items import MAX_ITEMS, Item, headline_of, moment_of
from schemas.errors import Unreadable

# feeds with a bare `&` are common, and feedparser's lenient reading takes long of what is long
MAX_ILL_FORMED: Final = 256 << 10
MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 60_000  # an entry has some twenty

_DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]{0,300}\?>")
# the only use of an entity of its own in a feed is to grow
_ENTITY: Final = re.compile(r"<!\s*ENTITY", re.IGNORECASE)
_BARE: Final = re.compile(rb"&(?!#?\w{1,10};)")  # as in L&T
_HEADERS: Final = {"content-type": "application/xml; charset=utf-8"}


class _TooMuch(Exception):
    """A document that no feed needs. Next: it is Unreadable."""


def read(text: str) -> tuple[Item, ...]:
    """The entries of a feed.

    Raises:
        Unreadable: no feed, one that declares entities, or one beyond all measure.
    """
    if _ENTITY.search(text):
        raise Unreadable("it declares entities")
    document = _DECLARATION.sub("", text)
    content = document.encode("utf-8", "replace")
    if not _well_formed(content):
        if len(content) > MAX_ILL_FORMED:
            raise Unreadable(f"not well-formed, and more than {MAX_ILL_FORMED:,} bytes")
        content = _BARE.sub(b"&amp;", content)
    try:
        parsed = feedparser.parse(
            io.BytesIO(content),  # a bare string could be taken for an address or a path
            response_headers=_HEADERS,
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception as error:  # noqa: BLE001 - whatever it raises on a stranger's bytes, go on
        raise Unreadable(f"feedparser raised {type(error).__name__}") from None
    if not parsed.get("version"):
        raise Unreadable("neither RSS nor Atom")
    return tuple(_items(parsed.get("entries", [])[:MAX_ITEMS]))


def _items(entries: list[Any]) -> Iterator[Item]:
    for entry in entries:
        text = headline_of(str(entry.get("title", "")))
        if text:
            told = entry.get("published") or entry.get("updated") or ""
            yield Item(text, moment_of(str(told)))


def _well_formed(content: bytes) -> bool:
    """Raises Unreadable for what is too deep or too many."""
    depth = elements = 0

    def begun(_name: str, _attributes: object) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise _TooMuch

    def ended(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = begun, ended
    try:
        parser.Parse(content, True)
    except _TooMuch:
        raise Unreadable(
            f"deeper than {MAX_DEPTH} elements, or more than {MAX_ELEMENTS:,} of them"
        ) from None
    except expat.ExpatError:
        return False
    return True
