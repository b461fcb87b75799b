"""The one door to numba: compile kernels and keep their machine code on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba.core import config, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

StructArray: TypeAlias = npt.NDArray[np.void]
IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float64]
F = TypeVar("F", bound=Callable[..., Any])

# Numba asks only whether the file of the kernel itself changed, not those of what it calls and of
# its constants.
_SOURCES: Final = (
    "schemas/ids.py",
    "schemas/ticks.py",
    "schemas/units.py",
    "streams/columns/names.py",
    "streams/engine/arrays.py",
    "streams/engine/bars.py",
    "streams/engine/closed_bars.py",
    "streams/engine/compiled.py",
    "streams/engine/hours.py",
    "streams/engine/indicators.py",
    "streams/engine/kernels.py",
    "streams/engine/lanes.py",
    "streams/engine/layout.py",
    "streams/engine/named_values.py",
    "streams/engine/session_indicators.py",
    "streams/engine/tables.py",
    "streams/engine/volume_profile.py",
    "streams/engine/windows.py",
)
_ROOT: Final = Path(__file__).parents[2]
STAMP: Final = sha256(b"".join((_ROOT / name).read_bytes() for name in _SOURCES)).hexdigest()
# The machine code that a wheel brings (`make wheel`); nothing is there in a clone.
SHIPPED: Final = Path(__file__).with_name("machine_code")
# What a processor must have for x86-64-v3 (System V ABI, AMD64 supplement, table 3.1).
_X86_64_V3: Final = ("avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")


def processor_level(features: Mapping[str, bool]) -> str:
    """For which processors to compile: as many as can run the same code, with the vectors of each.

    Code for `generic` has half the vector's width and two thirds of the speed (docs/streams.md);
    code for the very processor could not be shipped.
    """
    return "x86-64-v3" if all(features.get(each) for each in _X86_64_V3) else "generic"


config.CPU_NAME, config.CPU_FEATURES = processor_level(get_host_cpu_features()), ""


class KernelCache(FunctionCache):  # type: ignore[misc]  # numba is untyped
    """Machine code of one kernel on disk: what the wheel brought, else what numba kept.

    Numba goes by the time of the kernel's file; this goes by `STAMP`, which outlives installation.
    """

    def __init__(self, kernel: Callable[..., Any]) -> None:
        super().__init__(kernel)
        self._cache_file._source_stamp = STAMP  # noqa: SLF001 (numba is pinned; a test sees that this works)
        self._shipped = self._file_in(SHIPPED)

    def ship(self, folder: Path) -> None:
        """Copy what numba kept for this kernel, target and Python into `folder`."""
        target = cpu_target.target_context.codegen().magic_tuple()
        kept, shipped = self._cache_file, self._file_in(folder)
        for key in kept._load_index():  # noqa: SLF001
            if key[1] == target:
                shipped.save(key, kept.load(key))

    def _file_in(self, folder: Path) -> Any:
        return IndexDataCacheFile(str(folder), self._impl.filename_base, STAMP)

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        data = self._shipped.load(self._index_key(sig, target_context.codegen()))
        if data is None:
            return super()._load_overload(sig, target_context)
        return self._impl.rebuild(target_context, data)


def compiled(kernel: F) -> F:
    """Compile an entry point when first called.

    Exact IEEE arithmetic: no reordering, so results are equal on every machine.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy")(kernel)
    dispatcher._cache = KernelCache(kernel)  # noqa: SLF001
    return cast(F, dispatcher)


def inner(kernel: F) -> F:
    """Compile what only kernels call, into them.

    It may neither make arrays nor return them: without numba's counting of references to arrays,
    which are all ours, a tick takes half the time.
    """
    return cast(F, numba.njit(nogil=True, error_model="numpy", _nrt=False)(kernel))


def inlined(kernel: F) -> F:
    """Compile as `inner` does, and into each of its callers: for what every tick passes.

    A call hands over each array as five numbers, and vectors through memory.
    """
    options = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": True}
    return cast(F, numba.njit(**options)(kernel))


def opener(kernel: F) -> F:
    """Compile what finds arrays at addresses, for kernels."""
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
def bytes_address(_: Any, value: Any) -> Any:
    """In a kernel: where the bytes of a `bytes` argument stand.

    Numba takes `bytes` apart in 0.1 µs; `numpy.frombuffer` before the call would cost 0.4.
    """

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.int64(value), generated


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
