"""The feed's binary packets: against Dhan's own decoder, and cut, stretched and garbled."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from dhanhq.marketfeed import MarketFeed
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ids import InstrumentId, Segment
from schemas.market import Instrument, to_tick
from schemas.ticks import NO_VOLUME, decode, encode
from schemas.units import NS_PER_SECOND, Paise, Quantity, UtcNs
from streams.feed.batcher import Batcher
from streams.feed.decode import Decoded, Decoder, ReceivedFrame
from streams.feed.packets import SIZES, Code
from tests.streams.factories import INFY, NIFTY, RELIANCE, TCS, at

SHARES = [Instrument(of, "X", "X", "EQUITY", Quantity(1), Paise(5)) for of in (RELIANCE, TCS, INFY)]
INDEX = Instrument(NIFTY, "NIFTY", "Nifty 50", "INDEX", Quantity(1), Paise(5))
NOON = at("12:00:00")


def ltt(moment: int = NOON) -> int:
    """A moment as Dhan writes it: Indian clock seconds as if they were UTC."""
    return moment // NS_PER_SECOND + 19_800


def head(code: int, length: int, of: InstrumentId) -> bytes:
    return struct.pack("<BHBI", code, length, of.segment.code, of.security_id)


def ticker(of: InstrumentId = RELIANCE, price: float = 1_234.55, when: int | None = None) -> bytes:
    return head(2, 16, of) + struct.pack("<fI", price, ltt() if when is None else when)


def quote(
    of: InstrumentId = RELIANCE, price: float = 1_234.55, volume: int = 10, when: int | None = None
) -> bytes:
    body = struct.pack(
        "<fHIfIIIffff", price, 7, ltt() if when is None else when, price, volume, 3, 4, 1, 2, 3, 4
    )
    return head(4, 50, of) + body


def full(
    of: InstrumentId = RELIANCE, price: float = 1_234.55, volume: int = 10, interest: int = 99
) -> bytes:
    body = struct.pack(
        "<fHIfIIIIIIffff", price, 7, ltt(), price, volume, 3, 4, interest, 0, 0, 1, 2, 3, 4
    )
    return head(8, 162, of) + body + bytes(100)


def read(*frames: bytes, latest: int | None = None) -> Decoded:
    return Decoder([*SHARES, INDEX]).decode(
        [ReceivedFrame(frame, 5) for frame in frames], latest=latest
    )


@pytest.mark.parametrize("packet", [ticker, quote, full])
def test_a_packet_becomes_a_row_with_paise_and_utc(packet: object) -> None:
    (row,) = read(packet()).rows  # type: ignore[operator]

    assert (row["price"], row["exchange_time"], row["received_at"]) == (123_455, NOON, 5)
    assert (row["segment"], row["security_id"]) == (1, 2885)


def test_rows_of_the_day_on_which_an_instrument_joined_say_since_which_minute() -> None:
    joined = UtcNs(NOON - 90 * NS_PER_SECOND)
    frames = [quote(), quote(when=ltt(NOON - 86_400 * NS_PER_SECOND)), quote(SHARES[1].id)]

    rows = (
        Decoder(SHARES, {RELIANCE: joined})
        .decode([ReceivedFrame(frame, 5) for frame in frames])
        .rows
    )

    minutes = joined.ist().hour * 60 + joined.ist().minute
    assert rows["joined"].tolist() == [minutes + 1, 0, 0]


def test_only_quote_and_full_carry_volume_and_only_full_open_interest() -> None:
    rows = read(ticker(), quote(volume=70), full(volume=80, interest=90)).rows

    assert [tuple(row) for row in rows[["volume", "last_quantity", "open_interest", "mode"]]] == [
        (NO_VOLUME, 0, 0, 2), (70, 7, 0, 4), (80, 7, 90, 8),
    ]  # fmt: skip


def test_an_index_has_no_volume_in_any_mode() -> None:
    assert read(quote(NIFTY, 24_750.55, 0)).rows["volume"][0] == NO_VOLUME


prices = st.integers(1, 4_000_000).map(lambda ticks: ticks * 5)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([ticker, quote, full]), st.sampled_from([RELIANCE, TCS, INFY]), prices
        ),
        max_size=30,
    ),
    st.data(),
)
@settings(deadline=None, max_examples=80)
def test_rows_equal_what_dhans_own_decoder_reads_packet_by_packet(
    wanted: list[Any], data: st.DataObject
) -> None:
    packets = [make(of, paise / 100) for make, of, paise in wanted]
    cuts = data.draw(st.sets(st.integers(0, len(packets)))) | {0, len(packets)}
    edges = sorted(cuts)
    frames = [b"".join(packets[a:b]) for a, b in pairwise(edges)]
    theirs = MarketFeed.__new__(MarketFeed)

    rows = read(*frames).rows

    assert len(rows) == len(packets)
    for row, packet, (_, of, paise) in zip(rows, packets, wanted, strict=True):
        sdk = theirs.process_data(packet)
        assert (
            (row["segment"], row["security_id"])
            == (sdk["exchange_segment"], sdk["security_id"])
            == (1, of.security_id)
        )
        assert row["price"] == to_tick(float(np.float32(paise / 100)) * 100, Paise(5))
        assert UtcNs(row["exchange_time"]).ist().strftime("%H:%M:%S") == sdk["LTT"]
        if "volume" in sdk:
            assert (row["volume"], row["last_quantity"]) == (sdk["volume"], sdk["LTQ"])
        if "OI" in sdk:
            assert row["open_interest"] == sdk["OI"]


@given(prices.filter(lambda paise: paise < 13_107_200))
@settings(deadline=None)
def test_the_exact_price_comes_back_from_a_32_bit_float(paise: int) -> None:
    assert read(quote(price=paise / 100)).rows["price"][0] == paise


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (quote()[:45], "quote packet of NSE_EQ:2885 is cut short: 45 of 50 bytes"),
        (quote()[:3], "3 bytes where a packet header of 8 was expected"),
        (
            head(4, 60, RELIANCE) + bytes(52),
            "quote packet of NSE_EQ:2885 has 60 bytes, expected 50",
        ),
        (head(4, 0, RELIANCE) + bytes(42), "says it has 0 bytes; 50 bytes of the frame are lost"),
        (quote(price=float("nan")), "quote packet of NSE_EQ:2885 has an impossible price nan"),
        (quote(price=-1.0), "impossible price -1.0"),
        (quote(when=77), "impossible trade time"),
        (b"hello, this is not a packet", "code 104 packet"),
        (
            head(50, 9, RELIANCE) + b"\0",
            "disconnect packet of NSE_EQ:2885 has 9 bytes, expected 10",
        ),
    ],
)
def test_a_packet_that_cannot_be_read_is_named_and_the_rest_of_the_stream_goes_on(
    frame: bytes, problem: str
) -> None:
    found = read(quote(TCS), frame, quote(INFY), quote(RELIANCE) * 6)

    assert len(found.problems) == 1
    assert problem in found.problems[0]
    assert list(found.rows["security_id"]) == [
        TCS.security_id,
        INFY.security_id,
        *[RELIANCE.security_id] * 6,
    ]


def test_packets_before_and_after_a_stretched_one_in_the_same_frame_are_read() -> None:
    found = read(quote(TCS) + head(4, 60, RELIANCE) + bytes(52) + quote(INFY))

    assert list(found.rows["security_id"]) == [TCS.security_id, INFY.security_id]


def test_other_packets_are_passed_over_by_their_length() -> None:
    others = (
        head(6, 16, NIFTY) + bytes(8),  # previous close
        head(5, 12, RELIANCE) + bytes(4),  # open interest
        head(7, 8, RELIANCE),  # status, as the SDK reads it
        head(7, 20, RELIANCE) + bytes(12),  # status with a payload nobody has published
        head(0, 8, RELIANCE),  # heartbeat
        head(1, 40, NIFTY) + bytes(32),  # index, layout unpublished
        head(99, 30, RELIANCE) + bytes(22),
    )

    found = read(b"".join(others) + quote())

    assert (found.ignored, found.problems, len(found.rows)) == (7, [], 1)


def test_a_disconnect_packet_gives_its_reason() -> None:
    assert read(quote() + head(50, 10, RELIANCE) + struct.pack("<H", 807)).disconnect_code == 807


def test_instruments_we_did_not_ask_for_are_counted_and_left_out() -> None:
    found = read(
        quote(InstrumentId(Segment.BSE_EQ, 2885)) + quote(InstrumentId(Segment.NSE_EQ, 1)) + quote()
    )

    assert (found.unsubscribed, len(found.rows), found.problems) == (2, 1, [])


def test_an_instrument_that_has_not_traded_is_no_tick_and_no_problem() -> None:
    found = read(quote(price=0.0, volume=0, when=0))

    assert (found.silent, len(found.rows), found.problems) == (1, 0, [])


def test_a_trade_from_the_future_is_refused_because_it_would_run_all_clocks_ahead() -> None:
    found = read(
        quote(), quote(when=ltt(NOON + 6 * NS_PER_SECOND)), latest=NOON + 5 * NS_PER_SECOND
    )

    assert (len(found.rows), len(found.problems)) == (1, 1)


@given(st.lists(st.binary(max_size=400), max_size=6))
@settings(deadline=None)
def test_garbage_never_stops_the_decoder_nor_makes_a_row_the_codec_refuses(
    frames: list[bytes],
) -> None:
    found = read(*frames, quote())
    batcher = Batcher(1, 1)

    batcher.add(found.rows)
    records = []
    while not batcher.idle:
        records += [decode(encode(closed.batch)) for closed in batcher.due(UtcNs(0))]
        batcher.acknowledged(0)

    assert sum(len(record.rows) for record in records) == len(found.rows) >= 1


def test_the_codes_have_the_sizes_of_the_documentation() -> None:
    assert {
        code: SIZES[code] for code in (Code.TICKER, Code.QUOTE, Code.FULL, Code.OPEN_INTEREST)
    } == {
        Code.TICKER: 16,
        Code.QUOTE: 50,
        Code.FULL: 162,
        Code.OPEN_INTEREST: 12,
    }


def test_each_instrument_is_rounded_to_its_own_tick() -> None:
    fine = replace(SHARES[0], tick_size=Paise(1))

    (row,) = Decoder([fine]).decode([ReceivedFrame(quote(price=84.12), 0)]).rows

    assert row["price"] == 8_412
