"""Our packets against `dhanhq`'s unmodified decoder, another reading of the same wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from dhanhq import MarketFeed
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import SEGMENT_CODES, InstrumentId, Segment
from schemas.units import Price
from simulator.market.tape import PRINT, Prints
from simulator.streaming import packets

# Above 131,072 rupees a 32-bit float is coarser than a paisa, and no NSE instrument trades there.
prices = st.integers(1, 13_107_200)
quantities = st.integers(0, 2**32 - 1)


@st.composite
def prints(draw: st.DrawFn) -> Prints:
    row = np.zeros(1, PRINT)
    for name in ("price", "open", "high", "low", "previous_close"):
        row[name] = draw(prices)
    row["second"] = draw(st.integers(0, 2**32 - 1 - packets.IST_OFFSET_SECONDS))
    row["security_id"] = draw(st.integers(0, 2**32 - 1))
    row["segment"] = draw(st.sampled_from(sorted(SEGMENT_CODES.values())))
    row["quantity"], row["volume"] = draw(quantities), draw(quantities)
    row["turnover"] = row["volume"] * row["price"]
    row["tick_size"] = draw(st.sampled_from([1, 5]))
    return row


def decoder() -> Any:
    """`dhanhq`'s decoder without its event loop, which the constructor would install in this
    thread.
    """
    return MarketFeed.__new__(MarketFeed)


def rupees(paise: int) -> str:
    return f"{paise // 100}.{paise % 100:02d}"


def indian_clock(second: int) -> str:
    return datetime.fromtimestamp(second + 19_800, UTC).strftime("%H:%M:%S")


@given(prints())
def test_dhanhq_reads_our_ticker_packets(row: Prints) -> None:
    packet = packets.ticker(row).tobytes()

    assert len(packet) == 16
    assert decoder().process_data(packet) == {
        "type": "Ticker Data",
        "exchange_segment": row["segment"][0],
        "security_id": row["security_id"][0],
        "LTP": rupees(int(row["price"][0])),
        "LTT": indian_clock(int(row["second"][0])),
    }


@given(prints())
def test_dhanhq_reads_our_quote_packets(row: Prints) -> None:
    packet = packets.quote(row).tobytes()
    decoded = decoder().process_data(packet)

    assert len(packet) == 50
    assert decoded["type"] == "Quote Data"
    assert_the_days_figures(decoded, row)


@given(prints())
def test_dhanhq_reads_our_full_packets(row: Prints) -> None:
    packet = packets.full(row).tobytes()
    decoded = decoder().process_data(packet)

    assert len(packet) == 162
    assert decoded["type"] == "Full Data"
    assert_the_days_figures(decoded, row)
    bids = [float(level["bid_price"]) for level in decoded["depth"]]
    asks = [float(level["ask_price"]) for level in decoded["depth"]]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    if row["volume"][0]:
        assert decoded["depth"][0]["ask_price"] == rupees(int(row["price"][0]))


def assert_the_days_figures(decoded: dict[str, Any], row: Prints) -> None:
    assert decoded["LTT"] == indian_clock(int(row["second"][0]))
    assert decoded["LTQ"] == min(int(row["quantity"][0]), 65_535)
    assert decoded["volume"] == row["volume"][0]
    for name, column in (("LTP", "price"), ("open", "open"), ("high", "high"), ("low", "low")):
        assert decoded[name] == rupees(int(row[column][0]))
    assert decoded["close"] == rupees(int(row["previous_close"][0]))
    assert decoded["avg_price"] == (rupees(int(row["price"][0])) if row["volume"][0] else "0.00")


@pytest.mark.parametrize("encode", [packets.ticker, packets.quote, packets.full])
def test_the_header_states_the_length_of_the_whole_packet(encode: Any) -> None:
    packet = encode(np.ones(1, PRINT)).tobytes()

    assert int.from_bytes(packet[1:3], "little") == len(packet)


def test_a_full_frame_begins_like_the_captured_one() -> None:
    packet = packets.full(np.ones(1, PRINT)).tobytes()

    assert packet[:3] == bytes.fromhex("08a200")


@given(st.integers(0, 2**32 - 1), prices)
def test_dhanhq_reads_our_previous_close(security_id: int, price: int) -> None:
    packet = packets.previous_close(InstrumentId(Segment.NSE_EQ, security_id), Price(price))

    assert decoder().process_data(packet) == {
        "type": "Previous Close",
        "exchange_segment": 1,
        "security_id": security_id,
        "prev_close": rupees(price),
        "prev_OI": 0,
    }


def test_dhanhq_reads_our_market_status_and_disconnect(capsys: pytest.CaptureFixture[str]) -> None:
    feed = decoder()
    feed.on_close = None

    assert feed.process_data(packets.market_status(Segment.NSE_EQ)) == "Markets Open"
    feed.process_data(packets.disconnect(packets.Reason.TOO_MANY_CONNECTIONS))

    assert "No. of active websocket connections exceeded" in capsys.readouterr().out


def test_packets_made_a_window_ahead_are_those_made_one_by_one() -> None:
    tape = np.zeros(3 * packets.Encoded.WINDOW, PRINT)
    tape["price"], tape["second"] = np.arange(len(tape)) + 1, np.arange(len(tape))
    encoded = packets.Encoded(tape)

    pieces = [
        encoded.packets(packets.Mode.FULL, slice(at, at + 96)) for at in range(0, len(tape), 96)
    ]

    assert np.concatenate(pieces).tobytes() == packets.full(tape).tobytes()
