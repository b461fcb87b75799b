"""The header by which each record names the manifest that it was made under."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

from schemas.manifest import HEADER

Headers: TypeAlias = tuple[tuple[str, bytes], ...]


class Stamp:
    """What the publishers of one process write on every record; empty before the first manifest.

    A header, never the value: the value's bytes follow from what caused it alone, and the engine
    writes thousands of values at once.
    """

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: Headers = ()

    def name(self, manifest: UUID) -> None:
        """Whatever is sent from now on was made under `manifest`."""
        self.headers = ((HEADER, str(manifest).encode()),)
