"""`ats ledger verify`: a day's records against what was signed of them."""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console

from ats.demo.steps import Step
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.services.ledger_keys import kept_head, trusted
from audit.ledger.reading import day_records, leaves, read_ledger
from audit.ledger.verification import DayLog, Trust, Verdict, verify
from audit.shown import clean
from schemas.errors import Misconfigured

TOLD: Final = 20  # findings that people are shown; --json has all


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What the command line says; see `ats ledger verify --help`.

    Attributes:
        head: File of a signed head that was kept elsewhere.
        archive: The folder of an archive, which is read instead of Kafka.
    """

    day: date
    demo: Path | None
    head: Path | None
    as_json: bool
    archive: Path | None = None


async def run(options: VerifyOptions) -> int:
    """Verify, and print what came of it; returns the exit code, 1 where anything was changed.

    Raises:
        Misconfigured: no key, no cluster, no topics, or no log of the day.
        TryLater: no broker answers.
    """
    tell, kept = Console(stderr=True), kept_head(options.head)
    async with recorded_by(options.demo, tell, options.archive) as source:
        trust = trusted(source.settings)
        with Step(tell, "reading the ledger"):
            ledgers = await read_ledger(source.connection)
            log = DayLog.of(options.day, ledgers.batches, ledgers.heads)
        if not (log.entries or log.heads or kept):
            raise Misconfigured(
                f"the ledger has no log of {options.day}: does `ats ledger run` run?"
            )
        with Step(tell, "comparing the records"):
            records = await day_records(source.connection, options.day, log)
            verdict = verify(log, leaves(records), trust, kept)
    if options.as_json:
        sys.stdout.write(as_json(verdict) + "\n")
    else:
        show(Console(), verdict, trust)
    return exit_codes.BROKEN if verdict.findings else exit_codes.DONE


def as_json(verdict: Verdict) -> str:
    """One object: counts, the root, and every finding."""
    body = {
        "intact": not verdict.findings,
        "leaves": verdict.signed,
        "root": base64.b64encode(verdict.root).decode(),
        "cosigned": verdict.cosigned,
        "records": verdict.checked,
        "pending": verdict.pending,
        "findings": [
            {"kind": each.kind.value, "place": each.place, "note": each.note}
            for each in verdict.findings
        ],
    }
    return clean(orjson.dumps(body).decode())


def show(console: Console, verdict: Verdict, trust: Trust) -> None:
    """For people."""

    def say(line: str) -> None:
        console.print(clean(line), highlight=False, markup=False, soft_wrap=True)

    for each in verdict.findings[:TOLD]:
        say(str(each))
    if len(verdict.findings) > TOLD:
        say(f"and {len(verdict.findings) - TOLD:,} more (--json has all)")
    say(f"{verdict.signed:,} leaves signed by {trust.log.name}, root {verdict.root.hex()[:16]}…")
    for witness in trust.witnesses:
        say(f"{verdict.cosigned:,} of them cosigned by {witness.name}")
    if not trust.witnesses:
        say("No key of a witness is known here, so no cosignature was asked for.")
    if verdict.pending:
        say(f"{verdict.pending:,} records have no leaf yet.")
    if verdict.findings:
        say(f"{verdict.checked:,} records compared; they are NOT as they were signed.")
    else:
        say(f"{verdict.checked:,} records compared: each is as it was signed.")
