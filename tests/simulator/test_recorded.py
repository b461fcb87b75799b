"""Recorded answers of the real Dhan: our client reads them, and the simulator answers the same
requests alike.

Alike means the same status, the same keys and the same types, except for what `ALLOWED` lists with
its reason.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

import pytest
from yarl import URL

from dhan.history import read_bars, read_daily
from dhan.orders import classify_lookup
from dhan.outcomes import TokenRefused, Unknown
from dhan.transport import Reply, parse_json, trading_error
from schemas.ids import CorrelationId
from simulator.config import ErrorShape, Quirks, SimulatedUser
from simulator.server import Simulator
from tests.simulator.factories import USER, call, running

pytestmark = pytest.mark.market_data

POOR: Final = SimulatedUser(USER.client_id, USER.token, data_plan=False)
HISTORY: Final = 1_400  # sessions before 23 November 2026: reaches the requests of January 2022

# What is left out of the comparison: (recording, path in the body, why).
ALLOWED: Final = (
    ("*", "data.oc.*.*.average_price", "a field of 2026; the recordings are of 2025"),
    ("*", "data.oc.*.*.security_id", "a field of 2026; the recordings are of 2025"),
)
# Recordings that the simulator does not answer at all.
NOT_ANSWERED: Final = {
    "base_model_error_handling_0.json": "a path without /v2, which Dhan's own server answers with "
    "an inner error",
    "base_model_integration_test_0.json": "the same",
}
# What must be the case so that the simulator says the same; the recordings do not show why Dhan
# said it.
SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "base_api_charts_historical_1.json": {"charts_refuse_as_906": True, "users": ()},
    "client_error_806_0.json": {"data_errors": ErrorShape.BARE, "users": (POOR,)},
    "client_error_dh_901_0.json": {"users": ()},
    "client_error_dh_904_0.json": {"quote_rate_limit": 0},
    # to an id that is none, in 2025; to an unknown one an empty list was measured in 2026
    "client_error_dh_905_0.json": {"quirks": Quirks(by_id_as_array=False)},
}

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data" / "dhan_json"
MANIFEST: Final = json.loads((DATA / "MANIFEST.json").read_bytes()) if DATA.is_dir() else []
REASON: Final = "no recorded answers: expected a folder shared/data/dhan_json beside the repository"
CHARTS: Final = [
    entry for entry in MANIFEST if "/charts/" in entry["uri"] and entry["status"] == 200
]
ERRORS: Final = [entry for entry in MANIFEST if entry["status"] != 200]


def named(entries: list[Any]) -> Any:
    """Parameters with the file's name; one that skips where the data is absent."""
    if not MANIFEST:
        return [pytest.param(None, marks=pytest.mark.skip(reason=REASON))]
    return [pytest.param(entry, id=entry["file"].removesuffix(".json")) for entry in entries]


def body_of(entry: Any) -> Any:
    return json.loads((DATA / entry["file"]).read_bytes())


@pytest.mark.parametrize("entry", named(CHARTS))
def test_our_client_reads_every_recorded_chart(entry: Any) -> None:
    body = parse_json((DATA / entry["file"]).read_bytes())

    bars = read_daily(body) if entry["uri"].endswith("historical") else read_bars(body)

    assert len(bars) == len(body["open"])
    assert all(
        bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars
    )


@pytest.mark.parametrize("entry", named(ERRORS))
def test_our_client_finds_code_and_message_of_every_recorded_error_or_knows_that_there_is_none(
    entry: Any,
) -> None:
    body = parse_json((DATA / entry["file"]).read_bytes())

    code, message = trading_error(body)
    looked_up = classify_lookup(Reply(entry["status"], body), CorrelationId("AT1"))

    assert (code, message) == (str(body.get("errorCode", "")), body.get("errorMessage", ""))
    assert isinstance(looked_up, TokenRefused if entry["status"] == 401 else Unknown)


@pytest.mark.parametrize(
    "entry", named([one for one in MANIFEST if one["file"] not in NOT_ANSWERED])
)
async def test_the_simulator_answers_the_same_request_with_the_same_keys_and_types(
    entry: Any,
) -> None:
    settings: dict[str, Any] = {
        "users": (USER,),
        "options": ("NIFTY",),
        "history_sessions": HISTORY,
        "quote_rate_limit": None,
    }
    async with running(shares=20, **settings | dict(SETTINGS.get(entry["file"], {}))) as simulator:
        await simulator.exchange.step(900)
        body = fitted(simulator, entry)
        path = str(URL(entry["uri"].replace("<id>", "1")).path)
        status, answer = await call(
            simulator,
            entry["method"].upper(),
            path,
            json=body,
            headers={"client-id": USER.client_id},
        )

    recorded = body_of(entry)
    assert status == entry["status"]
    assert dict(differences(entry["file"], types_of(recorded), types_of(answer))) == {}


def fitted(simulator: Simulator, entry: Any) -> Any:
    """The recorded request, with a contract and an expiry that exist in this market in the place of
    bygone ones.
    """
    if (
        not entry["request_body"] or entry["file"] == "client_large_payload_0.json"
    ):  # its request is cut in the manifest
        return {"NSE_FNO": list(range(1, 1_000))} if entry["request_body"] else None
    body = json.loads(entry["request_body"].replace("<DHAN_CLIENT_ID>", USER.client_id))
    contracts = [listing for listing in simulator.market.listings if listing.contract]
    if '"NSE_FNO":{"49081"' in (DATA / entry["file"]).read_text():
        body["NSE_FNO"] = [contracts[0].id.security_id]
    if body.get("NSE_EQ") == [13247]:
        body["NSE_EQ"] = [2885]
    if entry["file"] == "models_market_feed_1.json":
        body["NSE_EQ"] = [1]  # Dhan knew nothing of 1333 on that Saturday
    if entry["file"] == "models_market_feed_0.json":
        body["NSE_EQ"] = [1, 2]
    if "Expiry" in body:
        assert contracts[0].contract is not None
        body["Expiry"] = contracts[0].contract.expiry.isoformat()
    return body


def types_of(value: Any) -> dict[str, set[str]]:
    """Types by path. Keys that are numbers and places in a list are `*`; a zero says nothing about
    int or float.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path, one in leaves(value, ""):
        found[path] |= (
            {"int", "float"}
            if one == 0 and not isinstance(one, bool | str)
            else {type(one).__name__}
        )
    return dict(found)


def leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        names = ((re.sub(r"^[\d.]+$|^(ce|pe)$", "*", name), one) for name, one in value.items())
        yield from chain.from_iterable(
            leaves(one, f"{path}.{name}".lstrip(".")) for name, one in names
        )
    elif isinstance(value, list) and value:
        yield from chain.from_iterable(leaves(one, f"{path}.*") for one in value)
    else:
        yield path, value


def differences(
    file: str, recorded: Mapping[str, set[str]], answered: Mapping[str, set[str]]
) -> Iterator[tuple[str, str]]:
    allowed = {path for name, path, _ in ALLOWED if name in ("*", file)}
    for path in sorted(recorded.keys() | answered.keys()):
        if path in allowed:
            continue
        there, here = recorded.get(path, set()), answered.get(path, set())
        if not there & here or not here - {"int", "float"} <= there - {"int", "float"}:
            yield path, f"recorded {sorted(there)}, simulated {sorted(here)}"


@pytest.mark.skipif(not MANIFEST, reason=REASON)
def test_the_comparison_sees_a_missing_key_an_extra_key_and_another_type() -> None:
    recorded = types_of({"a": [1.5], "b": {"7": {"c": "x"}}, "d": None})

    assert (
        dict(differences("x", recorded, types_of({"a": [2.5], "b": {"9": {"c": "y"}}, "d": None})))
        == {}
    )
    assert dict(
        differences("x", recorded, types_of({"a": [2], "b": {}, "d": 1, "e": 0}))
    ).keys() == {
        "a.*",
        "b",
        "b.*.c",
        "d",
        "e",
    }


@pytest.mark.skipif(not MANIFEST, reason=REASON)
def test_every_recording_is_compared_or_listed() -> None:
    files = {path.name for path in DATA.glob("*.json")} - {"MANIFEST.json"}

    assert {entry["file"] for entry in MANIFEST} == files
    assert set(NOT_ANSWERED) | set(SETTINGS) <= files
