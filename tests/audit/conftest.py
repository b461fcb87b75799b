from __future__ import annotations

from tests.executors.conftest import dhan, http, scripted

__all__ = ["dhan", "http", "scripted"]
