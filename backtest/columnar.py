"""Trades as a Parquet file: one row each, money in paise, times in nanoseconds since 1970 UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from backtest.trade import Trade

NAMED: Final = b"ats.backtest"
"""Key of the file's metadata that names data, code and configuration, as JSON."""
_TEXT, _NUMBER = pa.string(), pa.int64()
_COLUMNS: Final[dict[str, tuple[pa.DataType, Callable[[Trade], Any]]]] = {
    "day": (pa.date32(), lambda each: each.day),
    "account": (_TEXT, lambda each: each.account),
    "rule": (_TEXT, lambda each: each.rule),
    "decision": (_TEXT, lambda each: str(each.decision)),
    "instrument": (_TEXT, lambda each: str(each.instrument)),
    "symbol": (_TEXT, lambda each: each.symbol),
    "side": (_TEXT, lambda each: each.side.value),
    "quantity": (_NUMBER, lambda each: int(each.quantity)),
    "entered_at": (_NUMBER, lambda each: int(each.entered_at)),
    "left_at": (_NUMBER, lambda each: int(each.left_at)),
    "entry_value": (_NUMBER, lambda each: int(each.entry_value)),
    "exit_value": (_NUMBER, lambda each: int(each.exit_value)),
    "gross": (_NUMBER, lambda each: int(each.gross)),
    "charges": (_NUMBER, lambda each: int(each.charges)),
    "net": (_NUMBER, lambda each: int(each.net)),
    "ending": (_TEXT, lambda each: each.ending.value),
    "mae": (_NUMBER, lambda each: int(each.mae)),
    "mfe": (_NUMBER, lambda each: int(each.mfe)),
}


def parquet_of(trades: Iterable[Trade], named: bytes) -> bytes:
    """A file of `trades` in their order; `named` is JSON of what they rest on."""
    given = list(trades)
    fields = [pa.field(name, kind, nullable=False) for name, (kind, _) in _COLUMNS.items()]
    columns = {name: [of(each) for each in given] for name, (_, of) in _COLUMNS.items()}
    table = pa.table(columns, schema=pa.schema(fields, {NAMED: named}))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    whole: bytes = sink.getvalue().to_pybytes()
    return whole
