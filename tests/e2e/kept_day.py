"""What `ats report` says of a day that a demo kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rich.console import Console

from ats.replay.source import recorded_by
from ats.services.ledger_keys import trusted
from audit.days import DayReader
from audit.replay.recorded import span_of
from audit.report.day import report_of
from audit.report.page import page
from audit.report.record import DayRecord, read_record
from executors.charges.rates import shipped_rates
from schemas.messages import Execution, OrderIntent, Position, Trade


@dataclass(frozen=True)
class Reported:
    """Of one kept day.

    Attributes:
        gross: P&L before charges of each user who traded, in paise.
        leaks: Names of others that stand on one user's own page.
        signers: Whose signatures are believed, without a setting.
    """

    gross: Counter[int]
    leaks: list[str]
    signers: list[str]


async def reported(kept: Path, day: date) -> Reported:
    """Ask as `ats report` does, of everybody and of one user; the broker is started once."""
    async with recorded_by(kept, Console(stderr=True)) as source:
        trust = trusted(source.settings)
        days = DayReader(source.kafka, span_of(day, day), lambda *_: None)
        whole = await read_record(days, day, None)
        somebody = whole.of(Trade)[0].user_id
        own = await read_record(days, day, somebody)
    gross = Counter[str]()
    for each in report_of(whole, shipped_rates()).positions:
        gross[str(each.user)] += each.gross
    shown = page(report_of(own, shipped_rates()))
    assert str(somebody) in shown
    leaks = [each for each in names_in(whole) - names_in(own) if each in shown]
    signers = [key.name for key in (trust.log, *trust.witnesses)]
    return Reported(Counter(gross.values()), leaks, signers)


def names_in(record: DayRecord) -> set[str]:
    """Users, and what they have at the platform and at the broker."""
    found = set[str]()
    kinds = OrderIntent, Execution, Trade, Position
    for each in (each for kind in kinds for each in record.of(kind)):
        assert isinstance(each, kinds)
        found |= {str(each.id), str(each.user_id)}
    for trade in record.of(Trade):
        found |= {trade.fill.dhan_order_id, trade.dhan_correlation_id} - {""}
    return found
