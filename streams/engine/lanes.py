"""A vector of doubles as a numba type: a lane for each of four timeframes.

A formula written once serves them all, in one instruction each. LLVM's own vectoriser refuses such
loops (branches, calls, pointers it cannot tell apart); this does not ask it. Nothing is reordered:
each lane holds the bits that a scalar would.

Numbers become lanes of themselves where lanes are asked for. Comparisons give masks, for `select`.
Addresses are those of the first lane.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

Lanes: TypeAlias = Any
"""In a kernel: `LANES` doubles."""
Mask: TypeAlias = Any
"""In a kernel: `LANES` bits."""

LANES: Final = 4  # doubles in a register of AVX2
VECTOR_BYTES: Final = LANES * 8

_DOUBLES: Final = ir.VectorType(ir.DoubleType(), LANES)
_BITS: Final = ir.VectorType(ir.IntType(1), LANES)
_PLACES: Final = ir.VectorType(ir.IntType(32), LANES)
_ALIGNED: Final = 8  # bytes, as numpy's arrays at least are


class LanesType(types.Type):
    """Numba's type of `Lanes`."""


class MaskType(types.Type):
    """Numba's type of `Mask`."""


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _DOUBLES)


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, of: Any) -> None:
        super().__init__(manager, of, _BITS)


_LANES: Final = LanesType(f"Lanes{LANES}")
_MASK: Final = MaskType(f"Mask{LANES}")


class BarLanes(NamedTuple):
    """In a kernel: a bar of each timeframe."""

    open: Lanes
    high: Lanes
    low: Lanes
    close: Lanes
    volume: Lanes


@lower_cast(types.Float, LanesType)  # type: ignore[untyped-decorator]
def _repeated(_context: Any, builder: Any, _given: Any, _wanted: Any, value: Any) -> Any:
    blank = ir.Constant(_DOUBLES, ir.Undefined)
    first = builder.insert_element(blank, value, ir.IntType(32)(0))
    return builder.shuffle_vector(first, blank, ir.Constant(_PLACES, [0] * LANES))


def _register_operator(
    of: Callable[..., Any], argument: Any, result: Any, emit: Callable[..., Any]
) -> None:
    """Let `a of b` compile to `emit`, one of them being an `argument`."""

    class Template(AbstractTemplate):  # type: ignore[misc]
        def generic(self, given: Any, _named: Any) -> Any:
            """What numba asks for the types of an expression."""
            if len(given) == 2 and argument in given:
                return signature(result, argument, argument)
            return None

    infer_global(of)(Template)

    @lower_builtin(of, argument, argument)  # type: ignore[untyped-decorator]
    def _generated(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return emit(builder, *given)


def _method(name: str) -> Callable[..., Any]:
    return lambda builder, a, b: getattr(builder, name)(a, b)


def _ordered(sign: str) -> Callable[..., Any]:
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


for _of, _name in (("add", "fadd"), ("sub", "fsub"), ("mul", "fmul"), ("truediv", "fdiv")):
    _register_operator(getattr(operator, _of), _LANES, _LANES, _method(_name))
for _of, _sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "==")):
    _register_operator(getattr(operator, _of), _LANES, _MASK, _ordered(_sign))
for _of in ("and_", "or_"):
    _register_operator(getattr(operator, _of), _MASK, _MASK, _method(_of))


def _function(result: Any, arguments: tuple[Any, ...], emit: Callable[..., Any]) -> Any:
    """A function for kernels, compiled by `emit`."""

    def generated(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return emit(builder, *given)

    made = signature(result, *arguments), generated
    typed: dict[int, Callable[..., Any]] = {  # numba looks at how many there are
        1: lambda _, a: made,  # noqa: ARG005
        2: lambda _, a, b: made,  # noqa: ARG005
        3: lambda _, a, b, c: made,  # noqa: ARG005
        4: lambda _, a, b, c, d: made,  # noqa: ARG005
    }
    return intrinsic(typed[len(arguments)])


def _by_llvm(name: str) -> Callable[..., Any]:
    kind = ir.FunctionType(_DOUBLES, [_DOUBLES])

    def emit(builder: Any, a: Any) -> Any:
        called = cgutils.get_or_insert_function(builder.module, kind, f"{name}.v{LANES}f64")
        return builder.call(called, [a])

    return emit


def _pointer(builder: Any, address: Any, place: Any) -> Any:
    at = builder.add(address, builder.mul(place, ir.IntType(64)(VECTOR_BYTES)))
    return builder.inttoptr(at, _DOUBLES.as_pointer())


def _emit_get(builder: Any, address: Any, place: Any) -> Any:
    return builder.load(_pointer(builder, address, place), align=_ALIGNED)


def _emit_put(builder: Any, address: Any, place: Any, value: Any) -> Any:
    builder.store(value, _pointer(builder, address, place), align=_ALIGNED)
    return ir.IntType(64)(0)


def _emit_keep(builder: Any, address: Any, place: Any, value: Any, lane: Any) -> Any:
    first = builder.bitcast(_pointer(builder, address, place), ir.DoubleType().as_pointer())
    number = builder.extract_element(value, builder.trunc(lane, ir.IntType(32)))
    builder.store(number, builder.gep(first, [lane]))
    return ir.IntType(64)(0)


def _emit_larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", b, a), b, a)


def _emit_smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", b, a), b, a)


_PAIR: Final = (_LANES, _LANES)
_WHOLE: Final = types.int64

lanes = _function(_LANES, (_LANES,), lambda _, a: a)
"""lanes(number): a vector of it."""
select = _function(_LANES, (_MASK, *_PAIR), lambda builder, *given: builder.select(*given))
"""select(mask, a, b): `a` where the mask is set, else `b`."""
larger = _function(_LANES, _PAIR, _emit_larger)
"""larger(a, b), as `max` of two numbers."""
smaller = _function(_LANES, _PAIR, _emit_smaller)
"""smaller(a, b), as `min` of two numbers."""
square_root = _function(_LANES, (_LANES,), _by_llvm("llvm.sqrt"))
magnitude = _function(_LANES, (_LANES,), _by_llvm("llvm.fabs"))
get = _function(_LANES, (_WHOLE, _WHOLE), _emit_get)
"""get(address, place): the vector at `place`, counted in vectors."""
put = _function(_WHOLE, (_WHOLE, _WHOLE, _LANES), _emit_put)
"""put(address, place, value)"""
keep = _function(_WHOLE, (_WHOLE, _WHOLE, _LANES, _WHOLE), _emit_keep)
"""keep(address, place, value, lane): write one lane only."""
