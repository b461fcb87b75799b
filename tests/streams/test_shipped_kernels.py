"""Machine code that travels in a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from numba.core.registry import cpu_target

from tools.ship_kernels import ship

WARMS_UP = """
import sys
from pathlib import Path
from streams.engine import compiled
compiled.SHIPPED = Path(sys.argv[1])
from streams.engine.machine import warm_up
heard = []
warm_up(heard.append)
print(f"compiled {len(heard)}")
"""


def test_kernels_are_for_any_processor_of_the_architecture() -> None:
    _, processor, features = cpu_target.target_context.codegen().magic_tuple()

    assert (processor, features) == ("generic", "")


def test_machine_code_that_a_wheel_brings_is_loaded_and_nothing_is_compiled(
    tmp_path: Path,
) -> None:
    ship(tmp_path / "machine_code")
    command = [sys.executable, "-c", WARMS_UP, str(tmp_path / "machine_code")]
    nothing_kept = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "empty")}

    done = subprocess.run(command, env=nothing_kept, capture_output=True, text=True, check=True)

    assert done.stdout == "compiled 0\n"
    assert not [*(tmp_path / "empty").rglob("*.nbc")]
