"""Files of one-minute candles, whichever kind they are."""

from __future__ import annotations

from pathlib import Path

from simulator.market import bars
from simulator.market.actions import Actions
from simulator.market.bars import KEPT, Bars
from simulator.market.dialect import MINUTE


def read_file(path: Path, actions: Actions | None = None) -> Bars:
    """Read a CSV file, gzipped when its name ends in `.gz`, or a day that `ats data` keeps.

    With `actions` its bars come in the shares that are left after all of them; the file stays.

    Raises:
        Misconfigured: no such file, a broken one, bars that are not of one minute, or an action
            that makes bars impossible.
    """
    if path.suffix == KEPT:
        from simulator.market.columnar import read  # noqa: PLC0415  # pyarrow is not everywhere

        good = read(path)
        found = Bars(good, rows=len(good), length=MINUTE)
    else:
        found = bars.read_file(path)
    if actions:
        found.good = actions.adjusted(found.good)
    return found
