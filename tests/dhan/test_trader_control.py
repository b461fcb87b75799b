from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhan.outcomes import NoAccess, NotSent, Rejected, TokenRefused, Unknown
from dhan.trader_control import (
    Done,
    ExitProduct,
    KillSwitchState,
    PnlExit,
    PnlExitState,
    TraderControlClient,
    classify_kill_switch,
    classify_pnl_exit,
)
from dhan.transport import Lost, OrderUrl, Reply, Unparsed
from schemas.units import Paise
from tests.dhan.broker import (
    Answer,
    ScriptedDhan,
    hang_up,
    json_answer,
    text_answer,
    trading_error,
)
from tests.dhan.factories import credentials, received

ERROR = {"errorType": "Order_Error", "errorMessage": "no"}
BOTH = frozenset(ExitProduct)
WANTED = PnlExit(Paise(500_000), Paise(200_050), BOTH, kill_switch=True)
SHOWN = {
    "pnlExitStatus": "ACTIVE",
    "profit": "5000.00",
    "loss": "2000.50",
    "productType": ["INTRADAY", "DELIVERY"],
    "enable_kill_switch": True,
}


def client(http: httpx.AsyncClient, broker: ScriptedDhan) -> TraderControlClient:
    return TraderControlClient(http, OrderUrl.parse(broker.url), credentials())


async def test_a_pnl_exit_is_armed_in_rupees_for_its_products(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("POST", "/v2/pnlExit", json_answer({"pnlExitStatus": "ACTIVE", "message": "armed"}))

    assert await client(http, broker).set_pnl_exit(WANTED) == Done("armed")
    assert orjson.loads(broker.seen[0].body) == {
        "profitValue": 5000.0,
        "lossValue": 2000.5,
        "productType": ["DELIVERY", "INTRADAY"],
        "enableKillSwitch": True,
        "dhanClientId": "1100000001",
    }


@pytest.mark.parametrize(
    "wrong", [{"profit": Paise(0)}, {"loss": Paise(-5)}, {"products": frozenset()}]
)
def test_a_pnl_exit_that_would_act_at_once_or_never_cannot_be_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="P&L exit"):
        replace(WANTED, **wrong)


def test_a_pnl_exit_is_read_back_and_compared_with_what_was_asked_for() -> None:
    shown = classify_pnl_exit(Reply(200, SHOWN))

    assert shown == PnlExitState(
        True, Decimal(5000), Decimal("2000.50"), frozenset({"INTRADAY", "DELIVERY"}), True
    )
    assert isinstance(shown, PnlExitState)
    assert shown.is_set_as(WANTED)


@pytest.mark.parametrize(
    "other",
    [
        {"pnlExitStatus": "INACTIVE"},
        {"profit": "5000.01"},
        {"loss": "0.00"},
        {"productType": ["INTRADAY"]},
        {"productType": None},
        {"enable_kill_switch": False},
        {"enable_kill_switch": None},
    ],
)
def test_an_exit_that_differs_in_anything_is_not_the_one_asked_for(other: dict[str, Any]) -> None:
    shown = classify_pnl_exit(Reply(200, received(SHOWN | other)))

    assert isinstance(shown, PnlExitState)
    assert not shown.is_set_as(WANTED)


def test_a_loss_with_a_sign_and_the_documents_spelling_are_the_same() -> None:
    told = SHOWN | {"loss": -2000.5, "enableKillSwitch": "true"}
    del told["enable_kill_switch"]

    shown = classify_pnl_exit(Reply(200, received([told])))

    assert isinstance(shown, PnlExitState)
    assert shown.is_set_as(WANTED)


async def test_disarming_an_exit_is_done_or_refused_in_words(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    ours = client(http, broker)
    broker.on("DELETE", "/v2/pnlExit", json_answer({"pnlExitStatus": "DISABLED", "message": "off"}))
    done = await ours.delete_pnl_exit()
    broker.on("DELETE", "/v2/pnlExit", trading_error("DH-907", "none is active"))
    refused = await ours.delete_pnl_exit()

    assert done == Done("off")
    assert refused == Rejected("DH-907", "none is active")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Kill Switch has been successfully activated", Done),
        ("ACTIVATE", Done),
        ("Kill Switch has been successfully deactivated", Unknown),
        ("Kill Switch was not activated", Unknown),
        ("", Unknown),
    ],
)
async def test_the_kill_switch_is_on_only_when_dhan_says_that(
    http: httpx.AsyncClient, broker: ScriptedDhan, said: str, expected: type
) -> None:
    broker.on("POST", "/v2/killswitch", json_answer({"killSwitchStatus": said}))

    assert type(await client(http, broker).activate_kill_switch()) is expected
    assert broker.seen[0].path == "/v2/killswitch?killSwitchStatus=ACTIVATE"
    assert broker.seen[0].body == b""


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ACTIVATE", KillSwitchState(True)),
        ("activated", KillSwitchState(True)),
        ("DEACTIVATE", KillSwitchState(False)),
        ("INACTIVE", KillSwitchState(False)),
        ("MAYBE", Unknown("http_200_unreadable")),
        (["ACTIVATE"], Unknown("http_200_unreadable")),
        (None, Unknown("http_200_unreadable")),
    ],
)
def test_an_unclear_state_of_the_kill_switch_is_unknown(status: Any, expected: Any) -> None:
    assert classify_kill_switch(Reply(200, {"killSwitchStatus": status})) == expected


async def test_everything_is_exited_by_one_call(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("DELETE", "/v2/positions", json_answer({"status": "SUCCESS", "message": "exited"}))

    assert await client(http, broker).exit_all() == Done("exited")
    assert [(seen.method, seen.path) for seen in broker.seen] == [("DELETE", "/v2/positions")]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (text_answer("", 202), Done("")),
        (text_answer("", 200), Unknown("http_200_unreadable")),
        (json_answer({"status": "FAILED", "message": "no"}), Unknown("http_200_unreadable")),
        (json_answer([]), Unknown("http_200_unreadable")),
        (trading_error("DH-906"), Rejected("DH-906", "no")),
        (trading_error("DH-901", status=401), Rejected("DH-901", "no", token_refused=True)),
        (trading_error("DH-904", status=429), NotSent("DH-904", "no")),
        (trading_error("DH-908"), Unknown("http_400_DH-908")),
        (text_answer("<html>", 502), Unknown("http_502_not_json")),
    ],
)
async def test_a_control_worked_only_when_dhan_says_so(
    http: httpx.AsyncClient, broker: ScriptedDhan, answer: Answer, expected: Any
) -> None:
    for method, path in (("DELETE", "/v2/positions"), ("POST", "/v2/pnlExit")):
        broker.on(method, path, answer)
    ours = client(http, broker)

    assert await ours.exit_all() == expected
    assert await ours.set_pnl_exit(WANTED) == expected


async def test_a_control_whose_reply_was_lost_is_unknown(
    http: httpx.AsyncClient, broker: ScriptedDhan
) -> None:
    broker.on("DELETE", "/v2/positions", hang_up)

    assert isinstance(await client(http, broker).exit_all(), Unknown)
    assert len(broker.seen) == 1


@pytest.mark.parametrize("classify", [classify_pnl_exit, classify_kill_switch])
@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (Reply(401, ERROR | {"errorCode": "DH-901"}), TokenRefused("http_401_DH-901")),
        (Reply(403, ERROR | {"errorCode": "DH-902"}), NoAccess("http_403_DH-902")),
        (Reply(200, None), Unknown("http_200_unreadable")),
        (Reply(502, Unparsed("<html>")), Unknown("http_502_not_json")),
        (Lost("deadline", may_have_arrived=True), Unknown("deadline")),
    ],
)
def test_what_shows_nothing_says_why(classify: Any, result: Any, expected: Any) -> None:
    assert classify(result) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(), st.lists, max_leaves=6
)


@given(st.dictionaries(st.sampled_from(sorted(SHOWN)), JSON))
def test_no_answer_whatever_raises(changes: dict[str, Any]) -> None:
    shown = classify_pnl_exit(Reply(200, SHOWN | changes))

    assert isinstance(shown, PnlExitState | Unknown)
