"""Files of one-minute candles, whichever kind they are."""

from __future__ import annotations

from pathlib import Path

from simulator.market import bars
from simulator.market.bars import KEPT, Bars


def read_file(path: Path) -> Bars:
    """Read a CSV file, gzipped when its name ends in `.gz`, or a day that `ats data` keeps.

    Raises:
        Misconfigured: no such file, a broken one, or bars that are not of one minute.
    """
    if path.suffix == KEPT:
        from simulator.market.columnar import read  # noqa: PLC0415  # pyarrow is not everywhere

        return read(path)
    return bars.read_file(path)
