"""Other processes for a backtest. They end with this one, however it ends.

A module of its own, because each of them imports it before it does anything.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from threading import Thread
from typing import Final

FEW: Final = 5  # days that are played sooner than other processes have started


@contextmanager
def pool_of(jobs: int, files: int) -> Iterator[Executor | None]:
    """Other processes where they are worth their start. Ctrl-C ends this one, and so them."""
    if jobs < 2 or files <= FEW:
        yield None
        return
    clean = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, clean, initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin() -> None:
    _belong_to_parent()
    collect_seldom()


def collect_seldom() -> None:
    """A day of orders is a million small objects and no circles: looking for these took a fifth."""
    gc.freeze()
    gc.set_threshold(200_000, 50, 50)


def _belong_to_parent() -> None:
    """Leave Ctrl-C to it, and end when it is gone: after `kill -9` nobody else would say so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
