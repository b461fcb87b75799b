"""Charges as dated data: which rate holds for a trade of which day.

The rows ship as `executors/charges/rates.toml`; docs/charges.md explains their columns. A trade of
last year is billed with last year's rows. A day that no row covers is an error, never a guess.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cache, cached_property
from importlib import resources
from itertools import combinations
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import Misconfigured
from schemas.market import Side
from schemas.units import PAISE_PER_RUPEE

SHIPPED: Final = "rates.toml"
MAX_TEXT: Final = 1_000_000  # characters; the shipped file has 15,000
CRORE: Final = 10_000_000
_AMOUNT: Final = re.compile(r"\d{1,9}(\.\d{1,9})?")


class Charge(StrEnum):
    """One line of a bill."""

    BROKERAGE = "brokerage"
    STT = "stt"  # securities transaction tax
    TRANSACTION = "transaction"  # the exchange's own charge
    IPFT = "ipft"  # the exchange's investor protection fund trust
    SEBI = "sebi"  # the regulator's turnover fee
    STAMP = "stamp"  # stamp duty
    IGST = "igst"  # goods and services tax, broker and client in different states
    CGST = "cgst"  # its half for the union, both in the same state
    SGST = "sgst"  # its half for the state
    DP = "dp"  # the depository participant's, with its tax

    @property
    def on_note(self) -> bool:
        """Whether the contract note shows it; the ledger shows the others, a day later."""
        return self is not Charge.DP


FEES: Final = (Charge.BROKERAGE, Charge.TRANSACTION, Charge.SEBI, Charge.IPFT)  # what bears GST
GST: Final = (Charge.IGST, Charge.CGST, Charge.SGST)


class Exchange(StrEnum):
    """Where a trade was made."""

    NSE = "NSE"
    BSE = "BSE"


class Market(StrEnum):
    """The market of an exchange: each has its own rates."""

    CASH = "cash"
    FUTURES = "futures"
    OPTIONS = "options"


class Basis(StrEnum):
    """How the day's trades in a share are taxed: by the net quantity, not by the product."""

    DELIVERY = "delivery"
    INTRADAY = "intraday"


class Kind(StrEnum):
    """What a security of the cash market is to the taxman."""

    SHARE = "share"
    EQUITY_FUND = "equity_fund"  # a unit of an equity-oriented fund, such as an index ETF
    OTHER_FUND = "other_fund"  # gold, silver, debt, liquid, overseas


class RateSide(StrEnum):
    """Who pays."""

    BOTH = "both"
    BUY = "buy"
    SELL = "sell"


class RateBase(StrEnum):
    """What the rate is taken of."""

    TURNOVER = "turnover"  # price times quantity; of an option the premium
    ORDER = "order"  # each executed order
    ISIN = "isin"  # each security sold from the demat account
    FEES = "fees"  # brokerage, transaction charge, SEBI fee and IPFT


class RateUnit(StrEnum):
    """How the rate's number is meant."""

    PERCENT = "percent"
    PER_CRORE = "per_crore"  # rupees per crore (10 million) rupees
    RUPEES = "rupees"  # each


class RoundedPer(StrEnum):
    """Over what a charge is summed before it is rounded."""

    ORDER = "order"
    BASIS = "basis"  # security, delivery and intraday apart
    SECURITY = "security"
    SEGMENT = "segment"  # exchange and market, as the columns of a note
    ISIN = "isin"


# What a charge's sum can be told apart by.
_UNITS: Final[dict[Charge, tuple[RoundedPer, ...]]] = {
    **dict.fromkeys(Charge, (RoundedPer.SEGMENT,)),
    Charge.BROKERAGE: (RoundedPer.ORDER, RoundedPer.SECURITY, RoundedPer.SEGMENT),
    Charge.STT: (RoundedPer.BASIS, RoundedPer.SECURITY, RoundedPer.SEGMENT),
    Charge.STAMP: (RoundedPer.BASIS, RoundedPer.SECURITY, RoundedPer.SEGMENT),
    Charge.DP: (RoundedPer.ISIN,),
}
_BASES: Final[dict[Charge, tuple[RateBase, ...]]] = {
    **dict.fromkeys(Charge, (RateBase.TURNOVER,)),
    Charge.BROKERAGE: (RateBase.TURNOVER, RateBase.ORDER),
    Charge.DP: (RateBase.ISIN,),
    **dict.fromkeys(GST, (RateBase.FEES,)),
}
_SCALE: Final = {
    RateUnit.PERCENT: Fraction(1, 100),
    RateUnit.PER_CRORE: Fraction(1, CRORE),
    RateUnit.RUPEES: Fraction(PAISE_PER_RUPEE),
}


class NoRate(Misconfigured):
    """No row says what a trade costs, so its bill has no total.

    Next: a person adds the row, or tells the security's group; until then read the broker's note.
    """


def _exact(given: object) -> object:
    """A decimal from its text: a number of TOML would be a float already."""
    if not isinstance(given, str) or not _AMOUNT.fullmatch(given):
        raise ValueError(
            'write an exact number between quotes, such as "0.025", of at most 9 digits on each '
            "side of the point"
        )
    return Decimal(given)


Exact = Annotated[Decimal, BeforeValidator(_exact)]
Name = Annotated[str, Field(min_length=1, max_length=20, pattern=r"^[A-Za-z0-9]+$")]
Names = Annotated[frozenset[Name], Field(max_length=50)]


@dataclass(frozen=True, slots=True)
class Traded:
    """What decides a rate, besides charge and day.

    Attributes:
        group: The scrip's group at BSE, or what an option of BSE is on; empty is not known.
        product: As Dhan spells it: CNC, INTRADAY, MARGIN, MTF, …
        plan: Whose brokerage.
        basis: Of trades of the cash market; None elsewhere.
    """

    exchange: Exchange
    market: Market
    plan: str
    kind: Kind = Kind.SHARE
    group: str = ""
    product: str = ""
    basis: Basis | None = None

    def __str__(self) -> str:
        told = (
            self.exchange,
            self.market,
            self.basis or "",
            "" if self.kind is Kind.SHARE else self.kind,
            self.group and f"group {self.group}",
            self.product and f"product {self.product}",
            f"plan {self.plan}",
        )
        return ", ".join(filter(None, told))


class RateRow(BaseModel):
    """One rate and the days on which it holds.

    A field that is left out, or is empty, holds for any.

    Attributes:
        rate: The number as the circular prints it; `amount` gives it in paise.
        cap: The most that one order costs, in rupees.
        round_to: In rupees: the nearest multiple, halves upwards.
        valid_from: First day, of trades (India).
        valid_to: Last day; None is still in force.
        confidence: A seen on an official page or a real note; B press; C unconfirmed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    charge: Charge
    plan: Annotated[str, Field(max_length=20)] = ""
    exchange: Exchange | None = None
    market: Market | None = None
    basis: Basis | None = None
    kinds: Annotated[frozenset[Kind], Field(max_length=len(Kind))] = frozenset()
    groups: Names = frozenset()
    products: Names = frozenset()
    side: RateSide
    base: RateBase
    rate: Exact
    unit: RateUnit
    cap: Exact | None = None
    rounded_per: RoundedPer
    round_to: Exact
    valid_from: date
    valid_to: date | None = None
    source: Annotated[str, Field(min_length=1, max_length=200)]
    confidence: Annotated[str, Field(pattern="^[ABC]$")]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise ValueError("valid_to: is before valid_from")
        if self.round_to not in {Decimal("0.01"), Decimal(1)}:
            raise ValueError('round_to: write "0.01" (the paisa) or "1" (the rupee)')
        if self.base not in _BASES[self.charge]:
            raise ValueError(f"base: {self.charge} is taken of {_either(_BASES[self.charge])}")
        if self.rounded_per not in _UNITS[self.charge]:
            raise ValueError(
                f"rounded_per: {self.charge} is rounded per {_either(_UNITS[self.charge])}"
            )
        if (self.unit is RateUnit.RUPEES) != (self.base in {RateBase.ORDER, RateBase.ISIN}):
            raise ValueError("unit: rupees are for each order or isin, and only for those")
        if self.unit is RateUnit.PERCENT and self.rate > 100:
            raise ValueError("rate: is above 100 percent")
        if self.cap is not None and self.charge is not Charge.BROKERAGE:
            raise ValueError("cap: only brokerage has one")
        return self

    @property
    def factor(self) -> Fraction:
        """What turnover or fees are multiplied with; of a flat rate, the paise each."""
        return Fraction(self.rate) * _SCALE[self.unit]

    @property
    def step(self) -> int:
        """What a sum is rounded to, in paise."""
        return int(self.round_to * PAISE_PER_RUPEE)

    def paid_by(self, side: Side) -> bool:
        """Whether this side of a trade pays."""
        return self.side is RateSide.BOTH or self.side == side.value.lower()

    def of_order(self, value: int) -> Fraction:
        """Brokerage of one executed order worth `value`, both in paise, not rounded."""
        if self.base is RateBase.ORDER:
            return self.factor
        share = value * self.factor
        return share if self.cap is None else min(share, Fraction(self.cap) * PAISE_PER_RUPEE)

    def covers(self, day: date) -> bool:
        """Whether it holds for trades of this day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)

    def fits(self, traded: Traded) -> bool:
        """Whether it is about such a trade, on whatever day."""
        return (
            (self.exchange is None or self.exchange is traded.exchange)
            and (self.market is None or self.market is traded.market)
            and (self.basis is None or self.basis is traded.basis)
            and (not self.plan or self.plan == traded.plan)
            and (not self.kinds or traded.kind in self.kinds)
            and (not self.groups or traded.group in self.groups)
            and (not self.products or traded.product in self.products)
        )

    def meets(self, other: RateRow) -> bool:
        """Whether some trade has both."""
        return (
            self.charge is other.charge
            and self.plan == other.plan
            and all(
                mine is None or theirs is None or mine is theirs
                for mine, theirs in (
                    (self.exchange, other.exchange),
                    (self.market, other.market),
                    (self.basis, other.basis),
                )
            )
            and _overlap(self.kinds, other.kinds)
            and _overlap(self.groups, other.groups)
            and _overlap(self.products, other.products)
            and self.valid_from <= (other.valid_to or date.max)
            and other.valid_from <= (self.valid_to or date.max)
        )


def _either(names: tuple[StrEnum, ...]) -> str:
    return " or ".join(names)


def _overlap(mine: frozenset[Any], theirs: frozenset[Any]) -> bool:
    return not mine or not theirs or bool(mine & theirs)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: Annotated[tuple[RateRow, ...], Field(min_length=1, max_length=500)]


@dataclass(frozen=True)
class Rates:
    """Rows, no two of which hold for one trade; a plan's own row goes before a common one.

    Raises:
        Misconfigured: two rows of one plan hold for the same trade.
    """

    rows: tuple[RateRow, ...]

    def __post_init__(self) -> None:
        for (first, one), (second, other) in combinations(enumerate(self.rows), 2):
            if one.meets(other):
                raise Misconfigured(
                    f"rate.{first} and rate.{second} hold for the same {one.charge} on the same day"
                )

    def with_rows(self, rows: Iterable[RateRow]) -> Rates:
        """These rows and others, such as another broker's plan."""
        return Rates((*self.rows, *rows))

    def find(self, charge: Charge, day: date, traded: Traded) -> RateRow:
        """The row that holds for such a trade of `day` (India).

        Raises:
            NoRate: naming charge, trade and day, and from when on there is one.
        """
        rows = [row for row in self._by_charge[charge] if row.fits(traded)]
        found = [row for row in rows if row.covers(day)]
        if not found:
            raise NoRate(
                f"no rate for {charge} ({traded}) on {day}: {self._why(charge, traded, rows)}"
            )
        return max(found, key=lambda row: row.plan)  # a plan's own before the common one

    def _why(self, charge: Charge, traded: Traded, rows: list[RateRow]) -> str:
        if rows:
            days = ", ".join(f"{row.valid_from} to {row.valid_to or 'now'}" for row in rows)
            return f"rates are known for {days}; read the broker's note, or add a row"
        groups = [row.groups for row in self._but_group(charge, traded)]
        if any(groups):
            known = ", ".join(sorted(frozenset[str]().union(*groups)))
            return f"it depends on the security's group, which must be one of {known}"
        return f"add a row to {SHIPPED}"

    def _but_group(self, charge: Charge, traded: Traded) -> list[RateRow]:
        return [
            row
            for row in self._by_charge[charge]
            if row.model_copy(update={"groups": frozenset()}).fits(traded)
        ]

    @cached_property
    def _by_charge(self) -> dict[Charge, tuple[RateRow, ...]]:
        return {
            charge: tuple(row for row in self.rows if row.charge is charge) for charge in Charge
        }


def parse(text: str, source: str) -> Rates:
    """Read rows from TOML. `source` is what errors call it.

    Raises:
        Misconfigured: naming the first field at fault.
    """
    if len(text) > MAX_TEXT:
        raise Misconfigured(f"{source} has {len(text)} characters, more than {MAX_TEXT}")
    try:
        rows = _File.model_validate(tomllib.loads(text)).rate
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{source} is not TOML: {error}") from None
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        field = ".".join(map(str, first["loc"]))
        if first["type"] == "value_error" and isinstance(first["input"], dict):
            # about several fields, which it names
            raise Misconfigured(f"{source}: {f'{field}.' if field else ''}{said}") from None
        raise Misconfigured(f"{source}: {field}: {said} (got {first['input']!r:.80})") from None
    try:
        return Rates(rows)
    except Misconfigured as error:
        raise Misconfigured(f"{source}: {error}") from None


@cache
def shipped_rates() -> Rates:
    """The rows that ship with ATS: NSE and BSE, and Dhan's plan."""
    return parse(resources.files("executors.charges").joinpath(SHIPPED).read_text("utf-8"), SHIPPED)
