"""Writes the decisions of one Indian market day to a Parquet file, for pandas, DuckDB or Polars.

python parquet_sink.py KAFKA 2026-11-20 decisions.parquet
"""

from __future__ import annotations

import asyncio
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ats_client import Reader
from ats_client.messages import Decision

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("event_time", pa.timestamp("ns", tz="UTC")),
        ("instrument", pa.string()),
        ("symbol", pa.string()),
        ("action", pa.string()),
        ("confidence", pa.int8()),
        ("origin", pa.string()),
        pa.field("reference_price", pa.int64(), metadata={"unit": "paise"}),
        ("reasoning", pa.string()),
    ]
)
BATCH = 10_000  # rows that are held in memory


async def write(kafka: str, day: date, path: Path) -> int:
    """Write the day; returns how many decisions there are. The file appears when it is whole."""
    fresh, count = path.with_suffix(".new"), 0
    rows: list[dict[str, Any]] = []
    with pq.ParquetWriter(fresh, SCHEMA) as writer:
        async with Reader(kafka, Decision, day=day) as decisions:
            async for decision in decisions:
                row = decision.model_dump()
                rows.append({name: row[name] for name in SCHEMA.names} | {"id": str(decision.id)})
                count += 1
                if len(rows) == BATCH:
                    writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
                    rows.clear()
        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
    fresh.replace(path)
    return count


if __name__ == "__main__":
    written = asyncio.run(write(sys.argv[1], date.fromisoformat(sys.argv[2]), Path(sys.argv[3])))
    print(f"{written} decisions")
