"""`ats archive verify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import orjson
from rich.console import Console

from ats.demo.steps import Step
from ats.runtime import exit_codes
from audit.archive.stored import days_in
from audit.archive.verification import verify_day
from audit.shown import clean

TOLD: Final = 20  # findings of a day that people are shown; --json has all


async def run(folder: Path, *, as_json: bool) -> int:
    """Verify each archived day in `folder`; returns the exit code, 1 where anything was changed.

    Raises:
        Misconfigured: there is no archive, or a manifest cannot be read.
    """
    tell, out = Console(stderr=True), Console()
    with Step(tell, "verifying") as step:
        days = [(each, *verify_day(each, step.now)) for each in days_in(folder)]
    if as_json:
        body = [
            {
                "day": manifest.day.isoformat(),
                "intact": not findings,
                "digest": manifest.sha256,
                "records": manifest.rows,
                "findings": [each._asdict() for each in findings],
            }
            for _, manifest, findings in days
        ]
        sys.stdout.write(orjson.dumps(body).decode() + "\n")
    else:
        for path, manifest, findings in days:
            lines = [str(each) for each in findings[:TOLD]]
            if len(findings) > TOLD:
                lines.append(f"and {len(findings) - TOLD:,} more (--json has all)")
            judged = "it is NOT as it was archived" if findings else "each byte is as archived"
            lines.append(f"{path}: {manifest.rows:,} records, digest {manifest.sha256}: {judged}")
            for line in lines:
                out.print(clean(line), highlight=False, markup=False, soft_wrap=True)
    return exit_codes.BROKEN if any(findings for *_, findings in days) else exit_codes.DONE
