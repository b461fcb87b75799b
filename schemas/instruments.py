"""Instruments as a person writes them into a file: `["NSE_EQ:2885"]`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator

from schemas.ids import InstrumentId


def _read(given: object) -> object:
    """Read every text before pydantic does, which would report each way it tried."""
    if not isinstance(given, list | tuple | set | frozenset):
        raise ValueError('write a list, such as ["NSE_EQ:2885"]')
    return frozenset(_instrument(each) for each in given)


def _instrument(given: object) -> InstrumentId:
    return given if isinstance(given, InstrumentId) else InstrumentId.parse(str(given))


Instruments: TypeAlias = Annotated[frozenset[InstrumentId], BeforeValidator(_read)]
"""Any number of them, each once; what is wrong is said in one sentence."""
