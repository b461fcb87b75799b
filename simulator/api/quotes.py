"""Dhan's quotes over REST: last price, day's candle, or everything, from the last prints that the
feed has played.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from schemas.ids import InstrumentId, Segment
from schemas.units import PAISE_PER_RUPEE, UtcNs
from simulator.api.data_guard import DataError, DataGuard, object_of
from simulator.api.guard import Call
from simulator.exchange import Exchange
from simulator.market import depth, ladder
from simulator.market.ladder import Ladder
from simulator.market.tape import Listing, Prints

MOST: Final = 1_000  # instruments in one question
NEVER: Final = "01/01/1980 00:00:00"  # when an instrument traded last that has not traded
_TOTAL: Final = 40  # levels' worth that all orders of one side make up, as in the feed's packets
_SELL, _BUY = 1, 2  # the feed's salts of both totals

Json = dict[str, Any]
Writer = Callable[[Listing, Prints], Json]


class Quotes:
    """The handlers under `/v2/marketfeed`."""

    def __init__(self, exchange: Exchange, door: DataGuard) -> None:
        self._exchange = exchange
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        """The paths of quotes."""
        return [
            web.post("/v2/marketfeed/ltp", self._door.quotes(self.ltp)),
            web.post("/v2/marketfeed/ohlc", self._door.quotes(self.ohlc)),
            web.post("/v2/marketfeed/quote", self._door.quotes(self.quote)),
        ]

    async def ltp(self, call: Call) -> web.Response:
        """Answer `POST /v2/marketfeed/ltp`: last prices."""
        return self._answer(call, _ltp)

    async def ohlc(self, call: Call) -> web.Response:
        """Answer `POST /v2/marketfeed/ohlc`: last prices, and the day's candle so far."""
        return self._answer(call, _ohlc)

    async def quote(self, call: Call) -> web.Response:
        """Answer `POST /v2/marketfeed/quote`: what a Full packet has, all five levels included."""
        return self._answer(call, _quote)

    def _answer(self, call: Call, write: Writer) -> web.Response:
        """Leave out, without a word, segments and ids that the market lacks, as recorded."""
        asked = _asked(call.body)
        if asked is None:
            return self._door.refuse(DataError.BAD_REQUEST)
        if sum(map(len, asked.values())) > MOST:
            return self._door.refuse(DataError.TOO_MANY_INSTRUMENTS)
        if any(not isinstance(one, int) for ids in asked.values() for one in ids):
            return self._door.refuse(DataError.BAD_SECURITY)
        data = {segment: self._rows(segment, ids, write) for segment, ids in asked.items()}
        return web.json_response({"data": data, "status": "success"})

    def _rows(self, segment: str, ids: list[int], write: Writer) -> Json:
        market, board = self._exchange.market, self._exchange.board
        places = ((one, market.by_id.get(InstrumentId(Segment(segment), one))) for one in ids)
        return {
            str(one): write(market.listings[at], board.row(at))
            for one, at in places
            if at is not None
        }


def _asked(body: bytes) -> Mapping[str, list[Any]] | None:
    """Ids by segment; keys that are no segment are passed over, as recorded.

    None when the body is no such map.
    """
    parsed = object_of(body)
    if parsed is None:
        return None
    asked = {name: ids for name, ids in parsed.items() if name in Segment.__members__}
    return asked if all(isinstance(ids, list) for ids in asked.values()) else None


def _ltp(listing: Listing, row: Prints) -> Json:
    return {"last_price": rupees(last_price(listing, row))}


def _ohlc(listing: Listing, row: Prints) -> Json:
    """`close` is the previous session's, as everywhere with Dhan."""
    prices = {name: rupees(int(row[name])) for name in ("open", "high", "low")}
    ohlc = {
        "open": prices["open"],
        "close": rupees(listing.previous_close),
        "high": prices["high"],
        "low": prices["low"],
    }
    return _ltp(listing, row) | {"ohlc": ohlc}


def _quote(listing: Listing, row: Prints) -> Json:
    volume, printed = int(row["volume"]), int(row["price"]) > 0
    bids, asks = ladder.bids(_one(row), depth.LEVELS), ladder.asks(_one(row), depth.LEVELS)
    return _ohlc(listing, row) | {
        "average_price": round(int(row["turnover"]) / volume / PAISE_PER_RUPEE, 2) if volume else 0,
        "buy_quantity": _resting(row, _BUY),
        "sell_quantity": _resting(row, _SELL),
        "depth": {"buy": _levels(bids), "sell": _levels(asks)},
        "last_quantity": int(row["quantity"]),
        "last_trade_time": _clock(int(row["second"])) if printed else NEVER,
        "lower_circuit_limit": rupees(listing.lower_circuit),
        "upper_circuit_limit": rupees(listing.upper_circuit),
        "net_change": rupees(int(row["price"]) - listing.previous_close) if printed else 0,
        "volume": volume,
        "oi": int(row["open_interest"]),
        "oi_day_high": int(row["open_interest"]),
        "oi_day_low": int(row["open_interest"]),
    }


def last_price(listing: Listing, row: Prints) -> int:
    """Paise: of the last print, or of the day before."""
    return int(row["price"]) or listing.previous_close


def rupees(paise: int) -> float:
    """Rupees as Dhan's JSON has them."""
    return int(paise) / PAISE_PER_RUPEE


def best(row: Prints) -> tuple[tuple[float, int], tuple[float, int]]:
    """Price and quantity of the best bid and the best ask; zeros where there is none."""
    sides = ladder.bids(_one(row), 1), ladder.asks(_one(row), 1)
    bid, ask = ((rupees(side.prices[0, 0]), int(side.quantities[0, 0])) for side in sides)
    return bid, ask


def _one(row: Prints) -> Prints:
    prints: Prints = row.reshape(1)
    return prints


def _levels(side: Ladder) -> list[Json]:
    columns = (side.quantities[0], side.orders[0], side.prices[0])
    return [
        {"quantity": quantity, "orders": orders, "price": rupees(price)}
        for quantity, orders, price in zip(*(column.tolist() for column in columns), strict=True)
    ]


def _resting(row: Prints, salt: int) -> int:
    return (
        depth.resting(int(row["second"]), int(row["price"]), salt) * _TOTAL if row["volume"] else 0
    )


def _clock(second: int) -> str:
    return f"{UtcNs.seconds(second).ist():%d/%m/%Y %H:%M:%S}"
