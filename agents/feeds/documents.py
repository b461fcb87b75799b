"""What a feed or file holds: RSS or Atom, or announcements as the exchanges publish them. Pure.

The kind is told by the first character: `<` begins a feed, `[` or `{` JSON, anything else CSV.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from agents.feeds import announcements, syndication
from agents.feeds.items import Item
from schemas.errors import Unreadable

MAX_BYTES: Final = 2 << 20  # ten times a day of one exchange's announcements

# How text may be written. A document chooses among these and no other of Python's codecs, some of
# which unpack.
_CHARSETS: Final = frozenset(
    {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be"}
)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED: Final = re.compile(rb"""\A\s*<\?xml[^>]{0,200}encoding=["']([A-Za-z0-9._-]{1,40})["']""")


def read_document(body: bytes, charset: str = "") -> tuple[Item, ...]:
    """The items of `body` in the order of the document; `charset` is what its sender called it.

    Raises:
        Unreadable: too long, in no known encoding, or not of a known shape.
    """
    if len(body) > MAX_BYTES:
        raise Unreadable(f"more than {MAX_BYTES:,} bytes")
    text = _text_of(body, charset).strip()
    if not text:
        raise Unreadable("empty")
    if text[0] == "<":
        return syndication.read(text)
    return announcements.read_json(text) if text[0] in "[{" else announcements.read_csv(text)


def _text_of(body: bytes, charset: str) -> str:
    """The byte order mark counts first, then the sender's word, then the document's own.

    UTF-8 with a wrong byte in it is read as Windows wrote it: a feed that says UTF-8 and mixes in
    pasted text is common.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return _decoded(body[len(mark) :], name)
    declared = _DECLARED.match(body[:300])
    named = charset or (declared[1].decode() if declared else "utf-8")
    try:
        name = codecs.lookup(named).name
    except LookupError:
        raise Unreadable(f"encoding {named[:40]!r} is not known") from None
    if name not in _CHARSETS:
        raise Unreadable(f"encoding {named[:40]!r} is not read")
    return _decoded(body, name)


def _decoded(body: bytes, name: str) -> str:
    try:
        return body.decode(name)
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")
