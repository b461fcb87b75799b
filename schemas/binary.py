"""Binary records: a header and rows of fixed width, little-endian, which numpy reads at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.errors import Unreadable

Rows = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of record is packed.

    Attributes:
        name: What it is, for errors.
        magic: First two bytes, by which kinds are told apart.
        header: Begins with `magic`, `schema_version` and `rows`.
    """

    name: str
    magic: int
    schema_version: int
    header: np.dtype[np.void]
    row: np.dtype[np.void]

    def begun(self, rows: Rows) -> npt.NDArray[np.void]:
        """A header for `rows`, its other fields zero."""
        header = np.zeros((), self.header)
        header["magic"], header["schema_version"], header["rows"] = (
            self.magic,
            self.schema_version,
            len(rows),
        )
        return header

    def read(self, value: bytes) -> tuple[Any, Rows]:
        """Header and rows of `value`, not copied.

        Raises:
            Unreadable: too short, another kind, a newer schema, or a wrong length.
        """
        size = self.header.itemsize
        if len(value) < size:
            raise Unreadable(f"{len(value)} bytes are shorter than the header of {size}", "header")
        header = np.frombuffer(value, self.header, 1)[0]
        if header["magic"] != self.magic:
            raise Unreadable(f"not a {self.name}: magic {header['magic']:#06x}", "magic")
        if header["schema_version"] != self.schema_version:
            found = f"schema version {header['schema_version']}"
            raise Unreadable(f"{found}, this reader knows {self.schema_version}", "schema_version")
        expected = size + int(header["rows"]) * self.row.itemsize
        if len(value) != expected:
            raise Unreadable(
                f"{header['rows']} rows need {expected} bytes, got {len(value)}", "rows"
            )
        return header, np.frombuffer(value, self.row, offset=size)


def check_values(rows: Rows, checks: Iterable[tuple[str, npt.NDArray[np.bool_]]]) -> None:
    """Check columns; each of `checks` is a field and the rows in which its value is impossible.

    Raises:
        Unreadable: naming the first impossible row and its field.
    """
    for field, bad in checks:
        if bad.any():
            at = int(np.argmax(bad))
            raise Unreadable(f"impossible value {rows[field][at]}", f"rows[{at}].{field}")
