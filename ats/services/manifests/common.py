"""Inputs that several services share, and the log they are written to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from pydantic import JsonValue

from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.manifests import ManifestLog
from dhan.instruments import Master
from schemas.manifest import Inputs, plain
from schemas.market import Instrument
from schemas.units import IST, UtcNs

_COLUMNS: Final = tuple(each.name for each in fields(Instrument) if each.name != "id")


def log_of(connection: KafkaConnection, settings: Settings, service: str) -> ManifestLog:
    """The manifests of `service`: of the day that the settings name, else of each day in turn."""
    day = settings.ats_trading_date
    if day is None:
        return ManifestLog(connection, service)
    opens = datetime.combine(day, datetime.min.time(), tzinfo=IST)
    return ManifestLog(connection, service, UtcNs.from_datetime(opens))


def clock_of(settings: Settings) -> JsonValue:
    """Whose time holds, and the day that is traded where the settings name one."""
    return {"clock": settings.ats_clock, "trading_date": plain(settings.ats_trading_date)}


def instruments_of(instruments: Iterable[Instrument]) -> JsonValue:
    """A master as a table by id: every column that we read of it."""
    rows: dict[str, JsonValue] = {
        str(each.id): [plain(getattr(each, name)) for name in _COLUMNS]
        for each in sorted(instruments, key=lambda each: each.id)
    }
    return {"columns": plain(_COLUMNS), "rows": rows}


def universe_inputs(watched: Iterable[Instrument], master: Master) -> Inputs:
    """What a morning's new master changes."""
    return {
        "watch_list": plain({each.id for each in watched}),
        "instruments": instruments_of(master.by_id.values()),
    }


def host_of(url: str) -> str:
    """Only the host of an address: no key, no path, and no port, which a demo draws anew."""
    return urlsplit(url).hostname or ""
