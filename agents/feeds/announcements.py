"""Corporate announcements as NSE and BSE publish them: JSON, or the CSV of the same page. Pure.

NSE's JSON is a list (or `data`) of rows with `symbol`, `desc`, `attchmntText` and `an_dt`. BSE's is
`Table`, rows with `SCRIP_CD`, `SLONGNAME`, `NEWSSUB`, `HEADLINE` and `DissemDT`. NSE's CSV has the
columns SYMBOL, COMPANY NAME, SUBJECT, DETAILS, BROADCAST DATE/TIME. Rows of our own are known too:
`symbol`, `published_at` (text), `text`. Times without a zone are Indian.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from agents.feeds.items import MAX_ITEMS, Item, headline_of, moment_of
from schemas.errors import Unreadable

_MAX_FIELD: Final = 64  # characters of a symbol, a number or a name that can be looked up

# by what is looked for, the names of a row's fields in lower case, the best first
_SYMBOL: Final = ("symbol",)
_COMPANY: Final = ("slongname", "company name", "sm_name", "companyname", "company")
_CODE: Final = ("scrip_cd", "scrip code", "scripcode")
_SUBJECT: Final = ("desc", "subject", "newssub")
_DETAILS: Final = ("attchmnttext", "details", "headline", "text")
_TIMES: Final = (
    "exchdisstime", "dissemdt", "dissemination", "an_dt", "broadcast date/time",
    "broadcast date", "news_dt", "sort_date", "published_at",
)  # fmt: skip


def read_json(text: str) -> tuple[Item, ...]:
    """The rows of a JSON document.

    Raises:
        Unreadable: no JSON, or without rows of announcements.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None
    if isinstance(document, dict):
        document = next((document[key] for key in ("data", "Table") if key in document), None)
    if not isinstance(document, list):
        raise Unreadable("JSON without a list of announcements")
    return _items(row for row in document[:MAX_ITEMS] if isinstance(row, dict))


def read_csv(text: str) -> tuple[Item, ...]:
    """The rows of a CSV with a header.

    Raises:
        Unreadable: without a column of symbols or companies, or one of text.
    """
    reader = csv.DictReader(io.StringIO(text))
    try:
        names = {name.strip().lower() for name in reader.fieldnames or () if name}
        if not names & {*_SYMBOL, *_COMPANY, *_CODE} or not names & {*_SUBJECT, *_DETAILS}:
            raise Unreadable("CSV without columns of announcements (SYMBOL, SUBJECT, DETAILS …)")
        return _items(row for row, _ in zip(reader, range(MAX_ITEMS), strict=False))
    except csv.Error as error:
        raise Unreadable(f"CSV: {error}") from None


def _items(rows: Iterable[Mapping[Any, Any]]) -> tuple[Item, ...]:
    return tuple(_item_of(rows))


def _item_of(rows: Iterable[Mapping[Any, Any]]) -> Iterator[Item]:
    for row in rows:
        told = {str(name).strip().lower(): _plain(value) for name, value in row.items()}
        subject, details = _first(told, _SUBJECT), _first(told, _DETAILS)
        text = headline_of(": ".join(dict.fromkeys(part for part in (subject, details) if part)))
        if not text:
            continue
        moments = (moment_of(told[name]) for name in _TIMES if told.get(name))
        yield Item(
            text,
            next((moment for moment in moments if moment is not None), None),
            _first(told, _SYMBOL)[:_MAX_FIELD],
            (_first(told, _CODE) or _first(told, _COMPANY))[:_MAX_FIELD],
        )


def _first(row: Mapping[str, str], names: Iterable[str]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _plain(value: object) -> str:
    return str(value).strip() if isinstance(value, str | int) and value != "-" else ""
