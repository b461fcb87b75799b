"""Which shares a headline is about; most rows are false friends."""

from __future__ import annotations

import pytest

from agents.feeds.matching import Names

NAMES = Names(
    {
        "RELIANCE": "Reliance Industries Ltd",
        "RPOWER": "Reliance Power",
        "TATAMOTORS": "Tata Motors Limited",
        "TCS": "Tata Consultancy Services Ltd",
        "TRENT": "Trent",
        "TITAN": "Titan Company",
        "ITC": "ITC",
        "OIL": "Oil India",
        "IDEA": "Vodafone Idea",
        "M&M": "Mahindra & Mahindra",
        "LT": "Larsen & Toubro",
        "HDFCBANK": "HDFC Bank",
        "HDFCLIFE": "HDFC Life Insurance",
        "SBIN": "State Bank of India",
        "TWIN1": "Twin Brothers",
        "TWIN2": "Twin Brothers Ltd",
    },
    {
        "RELIANCE": ("Reliance", "RIL", "500325"),
        "LT": ("L&T",),
        "SBIN": ("SBI",),
        "DMART": ("DMart",),
    },
    ("Reliance Foundation", "Trent Boult", "Tata Motors Finance"),
)


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("Reliance Industries wins a large order", "RELIANCE"),
        ("reliance industries wins a large order", "RELIANCE"),
        ("Reliance’s profit beats estimates", "RELIANCE"),
        ("RIL to demerge its retail arm", "RELIANCE"),
        ("NSE: RELIANCE rises 2%", "RELIANCE"),
        ("Tata Motors and TCS report results", "TATAMOTORS TCS"),
        ("Mahindra and Mahindra recalls cars", "M&M"),
        ("M&M sales up", "M&M"),
        ("L&T bags order; Larsen & Toubro shares jump", "LT"),
        ("ITC declares dividend", "ITC"),
        ("Trent opens fifty stores", "TRENT"),
        ("SBI raises rates", "SBIN"),
        ("DMart sales grow 17%", "DMART"),
        ("\uff34\uff23\uff33 raises guidance", "TCS"),
        # a longer name that holds a shorter one
        ("Reliance Power surges 10%", "RPOWER"),
        ("Reliance Foundation opens a school", ""),
        ("Tata Motors Finance raises bonds", ""),
        ("HDFC Bank and HDFC Life rise", "HDFCBANK"),
        # a part of a word, or of a word with a hyphen
        ("India's self-reliance in chips", ""),
        ("Titanic deal for a start-up", ""),
        ("Patience is a virtue, says TCSX", ""),
        ("RELIANCEPP listed", ""),
        # a common word
        ("Oil prices rise on supply fears", ""),
        ("An idea whose time has come", ""),
        ("Markets place reliance on the RBI", ""),
        ("a titan of industry retires", ""),
        ("River Trent floods", "TRENT"),  # what configuration must name
        ("Trent Boult takes five wickets", ""),
        ("OIL PRICES RISE ON SUPPLY FEARS", ""),
        # letters that only look alike: nobody's name
        ("Тата Motors recalls cars", ""),
        # two companies of one name: nobody's
        ("Twin Brothers wins an order", ""),
        ("", ""),
    ],
)
def test_a_headline_is_about_those_whose_whole_name_it_holds(text: str, symbols: str) -> None:
    assert NAMES.symbols_in(text) == frozenset(symbols.split())


@pytest.mark.parametrize(
    ("symbol", "company", "found"),
    [
        ("INFY", "", "INFY"),
        ("", "500325", "RELIANCE"),
        ("", "Reliance Industries Limited", "RELIANCE"),
        ("", "Reliance Industrial Infrastructure Ltd", ""),
        ("", "", ""),
    ],
)
def test_an_exchange_s_own_word_is_looked_up_as_a_whole(
    symbol: str, company: str, found: str
) -> None:
    assert NAMES.symbol_of(symbol, company) == found
