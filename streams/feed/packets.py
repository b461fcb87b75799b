"""Layouts of Dhan's market feed v2 as we read them.

Little-endian, the length in the header includes the header. Source: Dhan, Live Market Feed
(docs/facts/dhan.md); order is sell before buy, and open, close, high, low.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, Final

import numpy as np

HEAD: Final = struct.Struct("<BHBI")  # response code, message length, segment, security id
DISCONNECT_CODE: Final = struct.Struct("<H")  # after the header of a disconnect packet


class Code(IntEnum):
    """Response codes. What is not listed is skipped by its length."""

    HEARTBEAT = 0
    INDEX = 1
    TICKER = 2
    QUOTE = 4
    OPEN_INTEREST = 5
    PREVIOUS_CLOSE = 6
    MARKET_STATUS = 7
    FULL = 8
    DISCONNECT = 50


_HEAD_FIELDS: Final = [("code", "u1"), ("length", "<u2"), ("segment", "u1"), ("security_id", "<u4")]
_TRADE_FIELDS: Final = [
    ("price", "<f4"),
    ("last_quantity", "<u2"),
    ("last_trade_time", "<u4"),
    ("average_price", "<f4"),
    ("volume", "<u4"),
    ("sell_quantity", "<u4"),
    ("buy_quantity", "<u4"),
]
_DAY_FIELDS: Final = [("open", "<f4"), ("close", "<f4"), ("high", "<f4"), ("low", "<f4")]
LEVELS: Final = 5  # of each side in a Full packet, the best first
LEVEL: Final[np.dtype[Any]] = np.dtype(
    [
        ("bid_quantity", "<u4"),
        ("ask_quantity", "<u4"),
        ("bid_orders", "<u2"),
        ("ask_orders", "<u2"),
        ("bid_price", "<f4"),
        ("ask_price", "<f4"),
    ]
)

LAYOUTS: Final[dict[int, np.dtype[Any]]] = {
    Code.TICKER: np.dtype([*_HEAD_FIELDS, ("price", "<f4"), ("last_trade_time", "<u4")]),
    Code.QUOTE: np.dtype([*_HEAD_FIELDS, *_TRADE_FIELDS, *_DAY_FIELDS]),
    Code.FULL: np.dtype(
        [
            *_HEAD_FIELDS,
            *_TRADE_FIELDS,
            ("open_interest", "<u4"),
            ("open_interest_high", "<u4"),
            ("open_interest_low", "<u4"),
            *_DAY_FIELDS,
            ("depth", LEVEL, (LEVELS,)),
        ]
    ),
}
SIZES: Final[dict[int, int]] = {
    **{code: layout.itemsize for code, layout in LAYOUTS.items()},
    Code.OPEN_INTEREST: 12,
    Code.PREVIOUS_CLOSE: 16,
    Code.DISCONNECT: 10,
}
