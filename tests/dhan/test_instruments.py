from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhan.instruments import fetch, parse
from schemas.errors import TryLater, Unreadable
from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument, PriceBand
from schemas.units import Paise, Price, Quantity
from tests.dhan.broker import ScriptedDhan, text_answer

# header of the real file up to the columns we read, then one we do not
HEADER = (
    "EXCH_ID,SEGMENT,SECURITY_ID,ISIN,INSTRUMENT,UNDERLYING_SECURITY_ID,UNDERLYING_SYMBOL,SYMBOL_NAME,DISPLAY_NAME,"
    "INSTRUMENT_TYPE,SERIES,LOT_SIZE,SM_EXPIRY_DATE,STRIKE_PRICE,OPTION_TYPE,TICK_SIZE,EXPIRY_FLAG"
)
RELIANCE = (
    "NSE,E,2885,INE0,EQUITY,,RELIANCE,RELIANCE INDUSTRIES LTD,Reliance "
    "Industries,ES,EQ,1.0,0001-01-01,,XX,10.0000,NA"
)
BOND = (
    "NSE,E,19257,INE0,EQUITY,,RELIANCE,RELIANCE INDUSTRIES LTD,Reliance "
    "NCD,ES,D1,1.0,,,XX,5.0000,NA"
)
NIFTY = "NSE,I,13,NA,INDEX,13,NIFTY,NIFTY,Nifty 50,INDEX,NA,1.0,0001-01-01,,XX,0.0500,N"
OPTION = (
    "NSE,D,35070,NA,OPTIDX,26000,NIFTY,NIFTY-Nov2026-18950-CE,NIFTY 23 NOV 18950 "
    "CE,OP,NA,65.0,2026-11-23,18950,CE,5.0000,M"
)
ALL = frozenset(Segment)


def master(*rows: str) -> str:
    return "\n".join([HEADER, *rows, ""])


def test_shares_indices_and_options_are_read_with_their_units() -> None:
    read = parse(master(RELIANCE, NIFTY, OPTION), ALL)

    assert list(read.by_id.values()) == [
        Instrument(
            InstrumentId(Segment.NSE_EQ, 2885),
            "RELIANCE",
            "Reliance Industries",
            "EQUITY",
            Quantity(1),
            Paise(10),
        ),
        Instrument(
            InstrumentId(Segment.IDX_I, 13), "NIFTY", "Nifty 50", "INDEX", Quantity(1), Paise(5)
        ),
        Instrument(
            InstrumentId(Segment.NSE_FNO, 35070),
            "NIFTY-Nov2026-18950-CE",
            "NIFTY 23 NOV 18950 CE",
            "OPTIDX",
            Quantity(65),
            Paise(5),
            underlying="NIFTY",
        ),
    ]
    assert read.bad == ()


LIMITS = ",SM_FREEZE_QTY,SM_UPPER_LIMIT,SM_LOWER_LIMIT"


def limited(row: str, freeze: str, upper: str, lower: str) -> Instrument:
    text = "\n".join([HEADER + LIMITS + ",", f"{row},{freeze},{upper},{lower},"])
    (found,) = parse(text, ALL).by_id.values()
    return found


def test_price_limits_come_in_rupees_and_the_freeze_quantity_in_units() -> None:
    share = limited(RELIANCE, "87000.0", "1561.999", "1278.001")

    assert share.band == PriceBand(Price(127_801), Price(156_199))
    assert share.freeze_quantity == 87_000
    assert share.fixed_band


@pytest.mark.parametrize(
    "limits", [("", "", ""), ("0", "0", "0"), ("NA", "x", "NaN"), ("1", "5", "9")]
)
def test_limits_that_say_nothing_are_not_told_and_leave_the_instrument(
    limits: tuple[str, str, str],
) -> None:
    share = limited(RELIANCE, *limits)

    assert share.band is None
    assert share.freeze_quantity in {None, 1}


def test_a_share_with_contracts_has_no_fixed_band_and_a_contract_names_its_share() -> None:
    future = (
        "NSE,D,52001,NA,FUTSTK,2885,RELIANCE,RELIANCE-Nov2026-FUT,RELIANCE NOV FUT,"
        "FUT,NA,500.0,2026-11-24,,XX,10.0000,M"
    )

    share, contract = parse(master(RELIANCE, future), ALL).by_id.values()

    assert share.has_derivatives
    assert not share.fixed_band
    assert (contract.underlying, contract.on_share) == ("RELIANCE", True)
    assert parse(master(RELIANCE, future), ALL).by_symbol[Segment.NSE_EQ, "RELIANCE"] == share


@pytest.mark.parametrize("rows", [(RELIANCE, BOND), (BOND, RELIANCE)])
def test_a_symbol_names_the_share_even_when_a_bond_bears_it_too(rows: tuple[str, str]) -> None:
    assert parse(master(*rows), ALL).by_symbol[Segment.NSE_EQ, "RELIANCE"].id.security_id == 2885


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (RELIANCE.replace("2885", "28x5"), "SECURITY_ID"),
        (RELIANCE.replace("2885", "99999999999"), "SECURITY_ID"),
        (RELIANCE.replace(",1.0,", ",,"), "LOT_SIZE"),
        (RELIANCE.replace(",1.0,", ",0,"), "LOT_SIZE"),
        (RELIANCE.replace("10.0000", "0.0500"), "TICK_SIZE"),
        (RELIANCE.replace("10.0000", "NaN"), "TICK_SIZE"),
        (RELIANCE.replace("EQUITY", ""), "INSTRUMENT"),
        (RELIANCE[:60], "line"),
        (RELIANCE.replace("Reliance Industries", '"Reliance'), "line"),
        (NIFTY, "SECURITY_ID"),
    ],
)
def test_a_bad_row_is_named_by_line_and_field_and_the_rest_is_read(bad: str, field: str) -> None:
    read = parse(master(NIFTY, bad, OPTION), ALL)

    assert [(row.line, row.field) for row in read.bad] == [(3, field)]
    assert [instrument.symbol for instrument in read.by_id.values()] == [
        "NIFTY",
        "NIFTY-Nov2026-18950-CE",
    ]


def test_rows_of_other_segments_are_passed_over_without_complaint() -> None:
    read = parse(
        master(RELIANCE, NIFTY.replace("0.0500", "junk"), "NSE,M,1" + ",x" * 14),
        frozenset({Segment.NSE_EQ}),
    )

    assert [instrument.symbol for instrument in read.by_id.values()] == ["RELIANCE"]


@pytest.mark.parametrize("text", ["", "EXCH_ID,SEGMENT\n", HEADER.replace("TICK_SIZE", "TICK")])
def test_a_file_without_its_columns_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(Unreadable, match="lacks"):
        parse(text, ALL)


@given(st.text())
def test_no_line_whatever_stops_the_reading(junk: str) -> None:
    assert (
        InstrumentId(Segment.NSE_EQ, 2885)
        in parse(master(junk.replace(RELIANCE, ""), RELIANCE), ALL).by_id
    )


async def test_the_file_is_fetched_and_an_error_page_is_not_taken_for_it(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("GET", "/v2/good.csv", text_answer("\ufeff" + master(RELIANCE)))
    broker.on("GET", "/v2/bad.csv", text_answer("<html>", 503))

    assert parse(await fetch(http, f"{broker.url}/good.csv"), ALL).by_id
    with pytest.raises(TryLater, match="503"):
        await fetch(http, f"{broker.url}/bad.csv")


INFY = "NSE,E,1594,INE1,EQUITY,,INFY,INFOSYS LTD,Infosys,ES,EQ,1.0,0001-01-01,,XX,10.0000,NA"
ON_BSE = (
    "BSE,E,500325,INE0,EQUITY,,RELIANCE,RELIANCE INDUSTRIES LTD,Reliance "
    "Industries,ES,A,1.0,,,XX,5.0000,NA"
)
FUTURE = (
    "NSE,D,43000,NA,FUTSTK,2885,RELIANCE,RELIANCE-Dec2026-FUT,RELIANCE DEC "
    "FUT,FUT,NA,500.0,2026-12-29,,XX,10.0000,M"
)
BSE_OPTION = (
    "BSE,D,810001,NA,OPTSTK,500209,INFY,INFY-Dec2026-1500-CE,INFY DEC 1500 "
    "CE,OP,NA,400.0,2026-12-31,1500,CE,5.0000,M"
)
CASH = frozenset({Segment.NSE_EQ, Segment.BSE_EQ})


def test_a_share_closes_in_an_auction_on_both_exchanges_when_it_has_a_contract_on_either() -> None:
    read = parse(master(RELIANCE, BOND, ON_BSE, INFY, NIFTY, OPTION, FUTURE), CASH)

    assert read.auction_shares() == frozenset(
        {InstrumentId(Segment.NSE_EQ, 2885), InstrumentId(Segment.BSE_EQ, 500325)}
    )
    assert parse(master(INFY, BSE_OPTION), CASH).auction_shares() == frozenset(
        {InstrumentId(Segment.NSE_EQ, 1594)}
    )


def test_a_master_without_a_contract_on_any_share_does_not_tell_which_close_in_an_auction() -> None:
    assert parse(master(RELIANCE, NIFTY, OPTION), CASH).auction_shares() is None
