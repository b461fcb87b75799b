"""Cases of the user's own limits, each with where it comes from; that each check of the gate is
needed by one; and that each is judged from its record as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
import pytest

from executors.risk import gate
from executors.risk.exposure import Exposure, Filled, Ordered, Reach, day_result, exposure_to, reach
from executors.risk.gate import CHECKS, Denial, PreTradeContext, Quote, cut_to_close, judge
from executors.risk.listed import Listed
from executors.risk.recorded import context_of, record_of
from schemas.evidence import SeenContext
from schemas.ids import InstrumentId, Segment
from schemas.market import PriceBand, Side
from schemas.messages import OrderIntent
from schemas.units import Paise, Price, Quantity
from tests.executors.factories import LIMITS, RELIANCE, TEN_O_CLOCK, an_intent, the_situation_for
from tests.executors.test_gate import CHANGES

# of `docs/facts/market-rules.md`
SOP: Final = (
    "exchanges' procedure of July 2025: checks of price, quantity, value, position, exposure"
)
SHORT: Final = "an intraday short that is not bought back goes to auction; rules not looked up"
AGAINST: Final = "issue 14: no entry against an open position unless it reduces it"
OURS: Final = "issue 14: per-user limits"

BUY, SELL = Side.BUY, Side.SELL


@dataclass(frozen=True)
class Case:
    """An order of units at 1,000 rupees, and what the gate says of it."""

    says: Denial | None
    source: str
    side: Side = BUY
    units: int = 10
    limits: dict[str, Any] = field(default_factory=dict)
    situation: dict[str, Any] = field(default_factory=dict)

    @property
    def intent(self) -> OrderIntent:
        price = Price(100_000)
        return an_intent(
            side=self.side,
            quantity=Quantity(self.units),
            price=price,
            reference_price=price,
            stop=Price(98_800 if self.side is BUY else 101_200),
        )

    @property
    def context(self) -> PreTradeContext:
        limits = replace(LIMITS, **self.limits)
        return the_situation_for(self.intent, limits=limits, **self.situation)


BANDS: Final = "market-rules.md, price bands: orders outside of the band are refused"
FREEZE: Final = "market-rules.md, freeze quantity: a larger order is rejected as a whole"
BAND = PriceBand(Price(90_000), Price(110_000))  # 10 % around 1,000 rupees


def listed(**said: Any) -> dict[str, Any]:
    return {"listed": Listed(**said)}


LONG_10 = {"position": 10, "exposure": Exposure(Reach(10, 10))}
SHORT_10 = {"position": -10, "exposure": Exposure(Reach(-10, -10))}
CASES: dict[str, Case] = {
    "limits unknown: an entry": Case(Denial.LIMITS_UNKNOWN, OURS, limits={"known": False}),
    "limits unknown: an exit": Case(None, OURS, SELL, limits={"known": False}, situation=LONG_10),
    "segment allowed": Case(None, SOP, limits={"segments": frozenset({Segment.NSE_EQ})}),
    "segment not allowed": Case(
        Denial.SEGMENT_NOT_ALLOWED, SOP, limits={"segments": frozenset({Segment.NSE_FNO})}
    ),
    "no segment allowed: an exit": Case(
        None, SOP, SELL, limits={"segments": frozenset()}, situation=LONG_10
    ),
    "product allowed": Case(None, SOP, limits={"products": frozenset({"INTRADAY", "CNC"})}),
    "product not allowed": Case(
        Denial.PRODUCT_NOT_ALLOWED, SOP, limits={"products": frozenset({"CNC"})}
    ),
    "no product allowed: an exit": Case(
        None, SOP, SELL, limits={"products": frozenset()}, situation=LONG_10
    ),
    "long only: a sale of nothing": Case(Denial.LONG_ONLY, SHORT, SELL, limits={"long_only": True}),
    "long only: a sale of more than is held": Case(
        Denial.LONG_ONLY, SHORT, SELL, 11, limits={"long_only": True}, situation=LONG_10
    ),
    "long only: a sale of what a stop has sold": Case(
        Denial.LONG_ONLY, SHORT, SELL, 10, {"long_only": True}, LONG_10 | {"filled": 0}
    ),
    "long only: a sale of what is held": Case(
        None, SHORT, SELL, limits={"long_only": True}, situation=LONG_10
    ),
    "long only: a buy": Case(None, SHORT, limits={"long_only": True}),
    "long only: a short is bought back": Case(
        None, SHORT, limits={"long_only": True}, situation=SHORT_10
    ),
    "both sides: a short": Case(None, SHORT, SELL),
    "against a position: more is sold than is held": Case(
        Denial.AGAINST_POSITION, AGAINST, SELL, 11, situation=LONG_10
    ),
    "against a position: more is bought than was sold": Case(
        Denial.AGAINST_POSITION, AGAINST, BUY, 11, situation=SHORT_10
    ),
    "against a position: what is held by fills and not by orders": Case(
        Denial.AGAINST_POSITION, AGAINST, SELL, 5, situation={"filled": 5}
    ),
    "against a position that a stop has closed": Case(
        None, AGAINST, SELL, 5, situation=LONG_10 | {"filled": 0}
    ),
    "with a position: more of it": Case(None, AGAINST, BUY, situation=LONG_10),
    "against a position: all that is held": Case(None, AGAINST, SELL, situation=LONG_10),
    "stopped: an exit": Case(Denial.STOPPED, OURS, SELL, situation=LONG_10 | {"stopped": True}),
    "halted: an exit": Case(None, OURS, SELL, situation=LONG_10 | {"halted": True}),
    "halted: an entry": Case(Denial.HALTED, OURS, situation={"halted": True}),
    "as many positions as allowed": Case(
        None, SOP, limits={"max_open_positions": 3}, situation={"exposure": Exposure(positions=2)}
    ),
    "one position too many": Case(
        Denial.TOO_MANY_POSITIONS,
        SOP,
        limits={"max_open_positions": 3},
        situation={"exposure": Exposure(positions=3)},
    ),
    "more of one that is held is no position more": Case(
        None,
        SOP,
        limits={"max_open_positions": 3},
        situation={"exposure": Exposure(Reach(5, 5), positions=2)},
    ),
    "too many positions: an exit": Case(
        None, SOP, SELL, limits={"max_open_positions": 0}, situation=LONG_10
    ),
    "symbol exposure to the rupee": Case(
        None,
        SOP,
        limits={"max_symbol_exposure": Paise(2_000_000)},
        situation={"exposure": Exposure(Reach(10, 10))},
    ),
    "symbol exposure a paisa beyond": Case(
        Denial.SYMBOL_EXPOSURE_TOO_LARGE,
        SOP,
        limits={"max_symbol_exposure": Paise(1_999_999)},
        situation={"exposure": Exposure(Reach(10, 10))},
    ),
    "symbol exposure counts what may still fill": Case(
        Denial.SYMBOL_EXPOSURE_TOO_LARGE,
        SOP,
        limits={"max_symbol_exposure": Paise(1_999_999)},
        situation={"exposure": Exposure(Reach(10, 0))},
    ),
    "symbol exposure of a short": Case(
        Denial.SYMBOL_EXPOSURE_TOO_LARGE,
        SOP,
        SELL,
        limits={"max_symbol_exposure": Paise(1_999_999)},
        situation=SHORT_10,
    ),
    "exposure together to the rupee": Case(
        None,
        SOP,
        limits={"max_exposure": Paise(3_000_000)},
        situation={"exposure": Exposure(Reach(10, 10), Paise(1_000_000), 1)},
    ),
    "exposure together a paisa beyond": Case(
        Denial.EXPOSURE_TOO_LARGE,
        SOP,
        limits={"max_exposure": Paise(2_999_999)},
        situation={"exposure": Exposure(Reach(10, 10), Paise(1_000_000), 1)},
    ),
    "exposure passed: an exit": Case(
        None,
        SOP,
        SELL,
        limits={"max_exposure": Paise(0), "max_symbol_exposure": Paise(0)},
        situation=LONG_10,
    ),
    "a loss below the limit": Case(
        None, OURS, limits={"max_daily_loss": Paise(50_000)}, situation={"day_result": -49_999}
    ),
    "a loss at the limit": Case(
        Denial.DAILY_LOSS_REACHED,
        OURS,
        limits={"max_daily_loss": Paise(50_000)},
        situation={"day_result": -50_000},
    ),
    "a loss at the limit: an exit": Case(
        None, OURS, SELL, 10, {"max_daily_loss": Paise(1)}, LONG_10 | {"day_result": -50_000}
    ),
    "no band told of a share that has one": Case(
        Denial.PRICE_BAND_UNKNOWN, BANDS, situation=listed(band_needed=True)
    ),
    "no band told: an exit": Case(None, BANDS, SELL, situation=LONG_10 | listed(band_needed=True)),
    "no band told of a share without a fixed one": Case(None, BANDS, situation=listed()),
    "within the band": Case(None, BANDS, situation=listed(band=BAND, band_needed=True)),
    "the last trade at the upper circuit: a buy": Case(
        Denial.LOCKED_AT_CIRCUIT,
        BANDS,
        situation=listed(band=PriceBand(Price(90_000), Price(100_000))),
    ),
    "the last trade at the upper circuit: a short": Case(
        Denial.LOCKED_AT_CIRCUIT,
        BANDS,
        SELL,
        situation=listed(band=PriceBand(Price(90_000), Price(100_000))),
    ),
    "the last trade at the lower circuit: a buy": Case(
        Denial.LOCKED_AT_CIRCUIT,
        BANDS,
        situation=listed(band=PriceBand(Price(100_000), Price(110_000))),
    ),
    "the last trade at the lower circuit: an exit": Case(
        None,
        BANDS,
        SELL,
        situation=LONG_10 | listed(band=PriceBand(Price(100_000), Price(110_000))),
    ),
    "the last trade a paisa from the circuit": Case(
        None, BANDS, situation=listed(band=PriceBand(Price(98_800), Price(100_001)))
    ),
    "a limit at the end of the band": Case(
        None,
        BANDS,
        situation=listed(band=PriceBand(Price(90_000), Price(100_000)))
        | {"quote": Quote(Price(99_900), TEN_O_CLOCK)},
    ),
    "a limit a paisa beyond the band": Case(
        Denial.PRICE_OUTSIDE_BAND,
        BANDS,
        situation=listed(band=PriceBand(Price(90_000), Price(99_999)))
        | {"quote": Quote(Price(99_900), TEN_O_CLOCK)},
    ),
    "an exit beyond the morning's band": Case(
        None,
        BANDS,
        SELL,
        situation=LONG_10 | listed(band=PriceBand(Price(100_001), Price(120_000))),
    ),
    "a stop at the end of the band": Case(
        None, BANDS, situation=listed(band=PriceBand(Price(98_800), Price(110_000)))
    ),
    "a stop a paisa beyond the band": Case(
        Denial.STOP_OUTSIDE_BAND,
        BANDS,
        situation=listed(band=PriceBand(Price(98_801), Price(110_000))),
    ),
    "a unit less than the freeze quantity": Case(
        None, FREEZE, situation=listed(freeze_quantity=Quantity(11))
    ),
    "the freeze quantity": Case(
        Denial.QUANTITY_ABOVE_FREEZE, FREEZE, situation=listed(freeze_quantity=Quantity(10))
    ),
    "the freeze quantity: an exit": Case(
        None, FREEZE, SELL, situation=LONG_10 | listed(freeze_quantity=Quantity(10))
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_gate_says(case: Case) -> None:
    assert case.source
    assert judge(case.intent, case.context) is case.says


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_judged_from_its_record_as_it_was(case: Case) -> None:
    written = orjson.dumps(record_of(case.context, RELIANCE.id).model_dump(mode="json"))

    seen = SeenContext.model_validate_json(written)

    assert judge(case.intent, context_of(seen, RELIANCE.id)) is case.says


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_no_check_can_be_taken_away_unnoticed(
    check: gate.Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "CHECKS", tuple(each for each in CHECKS if each is not check))
    intent = an_intent()

    noticed = [
        denial
        for change, denial in CHANGES
        if judge(intent, change(intent, the_situation_for(intent))) is not denial
    ]
    noticed_too = [case for case in CASES.values() if judge(case.intent, case.context) != case.says]

    assert noticed or noticed_too


def test_an_order_that_would_sell_short_is_cut_to_what_is_held() -> None:
    case = replace(CASES["long only: a sale of more than is held"], units=25)

    cut = cut_to_close(case.intent, case.context)

    assert cut.quantity == 10
    assert judge(cut, case.context) is None


@pytest.mark.parametrize(
    ("ordered", "filled", "reached"),
    [
        (Ordered(10, 0, 1), None, Reach(10, 10)),  # nobody told fills: orders stand for them
        (Ordered(10, 10, 1), None, Reach(0, 0)),
        (Ordered(10, 0, 1), Filled(4), Reach(10, 4)),  # six may still fill
        (Ordered(10, 0, 1), Filled(10, 0, 10), Reach(0, 0)),  # a stop has closed it
        (Ordered(0, 10, 1), Filled(0, 0, 3), Reach(-3, -10)),
        (Ordered(), Filled(5), Reach(5, 5)),  # bought elsewhere, such as on the phone
        (Ordered(10, 10, 1), Filled(10, 0, 4), Reach(6, 0)),
    ],
)
def test_a_position_reaches_as_far_as_open_orders_can_take_it(
    ordered: Ordered, filled: Filled | None, reached: Reach
) -> None:
    assert reach(ordered, filled) == reached


def test_exposure_elsewhere_is_of_what_is_open_at_its_last_price() -> None:
    here, there, flat, unquoted = (InstrumentId(Segment.NSE_EQ, n) for n in range(1, 5))
    ordered = {here: Ordered(10, 0, 5), there: Ordered(0, 7, 90), unquoted: Ordered(2, 0, 30)}
    filled = {flat: Filled(3, 300, 3, 330), there: Filled(0, 0, 7, 700)}

    exposure = exposure_to(here, ordered, filled, {there: 110, flat: 100})

    assert exposure == Exposure(Reach(10, 10), Paise(7 * 110 + 2 * 30), 2)


def test_the_days_result_is_of_closed_and_open_at_the_last_price() -> None:
    one, two, unquoted = (InstrumentId(Segment.NSE_EQ, n) for n in range(1, 4))
    filled = {
        one: Filled(10, 1_000, 10, 900),
        two: Filled(0, 0, 5, 500),
        unquoted: Filled(4, 400),
    }

    assert day_result(filled, {two: 110}) == -100 - 50 + 0
