"""`ats archive verify`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console

from ats.demo.steps import Step
from ats.runtime import exit_codes
from audit.archive.manifest import ArchiveManifest
from audit.archive.stored import days_in
from audit.archive.verification import Finding, verify_day
from audit.shown import clean

TOLD: Final = 20  # findings of a day that people are shown; --json has all


async def run(folder: Path, *, as_json: bool) -> int:
    """Verify each archived day in `folder`; returns the exit code, 1 where anything was changed.

    Raises:
        Misconfigured: there is no archive.
    """
    tell, out = Console(stderr=True), Console()
    with Step(tell, "verifying") as step:
        days = [(each, *verify_day(each, step.now)) for each in days_in(folder)]
    if as_json:
        body = [_object(*each) for each in days]
        sys.stdout.write(orjson.dumps(body).decode() + "\n")
    else:
        for each in days:
            for line in _lines(*each):
                out.print(clean(line), highlight=False, markup=False, soft_wrap=True)
    return exit_codes.BROKEN if any(findings for *_, findings in days) else exit_codes.DONE


def _object(path: Path, manifest: ArchiveManifest | None, findings: list[Finding]) -> object:
    return {
        "day": manifest.day.isoformat() if manifest else path.name,
        "intact": not findings,
        "digest": manifest.sha256 if manifest else None,
        "records": manifest.rows if manifest else None,
        "findings": [each._asdict() for each in findings],
    }


def _lines(path: Path, manifest: ArchiveManifest | None, findings: list[Finding]) -> Iterator[str]:
    yield from (str(each) for each in findings[:TOLD])
    if len(findings) > TOLD:
        yield f"and {len(findings) - TOLD:,} more (--json has all)"
    judged = "it is NOT as it was archived" if findings else "each byte is as archived"
    counted = f"{manifest.rows:,} records, digest {manifest.sha256}: " if manifest else ""
    yield f"{path}: {counted}{judged}"
