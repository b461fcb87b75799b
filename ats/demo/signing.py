"""The ledger of a demo that is kept: what happened is signed at its end, then cosigned.

Ledger and witness are the commands that an operator runs, each a process of its own with a key of
its own. Both keys are made here and stay in the demo's folder: they prove that nobody touched the
day without them, and nothing about whoever has the folder.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

from ats.demo.stack import Stack
from ats.demo.starting import until_done
from ats.services.ledger_keys import made, trusted
from audit.ledger.reading import day_records, leaves, read_ledger
from audit.ledger.verification import DayLog, verify

NAME: Final = "demo.invalid"  # RFC 2606: nobody's
TOLD: Final = 5  # findings that are named


async def sign(stack: Stack, day: date, check: Callable[[], None]) -> list[str]:
    """Sign what the topics hold, verify it, and say what is not as it was signed.

    `check` raises when a part of the demo has ended.

    Raises:
        Misconfigured, Faulty, TryLater: ledger or witness did not come to its end.
    """
    settings = stack.settings()
    made(settings, f"{NAME}/ledger", witness=False, folder=None)
    made(settings, f"{NAME}/witness", witness=True, folder=None)
    for name, command in (("ledger", "run"), ("witness", "witness")):
        child = stack.child(name, "ledger", command, "--until-end")
        await until_done(child, f"the {name} did not sign the day", check)
    kafka = settings.kafka()
    log = DayLog.of(day, *await read_ledger(kafka))
    verdict = verify(log, leaves(await day_records(kafka, day, log)), trusted(settings))
    problems = [str(each) for each in verdict.findings[:TOLD]]
    if verdict.cosigned < verdict.signed:
        problems.append(f"of {verdict.signed:,} leaves {verdict.cosigned:,} are cosigned")
    return problems if verdict.signed else [*problems, "nothing was signed"]
