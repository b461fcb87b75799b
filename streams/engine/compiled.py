"""The one door to numba: compile kernels and keep their machine code on disk."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

StructArray: TypeAlias = npt.NDArray[np.void]
IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])

# Numba asks only whether the file of the kernel itself changed, not those of what it calls and of
# its constants.
_SOURCES: Final = (
    "columns/names.py",
    "engine/arrays.py",
    "engine/bars.py",
    "engine/closed_bars.py",
    "engine/compiled.py",
    "engine/hours.py",
    "engine/kernels.py",
    "engine/layout.py",
    "engine/session_indicators.py",
    "engine/indicators.py",
    "engine/tables.py",
    "engine/volume_profile.py",
    "engine/windows.py",
)
_ROOM: Final = Path(__file__).parents[1]
STAMP: Final = sha256(b"".join((_ROOM / name).read_bytes() for name in _SOURCES)).hexdigest()


def compiled(kernel: F) -> F:
    """Compile an entry point when first called.

    Exact IEEE arithmetic: no reordering, so results are equal on every machine.
    """
    dispatcher = numba.njit(cache=True, nogil=True, error_model="numpy")(kernel)
    dispatcher._cache._cache_file._source_stamp = STAMP  # noqa: SLF001 (numba is pinned; a test sees that this works)
    return cast(F, dispatcher)


def inner(kernel: F) -> F:
    """Compile what only kernels call, into them."""
    return cast(F, numba.njit(nogil=True, error_model="numpy")(kernel))


@intrinsic  # type: ignore[untyped-decorator]
def pointer(_: Any, address: Any) -> Any:
    """In a kernel: the address as a pointer.

    Reading arrays from addresses spares a call numba's half microsecond for each.
    """

    def generated(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(address), generated


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(_: Any, address: Any) -> Any:
    """In a kernel: ask for the cache line at the address, without waiting for it.

    It need not belong to us.
    """

    def generated(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number, place = ir.IntType(32), context.get_value_type(types.voidptr)
        signature = ir.FunctionType(ir.VoidType(), [place, number, number, number])
        instruction = builder.module.declare_intrinsic("llvm.prefetch", [place], signature)
        to_read, keep, data = number(0), number(3), number(1)
        builder.call(instruction, [builder.inttoptr(arguments[0], place), to_read, keep, data])
        return context.get_dummy_value()

    return types.void(address), generated
