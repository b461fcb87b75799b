from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from schemas.ids import Segment
from simulator.market import ticks
from simulator.market.replay import Replay, replay_file
from simulator.market.ticks import read_lines
from tests.simulator.factories import call, running
from tests.simulator.test_replay import candles_of

FULL = "symbol,recv_time_ist,ltp,ltq,cum_volume,oi"
GOOD = "TCS,2025-11-17T12:07:57.022+05:30,3105.5,175,2000,52500"


def written(path: Path, header: str, *rows: str) -> Replay:
    path.write_text("\n".join([header, *rows, ""]))
    return replay_file(path, seed=1)


@pytest.mark.market_data
@pytest.mark.parametrize(
    ("name", "rows", "bad"), [("sorted", 4_398, 1), ("as_recorded", 4_484, 1_051)]
)
def test_recorded_futures_come_back_to_the_paisa_the_unit_and_the_open_interest(
    market_data: Path, name: str, rows: int, bad: int
) -> None:
    path = market_data / "ticks" / "nse_futures_20251117" / f"{name}.csv.gz"

    made = replay_file(path, seed=1)

    frame = pd.read_csv(path).drop([row.line - 2 for row in made.bad_rows])
    assert (len(frame), len(made.bad_rows)) == (rows, bad)
    for place, listing in enumerate(made.market.listings):
        own, played = (
            frame[frame["symbol"] == listing.instrument.symbol[:-4]],
            made.market.source.tape(place)[:-1],
        )
        assert listing.id.segment is Segment.NSE_FNO
        assert played["price"].tolist() == (own["ltp"] * 100).round().astype(int).tolist()
        assert played["volume"].tolist() == own["cum_volume"].tolist()
        assert played["open_interest"].tolist() == own["oi"].tolist()
        seconds = (
            pd.to_datetime(own["recv_time_ist"], format="ISO8601")
            .dt.tz_convert("UTC")
            .dt.floor("s")
        )
        assert played["second"].tolist() == [int(moment.timestamp()) for moment in seconds]


@pytest.mark.market_data
def test_a_recorded_index_day_plays_its_regular_phase_under_its_usual_name(
    market_data: Path,
) -> None:
    path = market_data / "ticks" / "nifty50_spot_1s" / "2022-11-21.csv.gz"

    made = replay_file(path, seed=1)

    frame = pd.read_csv(path)
    regular = frame[frame["phase"] == "regular"]
    assert [listing.instrument.symbol for listing in made.market.listings] == ["NIFTY"]
    assert (
        made.market.prints["price"][:-1].tolist()
        == (regular["price"] * 100).round().astype(int).tolist()[:-1]
    )
    # the row at 15:30:00 itself
    assert [bad.line for bad in made.bad_rows] == [int(regular.index[-1]) + 2]
    assert len(candles_of(made.market)) == 375


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 200_000), st.integers(0, 90_000)),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 10**6),
)
def test_any_rising_snapshots_play_as_they_were_written(
    steps: list[tuple[int, int, int]], before: int
) -> None:
    second, volume, rows, wanted = 0, before, [], []
    for later, price, more in steps:
        second, volume = second + later, volume + more
        since_nine = 15 * 60 + second
        clock = f"{9 + since_nine // 3600:02d}:{since_nine // 60 % 60:02d}:{second % 60:02d}"
        rows.append(f"X,2025-11-17T{clock}.5+05:30,{price // 100}.{price % 100:02d},1,{volume},9\n")
        wanted.append((second, price, volume))

    read = read_lines([FULL + "\n", *rows])

    assert read.bad == []
    assert [(tick.second - 1763351100, tick.price, tick.volume) for tick in read.good] == wanted


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("TCS,2025-11-17T12:07:56+05:30,3105.5,175,2000,52500", "time"),
        ("TCS,2025-11-17T12:07:58+05:30,3105.5,175,1999,52500", "cum_volume"),
        ("TCS,2025-11-17T08:07:58+05:30,3105.5,175,2000,52500", "time"),
        ("TCS,later,3105.5,175,2000,52500", "time"),
        ("TCS,9999-12-31T23:59:00+00:00,3105.5,175,2000,52500", "time"),
        ("TCS,2025-11-17T12:07:58+05:30,3105.555,175,2000,52500", "price"),
        ("TCS,2025-11-17T12:07:58+05:30,3105.5,175,two,52500", "cum_volume"),
        (",2025-11-17T12:07:58+05:30,3105.5,175,2000,52500", "symbol"),
        ("TCS,2025-11-17T12:07:58+05:30,3105.5", "cum_volume"),
    ],
)
def test_a_bad_tick_is_named_with_line_and_field_and_the_others_go_on(row: str, field: str) -> None:
    after = "TCS,2025-11-17T12:08:00+05:30,3106.0,175,2175,52500"

    read = read_lines([f"{line}\n" for line in (FULL, GOOD, row, after)])

    assert [(bad.line, bad.field) for bad in read.bad] == [(3, field)]
    assert [tick.line for tick in read.good] == [2, 4]


def test_a_header_without_symbol_time_or_price_is_an_error_of_the_whole_file() -> None:
    with pytest.raises(Misconfigured, match="symbol"):
        read_lines(["timestamp_ms_utc,trade_id,side,price,amount\n"])


def test_a_day_outside_the_usual_band_has_circuits_that_let_it_happen(tmp_path: Path) -> None:
    made = written(
        tmp_path / "wild.csv",
        FULL,
        "TCS,2025-11-17T12:00:00+05:30,100.0,1,1,0",
        "TCS,2025-11-17T12:00:01+05:30,170.0,1,2,0",
    )

    (listing,) = made.market.listings
    assert listing.lower_circuit <= 10_000
    assert listing.upper_circuit >= 17_000


async def test_a_recorded_future_is_listed_traded_and_quoted_like_any_instrument(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ticks.csv"
    path.write_text(f"{FULL}\n{GOOD}\nTCS,2025-11-17T12:08:00+05:30,3106.0,175,2175,52650\n")
    async with running(market=path) as simulator:
        await simulator.exchange.step(4 * 3600)
        (listing,) = simulator.market.listings
        _, master = await call(simulator, "GET", "/instruments/api-scrip-master-detailed.csv")
        headers = {"client-id": "1100000001"}
        asked = {"NSE_FNO": [listing.id.security_id]}
        _, body = await call(simulator, "POST", "/v2/marketfeed/quote", json=asked, headers=headers)

    quote = body["data"]["NSE_FNO"][str(listing.id.security_id)]
    assert "FUTSTK" in master
    assert (quote["last_price"], quote["volume"], quote["oi"], quote["last_quantity"]) == (
        3106.0,
        2_175,
        52_650,
        175,
    )


TRADES = "Symbol,DateTime,LTP,LTQ"


def test_a_file_of_trades_plays_each_with_its_own_quantity(tmp_path: Path) -> None:
    made = written(
        tmp_path / "trades.csv",
        TRADES,
        "TCS,2025-11-17 09:15:01,3105.5,10",
        "TCS,2025-11-17 09:15:01,3105.5,10",  # the same again is another trade
        "INFY,2025-11-17 09:15:01,1500,7",
        "TCS,2025-11-17 09:15:02,3106,5",
    )

    prints = made.market.prints[made.market.prints["second"] < made.market.close_second]
    infy, tcs = (prints[prints["instrument"] == place] for place in (0, 1))
    assert made.bad_rows == ()
    assert (tcs["quantity"].tolist(), tcs["volume"].tolist()) == ([10, 10, 5], [10, 20, 25])
    assert infy["volume"].tolist() == [7]
    assert {each.id.segment for each in made.market.listings} == {Segment.NSE_EQ}


def test_a_day_s_volume_begins_anew_on_the_next_day() -> None:
    days = [f"{day}T12:07:57+05:30" for day in ("2025-11-17", "2025-11-18")]

    trades = read_lines(["symbol,time,price,quantity\n", *(f"TCS,{at},1,9\n" for at in days)])
    snapshots = read_lines(["symbol,time,price,cum_volume\n",
                            *(f"TCS,{at},1,{90 - at.count('8')}\n" for at in days)])  # fmt: skip

    assert [tick.volume for tick in trades.good] == [9, 9]
    assert (len(snapshots.good), snapshots.bad) == (2, [])


def test_trades_beyond_what_the_feed_can_count_and_rows_without_a_name_are_left_out() -> None:
    at = "2025-11-17T12:07:57+05:30"
    rows = [f"TCS,{at},1,4294967295\n", f"TCS,{at},1,1\n", f"T\x07S,{at},1,1\n"]

    read = read_lines(["symbol,time,price,quantity\n", *rows])

    assert [(bad.line, bad.field) for bad in read.bad] == [(3, "quantity"), (4, "symbol")]
    assert len(read.good) == 1


def test_a_tick_file_of_too_many_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticks, "MOST_ROWS", 2)

    with pytest.raises(Misconfigured, match="more than 2 rows: split it"):
        read_lines(["symbol,time,price\n", *(["TCS,2025-11-17T12:07:57+05:30,1\n"] * 3)])
