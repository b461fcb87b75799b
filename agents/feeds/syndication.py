"""RSS and Atom into items; the only importer of feedparser. Pure."""

from __future__ import annotations

import html.entities
import io
import re
from collections.abc import Iterator, Sized
from typing import Any, Final
from xml.parsers import expat

import feedparser

from agents.feeds.items import MAX_ITEMS, Item, headline_of, moment_of
from schemas.errors import Unreadable

# feedparser's lenient reading takes a second for it, and four times as long for twice as much
MAX_ILL_FORMED: Final = 64 << 10
MAX_DEPTH: Final = 40
MAX_ELEMENTS: Final = 60_000  # an entry has some twenty
MAX_ATTRIBUTES: Final = 64  # of one element; feedparser takes minutes for tens of thousands
_LONGEST_TAG: Final = 8_192  # characters, of a document that is not well-formed

_DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]{0,300}\?>")
# the only use of an entity of its own in a feed is to grow
_ENTITY: Final = re.compile(r"<!\s*ENTITY", re.IGNORECASE)
_LONG_TAG: Final = re.compile(rb"<[^<>]{%d}" % _LONGEST_TAG)
_REFERENCE: Final = re.compile(r"&(?:(#\w{1,10}|\w{1,32});)?")
_KNOWN_TO_XML: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
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
        content = _REFERENCE.sub(_reference, document).encode("utf-8", "replace")
        if not _well_formed(content):
            _refuse_long(content)
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


def _reference(found: re.Match[str]) -> str:
    """A reference as XML knows it: a bare `&` as in L&T, and names of HTML, are common in feeds."""
    name = found[1]
    if name is None:
        return "&amp;"
    if name.startswith("#") or name in _KNOWN_TO_XML:
        return found[0]
    text = html.entities.html5.get(f"{name};")
    return f"&amp;{name};" if text is None else "".join(f"&#{ord(each)};" for each in text)


def _refuse_long(content: bytes) -> None:
    if len(content) > MAX_ILL_FORMED:
        raise Unreadable(f"not well-formed, and more than {MAX_ILL_FORMED:,} bytes")
    if _LONG_TAG.search(content):
        raise Unreadable(f"not well-formed, with a tag of more than {_LONGEST_TAG:,} characters")


def _items(entries: list[Any]) -> Iterator[Item]:
    for entry in entries:
        text = headline_of(str(entry.get("title", "")))
        if text:
            told = entry.get("published") or entry.get("updated") or ""
            yield Item(text, moment_of(str(told)))


def _well_formed(content: bytes) -> bool:
    """Raises Unreadable for what is too deep or too many."""
    depth = elements = 0

    def begun(_name: str, attributes: Sized) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS or len(attributes) > MAX_ATTRIBUTES:
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
            f"deeper than {MAX_DEPTH} elements, more than {MAX_ELEMENTS:,} of them, or one with "
            f"more than {MAX_ATTRIBUTES} attributes"
        ) from None
    except expat.ExpatError:
        return False
    return True
