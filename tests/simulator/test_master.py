from __future__ import annotations

import asyncio
import io
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from dhanhq import Security

from dhan.instruments import parse
from schemas.ids import Segment
from tests.simulator.factories import RELIANCE, as_listed, call, running

DETAILED = "/instruments/api-scrip-master-detailed.csv"


async def test_our_reader_finds_every_instrument_of_the_market_in_the_detailed_file() -> None:
    async with running(shares=30, options=("NIFTY", "RELIANCE")) as simulator:
        _, text = await call(simulator, "GET", DETAILED)
        listed = as_listed(simulator.market)

    read = parse(text, frozenset(Segment))
    assert read.bad == ()
    assert dict(read.by_id) == listed


async def test_the_sdk_reads_both_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with running(shares=5, options=("NIFTY",)) as simulator:
        monkeypatch.setattr(
            Security, "COMPACT_CSV_URL", f"{simulator.url}/instruments/api-scrip-master.csv"
        )
        monkeypatch.setattr(Security, "DETAILED_CSV_URL", simulator.url + DETAILED)
        compact, detailed = [
            await asyncio.to_thread(
                Security.fetch_security_list, mode, str(tmp_path / f"{mode}.csv")
            )
            for mode in ("compact", "detailed")
        ]
        count = len(simulator.market.listings)

    assert len(compact) == len(detailed) == count
    assert compact["SEM_SMST_SECURITY_ID"].tolist() == detailed["SECURITY_ID"].tolist()
    assert set(compact["SEM_TICK_SIZE"]) == {5.0}  # paise
    options = detailed[detailed["INSTRUMENT"] == "OPTIDX"]
    assert set(options["OPTION_TYPE"]) == {"CE", "PE"}
    assert set(options["UNDERLYING_SYMBOL"]) == {"NIFTY"}
    assert set(options["EXPIRY_FLAG"]) == {"W", "M"}


async def test_one_segments_list_is_a_redirect_to_its_file() -> None:
    async with running(shares=5, options=("NIFTY",)) as simulator:
        status, _ = await call(simulator, "GET", "/v2/instrument/NSE_EQ")
        _, shares = await call(simulator, "GET", "/instruments/segment/NSE_EQ.csv")
        unknown, _ = await call(simulator, "GET", "/instruments/segment/NYSE.csv")

    assert (status, unknown) == (302, 400)
    assert set(pd.read_csv(io.StringIO(shares))["SEGMENT"]) == {"E"}


async def test_the_master_has_the_limits_that_order_entry_enforces() -> None:
    async with running(options=("NIFTY",)) as simulator:
        _, text = await call(simulator, "GET", DETAILED)
        book = simulator.exchange.book
        share = book.circuits(RELIANCE)

    rows = pd.read_csv(io.StringIO(text)).set_index("SECURITY_ID")
    assert share is not None
    row = rows.loc[RELIANCE.security_id]
    assert (row["SM_UPPER_LIMIT"], row["SM_LOWER_LIMIT"]) == (share.upper / 100, share.lower / 100)
    options = rows[rows["INSTRUMENT"] == "OPTIDX"]
    assert (row["SM_FREEZE_QTY"], set(options["SM_FREEZE_QTY"])) == (100_000, {1_800})
    assert set(options["LOT_SIZE"]) == {65}
    strikes = sorted(set(options["STRIKE_PRICE"]))
    assert {high - low for low, high in pairwise(strikes)} == {50.0}
