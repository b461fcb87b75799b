"""The instrument master: the market's instruments as Dhan's two CSV files.

Columns and habits as seen in the real files: cash rows keep the exchange's symbol in UNDERLYING_SYMBOL and the company in
SYMBOL_NAME; tick sizes are paise, but rupees on index rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from aiohttp import web

from schemas.market import Instrument
from schemas.units import PAISE_PER_RUPEE

DETAILED: Final = (
    "EXCH_ID", "SEGMENT", "SECURITY_ID", "ISIN", "INSTRUMENT", "UNDERLYING_SECURITY_ID", "UNDERLYING_SYMBOL", "SYMBOL_NAME",
    "DISPLAY_NAME", "INSTRUMENT_TYPE", "SERIES", "LOT_SIZE", "SM_EXPIRY_DATE", "STRIKE_PRICE", "OPTION_TYPE", "TICK_SIZE",
    "EXPIRY_FLAG", "SM_FREEZE_QTY",
)  # fmt: skip
COMPACT: Final = (
    "SEM_EXM_EXCH_ID", "SEM_SEGMENT", "SEM_SMST_SECURITY_ID", "SEM_INSTRUMENT_NAME", "SEM_EXPIRY_CODE",
    "SEM_TRADING_SYMBOL", "SEM_LOT_UNITS", "SEM_CUSTOM_SYMBOL", "SEM_EXPIRY_DATE", "SEM_STRIKE_PRICE", "SEM_OPTION_TYPE",
    "SEM_TICK_SIZE", "SEM_EXPIRY_FLAG", "SEM_EXCH_INSTRUMENT_TYPE", "SEM_SERIES", "SM_SYMBOL_NAME",
)  # fmt: skip


class Master:
    """The handlers under `/instruments`."""

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self._detailed = _csv(DETAILED, map(_detailed, instruments))
        self._compact = _csv(COMPACT, map(_compact, instruments))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/instruments/api-scrip-master-detailed.csv", self.detailed),
            web.get("/instruments/api-scrip-master.csv", self.compact),
        ]

    async def detailed(self, _: web.Request) -> web.Response:
        return web.Response(text=self._detailed, content_type="text/csv")

    async def compact(self, _: web.Request) -> web.Response:
        return web.Response(text=self._compact, content_type="text/csv")


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _detailed(instrument: Instrument) -> Sequence[object]:
    security_id, symbol = instrument.id.security_id, instrument.symbol
    lot = f"{instrument.lot_size:.1f}"
    if not instrument.tradable:
        step = f"{instrument.tick_size / PAISE_PER_RUPEE:.4f}"
        return (
            "NSE", "I", security_id, "NA", "INDEX", security_id, symbol, symbol, instrument.name, "INDEX", "NA", lot,
            "0001-01-01", "", "XX", step, "N", 0,
        )  # fmt: skip
    return (
        "NSE", "E", security_id, "NA", "EQUITY", "", symbol, f"{instrument.name.upper()} LTD", instrument.name, "ES", "EQ",
        lot, "", "", "", f"{instrument.tick_size:.4f}", "NA", 0,
    )  # fmt: skip


def _compact(instrument: Instrument) -> Sequence[object]:
    share = instrument.tradable
    return (
        "NSE", "E" if share else "I", instrument.id.security_id, instrument.kind, 0, instrument.symbol,
        f"{instrument.lot_size:.1f}", instrument.name, "" if share else "0001-01-01", "", "" if share else "XX",
        f"{instrument.tick_size:.4f}", "NA" if share else "N", "ES" if share else "INDEX", "EQ" if share else "NA",
        f"{instrument.name.upper()} LTD" if share else instrument.symbol,
    )  # fmt: skip
