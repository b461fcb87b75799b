"""The command from its options to its exit code."""

from __future__ import annotations

import asyncio
import sys

from rich.console import Console

from ats.demo.steps import Step
from ats.replay.inputs import RecordedInputs, recorded_inputs
from ats.replay.options import ReplayOptions
from ats.replay.show import Verdict, as_json, show, tell_differing
from ats.replay.source import Source, recorded_by
from ats.runtime import exit_codes
from ats.services.executors import limits_of
from ats.services.llm import options_of, scout_options_of
from ats.services.streams import Computed
from audit.replay.answers import AgentsAsSet
from audit.replay.day import Cores, Replay
from audit.replay.orders import OrdersAsSet
from audit.replay.publish import Pace, republish
from audit.replay.recorded import span_of
from schemas.errors import Misconfigured
from streams.engine.machine import warm_up
from streams.service import engine_service


async def run(options: ReplayOptions) -> int:
    """Replay, and print what came of it; returns the exit code, 1 where record and replay differ.

    Raises:
        Misconfigured: no such demo, no cluster, no topics, no record of the days, or settings that
            cannot be used.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    async with recorded_by(options.demo, tell, options.archive) as source:
        if options.into:
            await _write_again(options, source, tell)
            return exit_codes.DONE
        source.check_holds(options.first, options.last)
        computed, inputs = await recorded_inputs(
            source.connection, options.first, options.last, source.settings
        )
        if inputs.differing and options.verify:
            tell_differing(inputs.differing, as_json=options.as_json)
            return exit_codes.BROKEN
        cores = cores_of(source, computed, inputs)
        span = span_of(options.first, options.last)
        with Step(tell, "replaying") as step:
            await asyncio.to_thread(
                warm_up, lambda done: step.now("compiling the engine, once", done.done, done.of)
            )
            replay = Replay(source.connection, span, cores, verify=options.verify, tell=step.now)
            replayed = await replay.run()
        if replayed.empty:
            raise Misconfigured(
                f"nothing is recorded of {options.first} to {options.last}: is it another day? "
                "`ats tail ats.candles --last 1` shows one that is there"
            )
        first = replayed.first
        verdict = Verdict(replayed, await replay.field_of(first) if first else None)
    if options.as_json:
        sys.stdout.write(as_json(verdict) + "\n")
    else:
        show(Console(), verdict, verify=options.verify)
    return exit_codes.DONE if replayed.equal else exit_codes.BROKEN


async def _write_again(options: ReplayOptions, source: Source, tell: Console) -> None:
    """Republish the days, and say how many records went where."""
    span = span_of(options.first, options.last)
    with Step(tell, "writing the day again") as step:
        written = await republish(
            source.kafka,
            span,
            prefix=options.into,
            pace=Pace(options.speed),
            tell=step.now,
        )
    for name, count in sorted(written.items()):
        tell.print(f"{count:>9,}  {name}", highlight=False)


def cores_of(source: Source, computed: Computed, inputs: RecordedInputs) -> Cores:
    """The cores as they were set for the record."""
    settings, shares = source.settings, inputs.instruments
    return Cores(
        engine_service(computed.rule_set.rules, None, computed.config),
        AgentsAsSet(options_of(settings), scout_options_of(settings)),
        None if shares is None else OrdersAsSet(shares, limits_of(settings)),
        notes=inputs.notes,
    )
