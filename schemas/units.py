"""Units that must not be mixed: money, quantities, time, proportions.

Each is an `int` with a name. Arithmetic gives a plain `int`; wrap the result again where it crosses
a boundary. Money is integer paise everywhere inside ATS: no float takes part in a money decision.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from typing import Any, ClassVar, Final, Self
from zoneinfo import ZoneInfo

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

IST = ZoneInfo("Asia/Kolkata")
NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
PAISE_PER_RUPEE = 100
# never rounds, never grows huge
_EXACT: Final = Context(prec=28, Emax=27, traps=[InvalidOperation, Overflow, Inexact])


class _Unit(int):
    """An integer with a unit.

    Pydantic reads and writes it as a bare integer, never from a float or a string.
    """

    minimum: ClassVar[int | None] = None
    unit: ClassVar[str] = ""  # in words, for the JSON Schemas

    def __repr__(self) -> str:
        return f"{type(self).__name__}({int(self)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.int_schema(strict=True, ge=cls.minimum)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(core) | {"description": cls.unit}


class Paise(_Unit):
    """An amount of Indian money: 100 paise are one rupee. May be negative (a loss)."""

    unit = "paise; 100 are one rupee"

    @classmethod
    def from_rupees(cls, rupees: str | Decimal | int) -> Self:
        """Read an exact rupee amount such as `"1658.55"`.

        Raises:
            ValueError: not a number, finer than a paisa, or of more than 28 digits. Floats are
                refused by the type; quote them first.
        """
        try:
            paise = _EXACT.multiply(Decimal(rupees), PAISE_PER_RUPEE)
        except ArithmeticError:
            raise ValueError(f"not an amount in rupees: {_quoted(rupees)}") from None
        if not paise.is_finite() or paise != paise.to_integral_value():
            raise ValueError(f"not a whole number of paise: {_quoted(rupees)}")
        return cls(int(paise))

    def rupees(self) -> Decimal:
        """The same amount in rupees, exact to the paisa."""
        return Decimal(int(self)) / PAISE_PER_RUPEE

    def __str__(self) -> str:
        return f"₹{self.rupees():,.2f}"


def _quoted(rupees: object) -> str:
    text = repr(rupees)
    return text if len(text) <= 60 else f"{text[:60]}…"


class Price(Paise):
    """A price per unit in paise, above zero."""

    minimum = 1
    unit = "paise per unit traded; 100 are one rupee"


class Quantity(_Unit):
    """A number of shares or contract units (not lots), never negative."""

    minimum = 0
    unit = "shares or contract units, not lots"


class BasisPoints(_Unit):
    """A proportion in hundredths of a percent: 10,000 are the whole."""

    unit = "hundredths of a percent"


class UtcNs(_Unit):
    """A moment or a span in nanoseconds; as a moment, since 1970-01-01T00:00:00 UTC."""

    unit = "nanoseconds since 1970-01-01T00:00:00 UTC"

    @classmethod
    def seconds(cls, seconds: int) -> Self:
        """A span of so many seconds."""
        return cls(seconds * NS_PER_SECOND)

    @classmethod
    def minutes(cls, minutes: int) -> Self:
        """A span of so many minutes."""
        return cls.seconds(minutes * 60)

    @classmethod
    def from_datetime(cls, moment: datetime) -> Self:
        """Convert exactly (no float in between).

        Raises:
            ValueError: `moment` has no time zone.
        """
        if moment.tzinfo is None:
            raise ValueError(f"a moment needs a time zone: {moment.isoformat()}")
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return cls(
            (since.days * 86_400 + since.seconds) * NS_PER_SECOND + since.microseconds * 1_000
        )

    def ist(self) -> datetime:
        """The same moment on Indian clocks, to the microsecond."""
        seconds, ns = divmod(int(self), NS_PER_SECOND)
        return datetime.fromtimestamp(seconds, tz=IST).replace(microsecond=ns // 1_000)
