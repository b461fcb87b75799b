"""`ats preflight`: whether each user may enter anything today, as the order workers found it.

They look at every connected account before its first entry of the day, and again while something is
red (`executors/preflights.py`). Here their newest verdicts are read from `ats.preflights`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import aclosing
from datetime import date
from typing import Final

from rich.console import Console
from rich.table import Table

from ats.runtime import exit_codes
from ats.services.context import database
from ats.settings import load
from bus.reader import read_topics
from bus.records import Record
from executors.reasons import for_operator
from executors.risk.preflight import Red
from executors.store import KeyRow, Store
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.ids import UserId
from schemas.market import trading_day
from schemas.messages import Preflight
from schemas.topics import PREFLIGHTS
from schemas.units import UtcNs

DAY_BACK: Final = UtcNs.minutes(24 * 60)


async def show(console: Console) -> int:
    """Print a line for each connected user; returns the exit code, 1 when one is red."""
    settings, now = load(), UtcNs(time.time_ns())
    if settings.ats_mode == "paper":
        console.print("paper money asks for no preflight: entries leave without one")
        return exit_codes.DONE
    async with database(settings) as client:
        keys = await Store(client).trading_keys()
    since = UtcNs(now - DAY_BACK)
    topics = read_topics(settings.kafka(), [PREFLIGHTS], since=since, until_end=True)
    async with aclosing(topics) as records:
        verdicts = newest([record async for record in records])
    lines = verdict_lines([row for row in keys if row.token_expiry], verdicts, trading_day(now))
    table = Table("account", "user", "today", "why, and what to do")
    for account, user, reds in lines:
        said = "\n".join(f"{red}: {for_operator(red)}" for red in reds)
        table.add_row(account, user, "[red]red[/]" if reds else "[green]green[/]", said)
    console.print(table if lines else "nobody is connected to Dhan")
    return exit_codes.BROKEN if any(reds for _, _, reds in lines) else exit_codes.DONE


def newest(records: Iterable[Record]) -> dict[UserId, Preflight]:
    """The last verdict on each user; what cannot be read says nothing."""
    verdicts: dict[UserId, Preflight] = {}
    for record in records:
        try:
            told = decode(Preflight, record.value)
        except Unreadable:
            continue
        before = verdicts.get(told.user_id)
        if before is None or told.event_time >= before.event_time:
            verdicts[told.user_id] = told
    return verdicts


def verdict_lines(
    keys: Iterable[KeyRow], verdicts: dict[UserId, Preflight], day: date
) -> list[tuple[str, str, tuple[str, ...]]]:
    """Account, user and reasons of each connected user; nobody is green without a look on `day`."""
    lines = []
    for row in keys:
        told = verdicts.get(row.user)
        today = told is not None and told.trading_date == day
        reds = told.reds if told and today else (Red.PREFLIGHT_MISSING.value,)
        lines.append((str(row.client_id), str(row.user), reds))
    return lines
