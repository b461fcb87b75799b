"""The instrument master: the market's instruments as Dhan's two CSV files.

Columns and habits as seen in the real files: cash rows keep the exchange's symbol in
UNDERLYING_SYMBOL and the company in SYMBOL_NAME; tick sizes are paise, but rupees on index rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final

from aiohttp import web

from schemas.ids import Segment
from schemas.units import PAISE_PER_RUPEE
from simulator.api.replies import refuse
from simulator.market.tape import Listing
from simulator.matching.rules import Rules
from simulator.refusals import Code, Refusal
from simulator.serializers import isin

DETAILED: Final = (
    "EXCH_ID", "SEGMENT", "SECURITY_ID", "ISIN", "INSTRUMENT", "UNDERLYING_SECURITY_ID",
    "UNDERLYING_SYMBOL", "SYMBOL_NAME",
    "DISPLAY_NAME", "INSTRUMENT_TYPE", "SERIES", "LOT_SIZE", "SM_EXPIRY_DATE", "STRIKE_PRICE",
    "OPTION_TYPE", "TICK_SIZE",
    "EXPIRY_FLAG", "BRACKET_FLAG", "COVER_FLAG", "ASM_GSM_FLAG", "ASM_GSM_CATEGORY",
    "BUY_SELL_INDICATOR", "MTF_LEVERAGE", "SM_FREEZE_QTY", "SM_UPPER_LIMIT", "SM_LOWER_LIMIT",
)  # fmt: skip
COMPACT: Final = (
    "SEM_EXM_EXCH_ID", "SEM_SEGMENT", "SEM_SMST_SECURITY_ID", "SEM_INSTRUMENT_NAME",
    "SEM_EXPIRY_CODE",
    "SEM_TRADING_SYMBOL", "SEM_LOT_UNITS", "SEM_CUSTOM_SYMBOL", "SEM_EXPIRY_DATE",
    "SEM_STRIKE_PRICE", "SEM_OPTION_TYPE",
    "SEM_TICK_SIZE", "SEM_EXPIRY_FLAG", "SEM_EXCH_INSTRUMENT_TYPE", "SEM_SERIES", "SM_SYMBOL_NAME",
)  # fmt: skip
# no bracket, no cover, not under surveillance, buying and selling allowed
_FLAGS: Final = ("N", "N", "N", "NA", "A")
_NO_SEGMENT: Final = Refusal(
    Code.INPUT, "Missing required fields, bad values for parameters etc. (segment)"
)


class Master:
    """The handlers under `/instruments`, and the list of one segment under `/v2/instrument`, which
    redirects there.
    """

    def __init__(self, listings: Sequence[Listing], rules: Rules) -> None:
        self._listings = listings
        self._rules = rules

    def routes(self) -> list[web.RouteDef]:
        """The paths of the instrument master."""
        return [
            web.get("/instruments/api-scrip-master-detailed.csv", self.detailed),
            web.get("/instruments/api-scrip-master.csv", self.compact),
            web.get("/instruments/segment/{segment}.csv", self.of_segment),
            web.get("/v2/instrument/{segment}", self.redirect),
        ]

    async def detailed(self, _: web.Request) -> web.Response:
        """Answer with the detailed CSV of every instrument."""
        return web.Response(text=self._detailed, content_type="text/csv")

    async def compact(self, _: web.Request) -> web.Response:
        """Answer with the compact CSV of every instrument."""
        return web.Response(text=self._compact, content_type="text/csv")

    async def redirect(self, request: web.Request) -> web.Response:
        """Answer `GET /v2/instrument/{segment}` with the address of the file, as Dhan does."""
        segment = request.match_info["segment"]
        return web.Response(status=302, headers={"Location": f"/instruments/segment/{segment}.csv"})

    async def of_segment(self, request: web.Request) -> web.Response:
        """Answer with the detailed CSV of one segment."""
        segment = request.match_info["segment"]
        if segment not in Segment.__members__:
            return refuse(_NO_SEGMENT)
        chosen = (listing for listing in self._listings if listing.id.segment == segment)
        return web.Response(
            text=_csv(DETAILED, map(self._detailed_row, chosen)), content_type="text/csv"
        )

    @cached_property
    def _detailed(self) -> str:
        return _csv(DETAILED, map(self._detailed_row, self._listings))

    def _detailed_row(self, listing: Listing) -> Sequence[object]:
        """What the row is about, and the limits of its orders: units, and rupees."""
        limits = listing.upper_circuit, listing.lower_circuit
        return (
            *_described(listing),
            f"{self._rules.freeze(listing.instrument):.1f}",
            *(f"{limit / PAISE_PER_RUPEE:.4f}" for limit in limits),
        )

    @cached_property
    def _compact(self) -> str:
        return _csv(COMPACT, map(_compact_row, self._listings))


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _described(listing: Listing) -> Sequence[object]:
    instrument, contract = listing.instrument, listing.contract
    security_id, symbol = instrument.id.security_id, instrument.symbol
    lot = f"{instrument.lot_size:.1f}"
    if contract:
        return (
            "NSE", "D", security_id, "NA", instrument.kind, contract.underlying.security_id,
            contract.underlying_symbol, symbol, instrument.name, "OP", "NA", lot,
            contract.expiry, _rupees(contract.strike), contract.right,
            f"{instrument.tick_size:.4f}", contract.period, *_FLAGS, "0.0",
        )  # fmt: skip
    if instrument.id.segment is Segment.NSE_FNO:  # a recorded future, of which no more is known
        return (
            "NSE", "D", security_id, "NA", instrument.kind, "", "", symbol, instrument.name, "FUT",
            "NA", lot, "0001-01-01", "", "XX", f"{instrument.tick_size:.4f}", "M", *_FLAGS, "0.0",
        )  # fmt: skip
    if not instrument.tradable:
        step = f"{instrument.tick_size / PAISE_PER_RUPEE:.4f}"
        return (
            "NSE", "I", security_id, "NA", "INDEX", security_id, symbol, symbol, instrument.name,
            "INDEX", "NA", lot, "0001-01-01", "", "XX", step, "N", *_FLAGS, "0.0",
        )  # fmt: skip
    return (
        "NSE", "E", security_id, isin(security_id), "EQUITY", "", symbol,
        f"{instrument.name.upper()} LTD", instrument.name, "ES", "EQ", lot,
        "", "", "", f"{instrument.tick_size:.4f}", "NA", *_FLAGS, "4.0",
    )  # fmt: skip


def _compact_row(listing: Listing) -> Sequence[object]:
    instrument, contract = listing.instrument, listing.contract
    security_id, lot, step = (
        instrument.id.security_id,
        f"{instrument.lot_size:.1f}",
        f"{instrument.tick_size:.4f}",
    )
    if contract:
        return (
            "NSE", "D", security_id, instrument.kind, 0, instrument.symbol, lot, instrument.name,
            f"{contract.expiry} 14:30:00", f"{_rupees(contract.strike)}", contract.right, step,
            contract.period, "OP", "NA", contract.underlying_symbol,
        )  # fmt: skip
    if instrument.id.segment is Segment.NSE_FNO:
        return (
            "NSE", "D", security_id, instrument.kind, 0, instrument.symbol, lot, instrument.name,
            "0001-01-01", "", "XX", step, "M", "FUT", "NA", instrument.symbol,
        )  # fmt: skip
    share = instrument.tradable
    return (
        "NSE", "E" if share else "I", security_id, instrument.kind, 0, instrument.symbol, lot,
        instrument.name, "" if share else "0001-01-01", "", "" if share else "XX",
        step, "NA" if share else "N", "ES" if share else "INDEX", "EQ" if share else "NA",
        f"{instrument.name.upper()} LTD" if share else instrument.symbol,
    )  # fmt: skip


def _rupees(paise: int) -> str:
    return f"{paise / PAISE_PER_RUPEE:.5f}"
