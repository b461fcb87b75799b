"""NSE's lists of constituents: which shares are of one industry."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.sectors import Sector, Sectors, read_sectors
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from tests.agents.factories import RELIANCE, an_entry

ONGC = InstrumentId(RELIANCE.segment, 1)
# as NSE writes it, with a byte order mark and the line endings of Windows
LISTED = (
    "\ufeffCompany Name,Industry,Symbol,Series,ISIN Code\r\n"
    "Reliance Industries Ltd.,Oil Gas & Consumable Fuels,RELIANCE,EQ,INE002A01018\r\n"
    "Oil & Natural Gas Corporation Ltd.,Oil Gas & Consumable Fuels,ONGC,EQ,INE213A01029\r\n"
    "Nameless Ltd.,,NAMELESS,EQ,INE000000000\r\n"
)


def test_a_list_of_nse_says_the_industry_of_each_symbol(tmp_path: Path) -> None:
    path = tmp_path / "ind_nifty50list.csv"
    path.write_text(LISTED, "utf-8", newline="")

    assert read_sectors(path) == dict.fromkeys(("RELIANCE", "ONGC"), "Oil Gas & Consumable Fuels")


def test_an_industry_is_one_short_line_whatever_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('\ufeffSymbol,Industry\nTCS,"IT\x1b[2J' + "x" * 99 + '"\n', "utf-8")

    assert read_sectors(path)["TCS"] == "IT [2J" + "x" * 54


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Company Name,Symbol\nTata,TCS\n",
        b"Symbol,Industry\n",
        b"\xff\xfe",
        b"Symbol,Industry\n" + b"x" * 200_000 + b",y\n",
        b"x" * (3 << 20),
    ],
)
def test_what_is_no_such_list_is_refused_with_the_setting_s_name(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)

    with pytest.raises(Misconfigured, match="ATS_SECTORS"):
        read_sectors(path)


def test_the_industry_of_a_share_has_the_others_of_the_day_s_scan() -> None:
    sectors = Sectors({"RELIANCE": "Oil", "ONGC": "Oil"})
    sectors.learn(
        [an_entry(), an_entry(ONGC, "ONGC"), an_entry(InstrumentId.parse("NSE_EQ:2"), "X")]
    )

    assert sectors.of(RELIANCE) == Sector("Oil", (ONGC,))
    assert sectors.of(InstrumentId.parse("NSE_EQ:2")) is None
