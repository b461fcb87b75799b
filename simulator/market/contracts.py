"""Options on the market's own instruments.

Says which contracts exist, and what one is worth when its underlying moves. Worth is Black and
Scholes with a smile that depends on the strike alone, so feed, quotes and option chain agree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument
from schemas.units import PAISE_PER_RUPEE, Paise, Price, Quantity
from simulator.market import noise

TICK_SIZE: Final = Paise(5)
EXPIRY_WEEKDAY: Final = 1  # Tuesday: NSE since September 2025
WEEKS: Final = 3  # weekly expiries of an index; shares have monthly ones only
MONTHS: Final = 2
STRIKES_EACH_SIDE: Final = 10
INDEX_LOT: Final = Quantity(65)  # NIFTY, since January 2026
INDEX_STRIKES: Final[Mapping[str, int]] = {"NIFTY": 5_000, "FINNIFTY": 5_000, "BANKNIFTY": 10_000}
SHARE_LOT: Final = Quantity(500)
AT_THE_MONEY: Final = 0.13  # implied volatility
SMILE: Final = 2.5  # and how it grows with the square of log moneyness
RATE: Final = 0.06
YEAR_SECONDS: Final = 365 * 86_400
# where Dhan's derivative ids lie; unique within the segment is all that counts
FIRST_CONTRACT_ID: Final = 40_000

Floats = npt.NDArray[np.float64]


class Right(StrEnum):
    """What the holder may do, in the master's letters."""

    CALL = "CE"
    PUT = "PE"


@dataclass(frozen=True, slots=True)
class Contract:
    """One option.

    Attributes:
        strike: Paise.
        volatility: Implied, as a share of one.
    """

    underlying: InstrumentId
    underlying_symbol: str
    expiry: date
    strike: Price
    right: Right
    volatility: float

    @property
    def period(self) -> str:
        """Whether it ends a month or a week, in the master's letters."""
        return "M" if (self.expiry + timedelta(weeks=1)).month != self.expiry.month else "W"

    @property
    def sign(self) -> int:
        """1 for a call, -1 for a put."""
        return 1 if self.right is Right.CALL else -1

    def years(self, day: date) -> float:
        """Years from the close of `day` to expiry, at least a little.

        So an option at its last minute still has a price.
        """
        return max((self.expiry - day).days, 0) / 365 + 0.5 / 365


@dataclass(frozen=True, slots=True)
class Greeks:
    """Sensitivities in Dhan's units: theta a day, vega for one point of volatility."""

    delta: float
    theta: float
    gamma: float
    vega: float


def chain(
    underlying: Instrument, previous_close: Price, day: date
) -> Iterator[tuple[Instrument, Contract]]:
    """All contracts on `underlying` that trade on `day`.

    In order: nearest expiry first, lowest strike first, call before put.
    """
    is_index = underlying.id.segment is Segment.IDX_I
    step = INDEX_STRIKES.get(underlying.symbol) or strike_step(previous_close)
    middle = round(previous_close / step)
    for expiry in expiries(day, weekly=is_index):
        for place in range(middle - STRIKES_EACH_SIDE, middle + STRIKES_EACH_SIDE + 1):
            if place < 1:
                continue
            strike = Price(place * step)
            volatility = AT_THE_MONEY + SMILE * math.log(strike / previous_close) ** 2
            for right in Right:
                contract = Contract(
                    underlying.id, underlying.symbol, expiry, strike, right, volatility
                )
                yield _instrument(contract, is_index=is_index), contract


def expiries(day: date, *, weekly: bool) -> list[date]:
    """Days on which contracts that trade on `day` end; `day` itself when it is one."""
    first = day + timedelta(days=(EXPIRY_WEEKDAY - day.weekday()) % 7)
    tuesdays = [first + timedelta(weeks=week) for week in range(5 * (MONTHS + 1))]
    monthly = [one for one in tuesdays if (one + timedelta(weeks=1)).month != one.month][:MONTHS]
    return sorted({*monthly, *(tuesdays[:WEEKS] if weekly else ())})


def strike_step(price: Price) -> int:
    """Paise between two strikes: about half a percent of the price, as a round number."""
    rough = price / 200
    power = 10 ** math.floor(math.log10(rough))
    return int(
        max(next(step * power for step in (1, 2, 5, 10) if step * power >= rough), PAISE_PER_RUPEE)
    )


def worth(spot: Floats, strike: Floats, years: Floats, volatility: Floats, sign: Floats) -> Floats:
    """What options are worth, in the unit of `spot` and `strike`.

    `sign` is 1 for calls and -1 for puts.
    """
    d1, d2 = _distances(spot, strike, years, volatility)
    value: Floats = sign * (
        spot * _normal_cdf(sign * d1) - strike * np.exp(-RATE * years) * _normal_cdf(sign * d2)
    )
    return value


def worth_at_close(contract: Contract, spot: Price, day: date) -> float:
    """Paise, when the underlying closes `day` at `spot`."""
    figures = (spot, contract.strike, contract.years(day), contract.volatility, contract.sign)
    spots, strikes, years, volatilities, signs = (np.array([float(figure)]) for figure in figures)
    return float(worth(spots, strikes, years, volatilities, signs)[0])


def greeks(contract: Contract, spot: float, years: float) -> Greeks:
    """At a `spot` in paise; the answer is in rupees."""
    strike, spread = float(contract.strike), contract.volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + contract.volatility**2 / 2) * years) / spread
    d2 = d1 - spread
    density = math.exp(-d1 * d1 / 2) / math.sqrt(2 * math.pi)
    discounted = strike * math.exp(-RATE * years)
    decay = -spot * density * contract.volatility / (2 * math.sqrt(years))
    interest = RATE * discounted * float(_normal_cdf(np.array(contract.sign * d2)))
    rupees = spot / PAISE_PER_RUPEE
    return Greeks(
        delta=contract.sign * float(_normal_cdf(np.array(contract.sign * d1))),
        theta=(decay - contract.sign * interest) / 365 / PAISE_PER_RUPEE,
        gamma=density / (rupees * spread),
        vega=rupees * density * math.sqrt(years) / 100,
    )


def open_interest(contract: Contract, day: date, seed: int, lot: int) -> int:
    """Units that stand open on `day`, most near the money."""
    drawn = (
        noise.key(seed, day, contract.underlying, contract.expiry, contract.strike, contract.right)
        % 4_000
    )
    return (drawn + 50) * lot


def _instrument(contract: Contract, *, is_index: bool) -> Instrument:
    rupees = f"{contract.strike / PAISE_PER_RUPEE:g}"
    symbol = f"{contract.underlying_symbol}-{contract.expiry:%b%Y}-{rupees}-{contract.right}"
    side = "CALL" if contract.right is Right.CALL else "PUT"
    name = f"{contract.underlying_symbol} {contract.expiry:%d %b} {rupees} {side}".upper()
    digest = noise.key(contract.underlying, contract.expiry, contract.strike, contract.right)
    security_id = FIRST_CONTRACT_ID + digest % 900_000_000
    lot = INDEX_LOT if is_index else SHARE_LOT
    kind = "OPTIDX" if is_index else "OPTSTK"
    return Instrument(
        InstrumentId(Segment.NSE_FNO, security_id), symbol, name, kind, lot, TICK_SIZE
    )


def _distances(
    spot: Floats, strike: Floats, years: Floats, volatility: Floats
) -> tuple[Floats, Floats]:
    spread = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (RATE + volatility**2 / 2) * years) / spread
    return d1, d1 - spread


def _normal_cdf(x: Floats) -> Floats:
    """Abramowitz and Stegun 7.1.26: wrong by less than 2e-7, which no tick can see."""
    z = np.abs(x) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * z)
    poly = t * (
        0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))
    )
    half = (1 - poly * np.exp(-z * z)) / 2
    result: Floats = np.where(x >= 0, 0.5 + half, 0.5 - half)
    return result
