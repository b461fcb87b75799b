"""The gateway's decoder beside the SDK's on random valid packets of every type, made here and by
neither of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pytest
from dhanhq import MarketFeed
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import SEGMENT_CODES, InstrumentId, Segment
from schemas.market import Instrument
from schemas.ticks import NO_VOLUME
from schemas.units import NS_PER_SECOND, Paise, Quantity
from simulator.market.tape import PRINT
from simulator.streaming import packets
from streams.feed.decode import Decoded, Decoder, ReceivedFrame

# Dhan's layouts, written a third time: neither from our code nor from the SDK's.
HEADER: Final = "<BHBI"
# above, a 32-bit float is coarser than a paisa
PRICE = st.integers(1, 13_107_200).map(lambda paise: paise / 100)
U32, U16 = st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1)
MOMENT = st.integers(946_684_800 + 19_800, 2**32 - 1)  # from the year 2000 on, in Dhan's odd epoch
LEVEL = st.tuples(U32, U32, U16, U16, PRICE, PRICE)
BODIES: Final[dict[int, tuple[str, list[st.SearchStrategy[Any]]]]] = {
    2: ("fI", [PRICE, MOMENT]),
    4: ("fHIfIIIffff", [PRICE, U16, MOMENT, PRICE, U32, U32, U32, PRICE, PRICE, PRICE, PRICE]),
    5: ("I", [U32]),
    6: ("fI", [PRICE, U32]),
    7: ("", []),
    8: ("fHIfIIIIIIffff", [PRICE, U16, MOMENT, PRICE, *[U32] * 6, *[PRICE] * 4]),
    50: ("H", [st.sampled_from(sorted(packets.Reason))]),
}


@st.composite
def a_packet(draw: st.DrawFn, codes: tuple[int, ...] = tuple(BODIES)) -> bytes:
    """Any valid packet."""
    code = draw(st.sampled_from(codes))
    layout, fields = BODIES[code]
    body = struct.pack("<" + layout, *(draw(field) for field in fields))
    if code == 8:
        body += b"".join(struct.pack("<IIHHff", *draw(LEVEL)) for _ in range(5))
    head = code, 8 + len(body), draw(st.sampled_from(sorted(SEGMENT_CODES.values()))), draw(U32)
    return struct.pack(HEADER, *head) + body


def instrument_of(packet: bytes) -> Instrument:
    _, _, code, security_id = struct.unpack_from(HEADER, packet)
    segment = Segment.from_code(code)
    assert segment is not None
    return Instrument(InstrumentId(segment, security_id), "X", "X", "EQUITY", Quantity(1), Paise(1))


def ours(*frame: bytes) -> Decoded:
    decoder = Decoder(
        {instrument.id: instrument for instrument in map(instrument_of, frame)}.values()
    )
    return decoder.decode([ReceivedFrame(b"".join(frame), 0)])


def sdks(packet: bytes) -> Any:
    # without the event loop that its constructor installs
    feed: Any = MarketFeed.__new__(MarketFeed)
    feed.on_close = None
    return feed.process_data(packet)


def clock(row: np.void) -> str:
    return datetime.fromtimestamp(
        int(row["exchange_time"]) // NS_PER_SECOND + 19_800, UTC
    ).strftime("%H:%M:%S")


@given(a_packet((2, 4, 8)))
def test_both_read_the_same_tick_in_every_mode(packet: bytes) -> None:
    found, theirs = ours(packet), sdks(packet)

    (row,) = found.rows
    assert (row["segment"], row["security_id"]) == (
        theirs["exchange_segment"],
        theirs["security_id"],
    )
    assert f"{row['price'] // 100}.{row['price'] % 100:02d}" == theirs["LTP"]
    assert clock(row) == theirs["LTT"]
    assert found.problems == []
    if packet[0] != 2:
        assert row["last_quantity"] == theirs["LTQ"]
        assert row["volume"] == (theirs["volume"] if row["segment"] else NO_VOLUME)
    if packet[0] == 8:
        assert row["open_interest"] == theirs["OI"]


@given(a_packet((5, 6, 7, 50)))
def test_packets_without_a_tick_are_known_to_both_and_make_no_row(packet: bytes) -> None:
    found, theirs = ours(packet), sdks(packet)

    assert (len(found.rows), found.ignored, found.problems) == (0, 1, [])
    kind = {5: "OI Data", 6: "Previous Close"}.get(packet[0])
    if kind:
        assert theirs["type"] == kind
    if packet[0] == 50:
        assert found.disconnect_code == struct.unpack_from("<H", packet, 8)[0]


@given(st.lists(a_packet(), min_size=1, max_size=12))
def test_a_frame_of_many_packets_reads_as_the_packets_one_by_one(frame: list[bytes]) -> None:
    whole = ours(*frame)
    alone = [ours(packet) for packet in frame]

    assert np.concatenate([one.rows for one in alone]).tobytes() == whole.rows.tobytes()
    assert sum(one.packets for one in alone) == whole.packets == len(frame)
    # the SDK stops after the first: why it needs frames of one
    assert sdks(b"".join(frame)) == sdks(frame[0])


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.sampled_from([2, 8]))
def test_the_simulators_open_interest_is_read_by_the_sdk(
    security_id: int, interest: int, segment: int
) -> None:
    row = np.zeros(1, PRINT)
    row["security_id"], row["open_interest"], row["segment"] = security_id, interest, segment

    packet = packets.open_interest(row).tobytes()

    assert len(packet) == 12
    assert sdks(packet) == {
        "type": "OI Data", "exchange_segment": segment, "security_id": security_id, "OI": interest,
    }  # fmt: skip


@pytest.mark.parametrize("encode", [packets.ticker, packets.quote, packets.full])
@given(moment=st.integers(946_684_800, 2**32 - 1 - 19_800))
def test_true_utc_is_the_odd_epoch_less_five_and_a_half_hours(
    encode: Callable[..., Any], moment: int
) -> None:
    row = np.zeros(1, PRINT)
    row["second"], row["price"] = moment, 100

    odd, true = (
        encode(row, offset)["last_trade_time"][0] for offset in (packets.IST_OFFSET_SECONDS, 0)
    )

    assert (odd, true) == (moment + 19_800, moment)
    assert encode(row)["last_trade_time"][0] == odd
