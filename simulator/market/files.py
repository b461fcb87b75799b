"""Files of one-minute candles, whichever kind they are."""

from __future__ import annotations

from pathlib import Path

from simulator.market import bars
from simulator.market.actions import Actions
from simulator.market.bars import KEPT, Bars


def read_file(path: Path, actions: Actions | None = None) -> Bars:
    """Read a CSV file, gzipped when its name ends in `.gz`, or a day that `ats data` keeps.

    With `actions` its bars come in the shares that are left after all of them; the file stays.

    Raises:
        Misconfigured: no such file, a broken one, bars that are not of one minute, or an action
            that makes bars impossible.
    """
    if path.suffix == KEPT:
        from simulator.market.columnar import read  # noqa: PLC0415  # pyarrow is not everywhere

        found = read(path)
    else:
        found = bars.read_file(path)
    if actions:
        found.good = list(actions.adjusted(found.good))
    return found
