"""Put the engine's machine code for this Python where a wheel takes it from: `make wheel`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from streams.engine import kernels, named_values
from streams.engine.compiled import SHIPPED
from streams.engine.machine import warm_up


def ship(folder: Path) -> None:
    """Compile the kernels, or take what the disk has, and leave that alone in `folder`."""
    warm_up()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    entries: tuple[Any, ...] = (kernels.apply_record, kernels.seed, named_values.interleave)
    for kernel in entries:
        kernel._cache.ship(folder)  # noqa: SLF001 (numba's, ours by `compiled`)


if __name__ == "__main__":
    ship(SHIPPED)
