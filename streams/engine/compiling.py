"""How far the compilation of the kernels is, for whoever waits for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from numba.core import event
from numba.core.dispatcher import Dispatcher

_OURS: Final = "streams.engine."


class Compiled(NamedTuple):
    """One kernel is compiled.

    Attributes:
        done: Kernels compiled so far, each counted once.
        of: Kernels there are.
        kernel: This one. Some are compiled again, for other types.
    """

    done: int
    of: int
    kernel: str


@contextmanager
def watched(tell: Callable[[Compiled], None]) -> Iterator[None]:
    """While it lasts, `tell` hears of each kernel that is compiled; of none that the disk had."""
    with event.install_listener("numba:compile", _Watch(tell)):
        yield


class _Watch(event.Listener):  # type: ignore[misc]  # numba is untyped
    def __init__(self, tell: Callable[[Compiled], None]) -> None:
        self._tell = tell
        self._all = _kernels()
        self._done: set[str] = set()

    def on_start(self, _event: Any) -> None:
        """Nothing is said of a kernel before it is done."""

    def on_end(self, event: Any) -> None:
        kernel = _name(event.data["dispatcher"])
        if kernel in self._all:
            self._done.add(kernel)
            self._tell(Compiled(len(self._done), len(self._all), kernel.removeprefix(_OURS)))


def _kernels() -> frozenset[str]:
    modules = [module for name, module in sys.modules.items() if name.startswith(_OURS)]
    values = (value for module in modules for value in vars(module).values())
    named = (_name(value) for value in values if isinstance(value, Dispatcher))
    return frozenset(name for name in named if name.startswith(_OURS))


def _name(dispatcher: Any) -> str:
    return f"{dispatcher.py_func.__module__}.{dispatcher.py_func.__qualname__}"
