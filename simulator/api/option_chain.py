"""Dhan's option chain: the contracts of this very market, which the feed plays and the master
lists.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import numpy as np
from aiohttp import web

from schemas.ids import InstrumentId
from schemas.units import NS_PER_SECOND, PAISE_PER_RUPEE
from simulator.api.data_guard import DataError, DataGuard, object_of
from simulator.api.guard import Call
from simulator.api.quotes import best, last_price, rupees
from simulator.exchange import Exchange
from simulator.market import contracts, noise
from simulator.market.contracts import Contract, Right
from simulator.market.tape import Listing

_SIDES: Final = {Right.CALL: "ce", Right.PUT: "pe"}
_BUSY: Final = 3_000  # lots a contract traded the day before, at most

Json = dict[str, Any]


class OptionChains:
    """The handlers under `/v2/optionchain`."""

    def __init__(self, exchange: Exchange, door: DataGuard, seed: int) -> None:
        self._exchange = exchange
        self._door = door
        self._seed = seed
        self._contracts: dict[InstrumentId, list[tuple[int, Contract]]] = {}
        for place, listing in enumerate(exchange.market.listings):
            if listing.contract:
                self._contracts.setdefault(listing.contract.underlying, []).append(
                    (place, listing.contract)
                )

    def routes(self) -> list[web.RouteDef]:
        """The paths of option chains and their expiries."""
        return [
            web.post("/v2/optionchain", self._door.data(self.chain)),
            web.post("/v2/optionchain/expirylist", self._door.data(self.expiries)),
        ]

    async def expiries(self, call: Call) -> web.Response:
        """Answer `POST /v2/optionchain/expirylist`: an underlying's expiries, nearest first."""
        asked = object_of(call.body)
        if asked is None:
            return self._door.refuse(DataError.BAD_REQUEST)
        listed = self._contracts.get(_underlying(asked) or InstrumentId.parse("IDX_I:0"))
        if listed is None:
            return self._door.refuse(DataError.BAD_SECURITY)
        days = sorted({contract.expiry.isoformat() for _, contract in listed})
        return web.json_response({"data": days, "status": "success"})

    async def chain(self, call: Call) -> web.Response:
        """Answer `POST /v2/optionchain`: every strike of one expiry."""
        asked = object_of(call.body)
        if asked is None:
            return self._door.refuse(DataError.BAD_REQUEST)
        if not self._door.chain_is_due(
            call.client_id, f"{_underlying(asked)} {asked.get('Expiry')}"
        ):
            return self._door.refuse(DataError.TOO_MANY_REQUESTS)
        underlying = _underlying(asked)
        if underlying is None or underlying not in self._contracts:
            return self._door.refuse(DataError.BAD_SECURITY)
        try:
            expiry = date.fromisoformat(str(asked.get("Expiry")))
        except ValueError:
            return self._door.refuse(DataError.BAD_DATE)
        if not any(contract.expiry == expiry for _, contract in self._contracts[underlying]):
            return self._door.refuse(DataError.BAD_EXPIRY)
        return web.json_response({"data": self._data(underlying, expiry), "status": "success"})

    def _data(self, underlying: InstrumentId, expiry: date) -> Json:
        market, board = self._exchange.market, self._exchange.board
        place = market.by_id[underlying]
        spot = last_price(market.listings[place], board.row(place))
        strikes: dict[str, Json] = {}
        for at, contract in self._contracts[underlying]:
            if contract.expiry == expiry:
                side = strikes.setdefault(f"{rupees(contract.strike):.6f}", {})
                side[_SIDES[contract.right]] = self._side(at, market.listings[at], contract, spot)
        # through a 32-bit float, as recorded
        return {"last_price": float(np.float32(rupees(spot))), "oc": strikes}

    def _side(self, place: int, listing: Listing, contract: Contract, spot: int) -> Json:
        row = self._exchange.board.row(place)
        (bid, bid_quantity), (ask, ask_quantity) = best(row)
        volume, yesterday = int(row["volume"]), noise.key(self._seed, listing.id, "yesterday")
        lot = int(listing.instrument.lot_size)
        return {
            "average_price": round(int(row["turnover"]) / volume / PAISE_PER_RUPEE, 2)
            if volume
            else 0,
            "greeks": self._greeks(contract, spot),
            "implied_volatility": contract.volatility * 100,
            "last_price": rupees(last_price(listing, row)),
            "oi": int(row["open_interest"]),
            "previous_close_price": rupees(listing.previous_close),
            "previous_oi": int(row["open_interest"]) // lot * 9 // 10 * lot,
            "previous_volume": yesterday % _BUSY * lot,
            "security_id": listing.id.security_id,
            "top_ask_price": ask,
            "top_ask_quantity": ask_quantity,
            "top_bid_price": bid,
            "top_bid_quantity": bid_quantity,
            "volume": volume,
        }

    def _greeks(self, contract: Contract, spot: int) -> Json:
        exchange = self._exchange
        passed = exchange.second - exchange.market.session.open // NS_PER_SECOND
        years = contract.years(exchange.market.session.day) - passed / contracts.YEAR_SECONDS
        made = contracts.greeks(contract, float(spot), years)
        return {
            "delta": round(made.delta, 5),
            "theta": round(made.theta, 5),
            "gamma": round(made.gamma, 5),
            "vega": round(made.vega, 5),
        }


def _underlying(asked: Json) -> InstrumentId | None:
    """Dhan wants the id as a number."""
    scrip, segment = asked.get("UnderlyingScrip"), asked.get("UnderlyingSeg")
    if not isinstance(scrip, int) or isinstance(scrip, bool):
        return None
    try:
        return InstrumentId.parse(f"{segment}:{scrip}")
    except ValueError:
        return None
