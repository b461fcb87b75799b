"""The table of the gate: what each case says, that each check is needed by one, and that each is
judged from its record as it was.
"""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from executors.risk import gate
from executors.risk.denial import Denial
from executors.risk.exposure import Exposure, Filled, Ordered, Reach, day_result, exposure_to, reach
from executors.risk.gate import CHECKS, cut_to_fit, judge
from executors.risk.recorded import context_of, record_of
from schemas.evidence import SeenContext
from schemas.ids import InstrumentId, Segment
from schemas.units import Paise
from tests.executors.factories import RELIANCE
from tests.executors.gate_table import CASES, Case


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_gate_says(case: Case) -> None:
    assert case.source
    assert judge(case.intent, case.context) is case.says


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_judged_from_its_record_as_it_was(case: Case) -> None:
    written = orjson.dumps(record_of(case.context, RELIANCE.id))

    seen = SeenContext.model_validate_json(written)

    assert judge(case.intent, context_of(seen, RELIANCE.id)) is case.says


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_no_check_can_be_taken_away_unnoticed(
    check: gate.Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "CHECKS", tuple(each for each in CHECKS if each is not check))

    noticed = [
        name for name, case in CASES.items() if judge(case.intent, case.context) is not case.says
    ]

    assert noticed


def test_the_table_has_a_case_of_each_denial() -> None:
    assert {case.says for case in CASES.values()} == {None, *Denial} - {Denial.KILL_SWITCH}


def test_an_order_that_would_sell_short_is_cut_to_what_is_held() -> None:
    case = replace(CASES["long only: a sale of more than is held"], units=25)

    cut = cut_to_fit(case.intent, case.context)

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
