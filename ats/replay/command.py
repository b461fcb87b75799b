"""The command from its options to its exit code."""

from __future__ import annotations

import sys

from rich.console import Console

from ats.demo.steps import Step
from ats.replay.options import ReplayOptions
from ats.replay.show import Verdict, as_json, show
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.services.calendars import whole_calendar
from ats.services.streams import service_of
from audit.replay.day import Cores, Replay, span_of


async def run(options: ReplayOptions) -> int:
    """Replay, and print what came of it; returns the exit code, 1 where record and replay differ.

    Raises:
        Misconfigured: no such demo, no cluster, no topics, or settings that cannot be used.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    async with recorded_by(options.demo, tell) as (connection, settings):
        cores = Cores(service_of(settings, calendar=await whole_calendar(settings)))
        span = span_of(options.first, options.last)
        with Step(tell, "replaying") as step:
            replay = Replay(connection, span, cores, verify=options.verify, tell=step.now)
            replayed = await replay.run()
        first = replayed.first
        verdict = Verdict(replayed, await replay.field_of(first) if first else None)
    if options.as_json:
        sys.stdout.write(as_json(verdict) + "\n")
    else:
        show(Console(), verdict, verify=options.verify)
    return exit_codes.DONE if replayed.equal else exit_codes.BROKEN
