"""What strangers' documents become, and what is refused."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.feeds.documents import MAX_BYTES, read_document
from agents.feeds.items import MAX_ITEMS, Item, headline_of, moment_of
from agents.feeds.syndication import MAX_ILL_FORMED
from agents.news import MAX_CHARACTERS
from schemas.errors import Unreadable
from schemas.units import IST, UtcNs
from tests.agents.feeds.shapes import ATOM, BOMB, BSE_JSON, NSE_CSV, NSE_JSON, OUTSIDE, RSS, rss


def at(hour: int, minute: int, second: int = 0, micro: int = 0) -> UtcNs:
    return UtcNs.from_datetime(datetime(2025, 6, 2, hour, minute, second, micro, tzinfo=IST))


def test_rss_gives_titles_without_markup_and_their_times() -> None:
    assert read_document(RSS.encode()) == (
        Item("Reliance Industries wins order & gains", at(9, 20)),
        Item("TCS raises guidance", at(9, 25)),
        Item("No date on ITC"),
    )


def test_atom_gives_titles_and_when_they_were_first_published() -> None:
    assert read_document(ATOM.encode()) == (
        Item("Infosys & TCS sign a pact", at(9, 20)),
        Item("Wipro buys back", at(9, 26)),
    )


def test_announcements_of_nse_name_their_symbol_and_when_they_were_disseminated() -> None:
    first, second = read_document(NSE_JSON.encode())
    (row,) = read_document(NSE_CSV.encode())

    assert (first.symbol, first.published_at) == ("RELIANCE", at(9, 21, 45))
    assert first.text.startswith("Press Release: Reliance Industries Limited has informed")
    assert second == Item("Updates", None, "TCS", "")
    assert (row.symbol, row.published_at) == ("ITC", at(9, 22, 12))
    assert row.text == "Dividend: ITC Limited has informed the Exchange about a dividend"


def test_announcements_of_bse_name_their_number() -> None:
    (row,) = read_document(BSE_JSON.encode())

    assert (row.symbol, row.company, row.published_at) == ("", "500325", at(9, 23, 8, 117_000))


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (rss("Café Coffee Day up").encode("utf-8"), ""),
        (rss("Café Coffee Day up").encode("cp1252"), "windows-1252"),
        (rss("Café Coffee Day up").encode("iso-8859-1"), "utf-8"),  # says one and sends another
        (b"\xff\xfe" + rss("Café Coffee Day up").encode("utf-16-le"), "utf-8"),
        (b"\xef\xbb\xbf" + rss("Café Coffee Day up").encode(), "latin-1"),
        (
            b'<?xml version="1.0" encoding="iso-8859-1"?>'
            + rss("Café Coffee Day up").encode("latin-1"),
            "",
        ),
    ],
)
def test_text_is_read_in_the_encodings_that_publishers_use(body: bytes, charset: str) -> None:
    assert [item.text for item in read_document(body, charset)] == ["Café Coffee Day up"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (BOMB, "entities"),
        (BOMB.encode("utf-16"), "entities"),
        (OUTSIDE, "entities"),
        ("<rss>" + "<a>" * 500, "deeper"),
        ("<rss>" + "<a/>" * 100_000 + "</rss>", "deeper"),
        ("<rss" + " & " * 200_000, "not well-formed"),
        ("<html><body>Access denied</body></html>", "neither"),
        (" " * 100, "empty"),
        (b"x" * (MAX_BYTES + 1), "bytes"),
        ("<rss " + " ".join(f"a{n}='x'" for n in range(65)) + "/>", "attributes"),
        ("<rss a='" + "x" * 9_000 + "'>", "tag"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"error": "Forbidden"}', "without a list"),
        ("hello", "without columns"),
        (b'<?xml version="1.0" encoding="zlib"?><rss/>', "not read"),
        (b'<?xml version="1.0" encoding="nonsense"?><rss/>', "not known"),
    ],
)
def test_what_is_no_feed_or_more_than_one_needs_is_refused(body: str | bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        read_document(body.encode() if isinstance(body, str) else body)


def test_a_short_feed_with_a_bare_ampersand_is_read_all_the_same() -> None:
    assert [item.text for item in read_document(rss("L&T wins", "ITC up").encode())] == [
        "L&T wins",
        "ITC up",
    ]


def test_a_long_feed_with_names_of_html_is_read_all_the_same() -> None:
    text = "L&T wins\u2019 &rsquo;&nbsp;&unheard;" + " " * MAX_ILL_FORMED

    assert [item.text for item in read_document(rss(text).encode())] == ["L&T wins’ ’ &unheard;"]


def test_of_a_long_feed_the_first_entries_are_read() -> None:
    assert len(read_document(rss(*map(str, range(MAX_ITEMS + 5))).encode())) == MAX_ITEMS


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("A\u202eB\x00C\u200bD", "A B C D"),
        ("\uff34ata", "Tata"),
        ("&lt;script&gt;alert(1)&lt;/script&gt; up", "alert(1) up"),
        ("one\ntwo\tthree", "one two three"),
        ("x" * 100_000, "…"),
    ],
)
def test_a_headline_is_one_plain_line(text: str, clean: str) -> None:
    assert headline_of(text) == clean


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Mon, 02 Jun 2025 09:20:00 +0530", at(9, 20)),
        ("Mon, 02 Jun 2025 03:50:00 GMT", at(9, 20)),
        ("Mon, 02 Jun 2025 03:50:00 -0000", at(9, 20)),
        ("Mon, 02 Jun 2025 09:20:00 IST", at(9, 20)),
        ("2025-06-02T03:50:00Z", at(9, 20)),
        ("2025-06-02 09:20:00", at(9, 20)),
        ("02-Jun-2025 09:20:00", at(9, 20)),
        ("9999-12-31T23:59:59-12:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("", None),
        ("Mon, 02 Jun 2025 09:20:00 +9999999999", None),
    ],
)
def test_a_time_is_utc_and_indian_where_no_zone_is_named(text: str, moment: UtcNs | None) -> None:
    assert moment_of(text) == moment


_PIECES = st.sampled_from(
    [
        "<rss version='2.0'>",
        "<channel>",
        "<item>",
        "<title>",
        "]]>",
        "<![CDATA[",
        "&",
        "&#0;",
        "&#xD800;",
        "</item>",
        "<!DOCTYPE",
        "<feed xmlns='http://www.w3.org/2005/Atom'>",
        "[{",
        '"symbol":',
        '"desc":',
        "1e999",
        "SYMBOL,DETAILS\n",
        '"',
        "\n",
        "\x00",
        "\ud800".encode("utf-8", "replace").decode(),
        "<pubDate>",
        "é",
    ]
)


@given(
    st.one_of(
        st.binary(max_size=200), st.lists(_PIECES, max_size=25).map(lambda p: "".join(p).encode())
    ),
    st.sampled_from(["", "utf-8", "utf-16", "latin-1", "idna"]),
)
def test_any_bytes_are_bounded_items_or_refused(body: bytes, charset: str) -> None:
    try:
        items = read_document(body, charset)
    except Unreadable:
        return

    assert all(item.text.isprintable() and 0 < len(item.text) <= MAX_CHARACTERS for item in items)
