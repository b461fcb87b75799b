"""Names, Dhan security ids and rough prices of well-known NSE instruments, and stand-ins for all
others.

The ids are those of Dhan's master as far as we know them; in the simulator its own master is the
truth, so a wrong one does no harm here.
"""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.units import Paise, Quantity


class Known(NamedTuple):
    """One known share or index; `rupees` is a plausible price for generated sessions."""

    symbol: str
    security_id: int
    name: str
    rupees: int


INDICES: Final[tuple[Known, ...]] = (
    Known("NIFTY", 13, "Nifty 50", 24_700),
    Known("BANKNIFTY", 25, "Nifty Bank", 55_300),
    Known("INDIAVIX", 21, "India VIX", 14),
    Known("NIFTYIT", 29, "Nifty IT", 36_400),
)
SHARES: Final[tuple[Known, ...]] = (
    Known("RELIANCE", 2885, "Reliance Industries", 1_420),
    Known("HDFCBANK", 1333, "HDFC Bank", 965),
    Known("INFY", 1594, "Infosys", 1_510),
    Known("TCS", 11536, "Tata Consultancy Services", 3_060),
    Known("ICICIBANK", 4963, "ICICI Bank", 1_390),
    Known("SBIN", 3045, "State Bank of India", 872),
    Known("BHARTIARTL", 10604, "Bharti Airtel", 1_930),
    Known("ITC", 1660, "ITC", 407),
    Known("LT", 11483, "Larsen & Toubro", 3_680),
    Known("AXISBANK", 5900, "Axis Bank", 1_165),
    Known("KOTAKBANK", 1922, "Kotak Mahindra Bank", 2_020),
    Known("HINDUNILVR", 1394, "Hindustan Unilever", 2_480),
    Known("MARUTI", 10999, "Maruti Suzuki", 12_450),
    Known("SUNPHARMA", 3351, "Sun Pharmaceutical", 1_640),
    Known("TATASTEEL", 3499, "Tata Steel", 168),
    Known("WIPRO", 3787, "Wipro", 252),
    Known("NTPC", 11630, "NTPC", 336),
    Known("POWERGRID", 14977, "Power Grid", 288),
    Known("ASIANPAINT", 236, "Asian Paints", 2_390),
    Known("M&M", 2031, "Mahindra & Mahindra", 3_210),
    Known("ACC", 22, "ACC", 1_830),
    Known("ADANIPORTS", 15083, "Adani Ports", 1_440),
    Known("AMBUJACEM", 1270, "Ambuja Cements", 560),
    Known("AUROPHARMA", 275, "Aurobindo Pharma", 1_090),
    Known("BAJAJ-AUTO", 16669, "Bajaj Auto", 8_900),
    Known("BANKBARODA", 4668, "Bank of Baroda", 262),
    Known("BHEL", 438, "Bharat Heavy Electricals", 238),
    Known("BOSCHLTD", 2181, "Bosch", 38_600),
    Known("BPCL", 526, "Bharat Petroleum", 342),
    Known("CIPLA", 694, "Cipla", 1_520),
    Known("COALINDIA", 20374, "Coal India", 388),
    Known("DRREDDY", 881, "Dr. Reddy's Laboratories", 1_250),
    Known("EICHERMOT", 910, "Eicher Motors", 6_900),
    Known("GAIL", 4717, "GAIL", 178),
    Known("GRASIM", 1232, "Grasim Industries", 2_780),
    Known("HCLTECH", 7229, "HCL Technologies", 1_480),
    Known("HDFC", 1330, "Housing Development Finance", 2_730),
    Known("HEROMOTOCO", 1348, "Hero MotoCorp", 5_400),
    Known("HINDALCO", 1363, "Hindalco", 760),
    Known("IDBI", 1476, "IDBI Bank", 93),
    Known("IDEA", 14366, "Vodafone Idea", 8),
    Known("INDUSINDBK", 5258, "IndusInd Bank", 740),
    Known("INFRATEL", 29135, "Bharti Infratel", 350),
    Known("LUPIN", 10440, "Lupin", 1_960),
    Known("MRF", 2277, "MRF", 128_000),
    Known("ONGC", 2475, "Oil & Natural Gas", 245),
    Known("PAGEIND", 14413, "Page Industries", 41_000),
    Known("PCJEWELLER", 29482, "PC Jeweller", 13),
    Known("TATAMOTORS", 3456, "Tata Motors", 690),
    Known("TATAMTRDVR", 16965, "Tata Motors DVR", 480),
    Known("TATAPOWER", 3426, "Tata Power", 394),
    Known("TECHM", 13538, "Tech Mahindra", 1_500),
    Known("ULTRACEMCO", 11532, "UltraTech Cement", 12_200),
    Known("YESBANK", 11915, "Yes Bank", 21),
    Known("ZEEL", 3812, "Zee Entertainment", 112),
)
_SHARE_IDS: Final = {known.symbol: known for known in SHARES}
_INDEX_IDS: Final = {known.symbol: known for known in INDICES}
INDEX_SYMBOLS: Final = frozenset(_INDEX_IDS)
SHARE_SYMBOLS: Final = frozenset(_SHARE_IDS)

_FIRST_STAND_IN: Final = 1_000_000  # above every id of Dhan's master that we have seen
_STAND_INS: Final = 900_000_000
ONE: Final = Quantity(1)  # the lot of shares and indices


def share(symbol: str, tick_size: Paise) -> Instrument:
    """The share called `symbol`; an unknown one gets a security id derived from its name."""
    known = _SHARE_IDS.get(symbol) or Known(symbol, _stand_in(symbol), symbol.title(), 0)
    return Instrument(
        InstrumentId(Segment.NSE_EQ, known.security_id),
        symbol,
        known.name,
        "EQUITY",
        ONE,
        tick_size,
    )


def index(symbol: str, tick_size: Paise) -> Instrument:
    """The index called `symbol`; an unknown one gets a security id derived from its name."""
    known = _INDEX_IDS.get(symbol) or Known(symbol, _stand_in(symbol), symbol.title(), 0)
    return Instrument(
        InstrumentId(Segment.IDX_I, known.security_id), symbol, known.name, "INDEX", ONE, tick_size
    )


def _stand_in(symbol: str) -> int:
    return _FIRST_STAND_IN + zlib.crc32(symbol.encode()) % _STAND_INS
