"""Binary packets of Dhan's 20- and 200-level depth.

They have another header than the feed's, 64-bit prices, and one side per packet. Twelve bytes of
header (length, code, segment, security id, then a sequence number with 20 levels and the row count
with 200), then 16 bytes per level. Both sides of an instrument stand back to back in one frame.
Source: Dhan, Full Market Depth, as the project's Dhan reference (1.8) settles where its pages
differ.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from schemas.units import PAISE_PER_RUPEE
from simulator.market import ladder
from simulator.market.tape import Prints

BID: Final = 41
ASK: Final = 51
_DISCONNECT: Final = 50
_HEADER: Final = struct.Struct("<hBBiI")
_LEVEL: Final = np.dtype([("price", "<f8"), ("quantity", "<u4"), ("orders", "<u4")])


def both_sides(prints: Prints, levels: int, first_sequence: int) -> list[bytes]:
    """A bid and an ask packet of each print, one after the other."""
    sides = (BID, ladder.bids(prints, levels)), (ASK, ladder.asks(prints, levels))
    packets: list[bytes] = []
    for at, (segment, security_id) in enumerate(
        zip(prints["segment"], prints["security_id"], strict=True)
    ):
        for nth, (code, rungs) in enumerate(sides):
            extra = levels if levels > 20 else first_sequence + 2 * at + nth
            packets.append(_packet(code, int(segment), int(security_id), extra, _body(rungs, at)))
    return packets


def disconnect(reason: int) -> bytes:
    """The server's last word, 14 bytes; the reason stands behind the header."""
    return _HEADER.pack(14, _DISCONNECT, 0, 0, 0) + struct.pack("<h", reason)


def strange(code: int) -> bytes:
    """A packet without a body."""
    return _HEADER.pack(_HEADER.size, code, 0, 0, 0)


def name(packet: bytes) -> str:
    """Which packet this is, for the journal."""
    _, code, segment, security_id, _ = _HEADER.unpack_from(packet)
    return f"depth {'bid' if code == BID else 'ask'} of segment {segment}:{security_id}"


def _packet(code: int, segment: int, security_id: int, extra: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), code, segment, security_id, extra) + body


def _body(rungs: ladder.Ladder, at: int) -> bytes:
    rows = np.zeros(rungs.prices.shape[1], _LEVEL)
    rows["price"] = rungs.prices[at] / PAISE_PER_RUPEE
    rows["quantity"], rows["orders"] = rungs.quantities[at], rungs.orders[at]
    return rows.tobytes()
