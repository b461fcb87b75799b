"""One headline as a source gave it, cleaned. Pure."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

from agents.news import MAX_CHARACTERS
from agents.quotations import bounded_text
from schemas.units import IST, UtcNs

MAX_ITEMS: Final = 500  # of one document; an exchange publishes some 1,500 announcements a day
_TAG: Final = re.compile(r"<[^<>]{0,500}>")
_EXCHANGE_TIME: Final = "%d-%b-%Y %H:%M:%S"
_LATEST: Final = 1 << 62  # UTC ns; far from the 64 bits of what records it


@dataclass(frozen=True, slots=True)
class Item:
    """A line of news.

    Attributes:
        published_at: None where the source names no time that can be read.
        symbol: The exchange's own word for what it is about; "" where it names none.
        company: The same as a name or number.
    """

    text: str
    published_at: UtcNs | None = None
    symbol: str = ""
    company: str = ""


def headline_of(text: str) -> str:
    """`text` without markup, as one plain line of bounded length."""
    head = text[: 16 * MAX_CHARACTERS]
    return bounded_text(_TAG.sub(" ", html.unescape(_TAG.sub(" ", head))), MAX_CHARACTERS)


def moment_of(text: str) -> UtcNs | None:
    """The moment that `text` names: RFC 822, ISO 8601, or as the exchanges write it.

    Without a zone, or in one that nobody knows, it is Indian time.
    """
    told = text.strip()[:64]
    for read in (datetime.fromisoformat, _exchange_time, _mail_time):
        try:
            moment = read(told)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return _utc(moment)
    return None


def _exchange_time(text: str) -> datetime:
    return datetime.strptime(text, _EXCHANGE_TIME).replace(tzinfo=IST)


def _mail_time(text: str) -> datetime:
    return parsedate_to_datetime(text.replace("-0000", "+0000"))


def _utc(moment: datetime) -> UtcNs | None:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=IST)
    try:
        ns = UtcNs.from_datetime(aware)
    except (ValueError, OverflowError):
        return None
    return ns if 0 <= ns < _LATEST else None
