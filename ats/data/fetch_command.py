"""`ats data fetch`: what it prints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from rich.console import Console

from ats.data.catalogue import held
from ats.data.command import MOST_SHOWN, in_days, line, progress
from ats.data.fetch import Fetched, Stretch, fetch, known_days, last_whole_day, stretches
from ats.runtime import exit_codes
from ats.services.context import credentials_of, instrument_master, instruments_of
from ats.settings import load
from dhan.history import History
from dhan.rate_limiter import RateLimiter
from dhan.transport import BaseUrl, open_client
from schemas.errors import Misconfigured
from schemas.market import Instrument
from schemas.units import UtcNs
from simulator.market.bars import is_symbol
from simulator.market.report import counted

OLDEST: Final = date(1995, 1, 1)  # NSE began in November 1994


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """What the command line says; see `ats data fetch --help`. Both days are included."""

    symbols: tuple[str, ...]
    first: date | None
    last: date | None
    folder: Path
    replace: bool


async def run(console: Console, request: FetchRequest, now: UtcNs) -> int:
    """Fetch, and say what came of it.

    Raises:
        Misconfigured: no such symbol, no days to ask for, no account for market data, or a
            catalogue that cannot be written.
        TryLater: Dhan gives no answer, or another command writes the catalogue.
    """
    first, last = _days(request, now)
    settings = load()
    credentials = credentials_of(settings)
    found = instruments_of(await instrument_master(settings), request.symbols, "--symbols")
    with held(request.folder):
        plan = _plan(request, found, first, last)
        async with open_client() as http:
            source = History(http, BaseUrl.parse(settings.dhan_data_url), credentials)
            with progress(console) as bar:
                task = bar.add_task("", total=len(plan))

                def tell(stretch: Stretch) -> None:
                    bar.update(task, description=f"{stretch}", completed=plan.index(stretch))

                fetched = await fetch(
                    plan,
                    source,
                    request.folder,
                    pace=RateLimiter(clock=time.monotonic),
                    replace=request.replace,
                    tell=tell,
                )
    return _say(console, request.folder, len(plan), fetched)


def _days(request: FetchRequest, now: UtcNs) -> tuple[date, date]:
    over = last_whole_day(now)
    last = min(request.last or over, over)
    if not request.symbols:
        raise Misconfigured("--symbols names none: give NSE shares or indices, such as RELIANCE")
    if request.first is None or not OLDEST <= request.first <= last:
        raise Misconfigured(
            f"no day to fetch: --from is {request.first}, and the last day that is asked for is "
            f"{last} (bars of {over} are the newest that are all there)"
        )
    return request.first, last


def _plan(
    request: FetchRequest, found: Sequence[Instrument], first: date, last: date
) -> list[Stretch]:
    """Oldest first, so that the symbols of a day are written together."""
    known = {} if request.replace else known_days(request.folder, first, last)
    made = list[Stretch]()
    for each in found:
        if not is_symbol(each.symbol):
            raise Misconfigured(f"{each.id} has a symbol that no catalogue takes")
        made += stretches(each, first, last, known.get(each.symbol, frozenset()))
    return sorted(made, key=lambda each: (each.first, each.instrument.symbol))


def _say(console: Console, folder: Path, asked: int, fetched: Fetched) -> int:
    for said in counted(fetched.imported.contradicted, "Dhan's history"):
        line(console, f"{said}; left as it was, `--replace` takes Dhan's")
    nothing = [f"Dhan has nothing of {each}" for each in fetched.empty]
    for said in (*nothing[:MOST_SHOWN], *fetched.failed[:MOST_SHOWN]):
        line(console, said)
    if fetched.outside:
        line(console, f"{fetched.outside:,} bars outside the session of 09:15 to 15:30 left out")
    imported = fetched.imported
    line(
        console,
        f"{folder}: {imported.added:,} bars are new, {imported.replaced:,} replaced, of "
        f"{in_days(len(imported.days))}; {asked:,} requests, {len(fetched.empty):,} of nothing, "
        f"{len(fetched.failed):,} unreadable",
    )
    return exit_codes.TRY_LATER if fetched.failed else exit_codes.DONE
