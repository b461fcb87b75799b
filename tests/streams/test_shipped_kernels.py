"""Machine code that travels in a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite.binding import get_host_cpu_features
from numba.core.registry import cpu_target

from streams.engine.compiled import processor_level
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


EMERALD_RAPIDS = {"avx": True, "avx2": True, "bmi": True, "bmi2": True, "f16c": True} | {
    "fma": True, "lzcnt": True, "movbe": True, "xsave": True, "avx512f": True
}  # fmt: skip


def test_kernels_are_for_every_processor_with_avx2() -> None:
    assert processor_level(EMERALD_RAPIDS) == "x86-64-v3"
    assert processor_level(EMERALD_RAPIDS | {"avx512f": False}) == "x86-64-v3"


@pytest.mark.parametrize("missing", ["avx2", "bmi2", "fma", "movbe"])
def test_an_older_processor_gets_the_kernels_that_any_can_run(missing: str) -> None:
    assert processor_level(EMERALD_RAPIDS | {missing: False}) == "generic"


def test_kernels_are_not_for_this_very_processor() -> None:
    _, processor, features = cpu_target.target_context.codegen().magic_tuple()

    assert (processor, features) == (processor_level(get_host_cpu_features()), "")


def test_machine_code_that_a_wheel_brings_is_loaded_and_nothing_is_compiled(
    tmp_path: Path,
) -> None:
    ship(tmp_path / "machine_code")
    command = [sys.executable, "-c", WARMS_UP, str(tmp_path / "machine_code")]
    nothing_kept = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "empty")}

    done = subprocess.run(command, env=nothing_kept, capture_output=True, text=True, check=True)

    assert done.stdout == "compiled 0\n"
    assert not [*(tmp_path / "empty").rglob("*.nbc")]
