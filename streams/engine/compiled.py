"""The one door to numba: compile a kernel and keep its machine code on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(kernel: F) -> F:
    """Compile `kernel` when first called. Exact IEEE arithmetic: no reordering, so results are equal on every machine."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(kernel))
