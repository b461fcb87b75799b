"""`ats evaluate`: other instructions on recorded days, judged before they trade."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from agents.prompts import SHIPPED
from agents.providers import dialect_of
from ats.demo.steps import Step
from ats.replay.asking import ANSWERS, agreed, asking
from ats.replay.changes import Changes, changed, prompted
from ats.replay.day_settings import DaySettings
from ats.replay.options import ReplayOptions
from ats.replay.source import Source, recorded_by
from ats.replay.whatif import recorded_settings
from ats.replay.whatif_show import say
from ats.runtime import exit_codes
from ats.scorecard.evaluate_show import Evaluated, Way, as_json, show
from ats.services.llm import AskedModel
from audit.replay.recorded import span_of
from audit.scorecard.card import SEED, card_of
from audit.scorecard.forecasts import Forecasts, Recorded, forecasts_of
from audit.scorecard.paired import paired
from audit.scorecard.prices import Prices
from audit.scorecard.reading import ReadDays, read_days
from audit.whatif.asking import Bill, bill_of
from audit.whatif.day import Judgements, RecordedDay, WhatIf
from audit.whatif.decisions import Judged
from audit.whatif.kept import KeptAnswers
from executors.charges.rates import shipped_rates
from schemas.errors import Misconfigured
from streams.engine.machine import warm_up

RECORDED: Final = "as recorded"
MOST_WAYS: Final = 2


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What the command line says; see `ats evaluate --help`.

    Attributes:
        prompts: One file against the record, or two against each other.
        model: Who is asked; empty: the day's.
        yes: Ask without a question on the terminal.
        answers: Where answers asked anew are kept; None: where `ats replay` keeps them.
    """

    replay: ReplayOptions
    prompts: tuple[Path, ...]
    model: str = ""
    yes: bool = False
    answers: Path | None = None

    def __post_init__(self) -> None:
        """Raises Misconfigured where there is nothing to compare."""
        if not 1 <= len(self.prompts) <= MOST_WAYS:
            raise Misconfigured(
                "give one --prompt, which is held against the record, or two against each other"
            )


async def run(options: EvaluateOptions) -> int:
    """Judge the days both ways, ask where that was agreed to, and print both cards.

    Raises:
        Misconfigured: no such demo, cluster or record; a prompt file that cannot be used.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    for path in options.prompts:  # before minutes are spent on the record
        prompted(SHIPPED, path)
    async with recorded_by(options.replay.demo, tell) as source:
        before = await recorded_settings(source, options.replay)
        model = AskedModel.of(
            source.settings, options.model or before.model or source.settings.ats_model
        )
        path = options.answers or source.settings.ats_state_dir / ANSWERS
        days = _Days(options, source, before, model, KeptAnswers.read(path, model.name), tell)
        judged = await days.judged()
        played = source.settings.ats_clock == "market"
        with Step(tell, "reading the market") as step:
            span = span_of(options.replay.first, options.replay.last)
            read = await read_days(source.connection, span, step.now, played=played)
    evaluated = evaluated_of(options.prompts, judged, read)
    if options.replay.as_json:
        sys.stdout.write(as_json(evaluated) + "\n")
    else:
        show(Console(), evaluated)
    return exit_codes.DONE


@dataclass(frozen=True, slots=True)
class _Days:
    """The recorded days, and who may be asked about them."""

    options: EvaluateOptions
    source: Source
    before: DaySettings
    model: AskedModel
    kept: KeptAnswers
    tell: Console

    async def judged(self) -> list[Judgements]:
        """Of each prompt, what was decided with it and without it."""
        replay = self.options.replay
        after = [changed(self.before, Changes({}, prompts=path)) for path in self.options.prompts]
        with Step(self.tell, "replaying the days") as step:
            await asyncio.to_thread(
                warm_up, lambda done: step.now("compiling the engine, once", done.done, done.of)
            )
            engine = self.before.engine()
            ways = [
                WhatIf(
                    self.source.connection,
                    span_of(replay.first, replay.last),
                    self.before.setup(engine, self.before.prompts),
                    each.setup(engine, self.before.prompts),
                    rates=shipped_rates(),
                    tell=step.now,
                )
                for each in after
            ]
            day = await ways[0].read()
            if not day.before:
                raise Misconfigured(
                    f"no signal is recorded of {replay.first} to {replay.last}: another day?"
                )
            judged = [await way.judge(day, self.kept) for way in ways]
        bills = [self._bill(each, settings) for each, settings in zip(judged, after, strict=True)]
        if not any(bill.now for bill in bills) or not await self.agreed(bills):
            return judged
        return [
            await self._asked(way, day, settings, bill) if bill.now else known
            for way, settings, bill, known in zip(ways, after, bills, judged, strict=True)
        ]

    def _bill(self, judged: Judgements, after: DaySettings) -> Bill:
        name = self.model.name
        return bill_of(
            judged.after,
            judged.scans,
            model=name,
            price=self.model.price(self.source.settings) or self.before.prices.get(name),
            thoughts=dialect_of(name).thoughts,
            prompts=after.prompts,
        )

    async def agreed(self, bills: Sequence[Bill]) -> bool:
        """Whether models may be asked, after it was said what that costs."""
        names = names_of(self.options.prompts)[-len(bills) :]
        return await agreed(
            list(zip(names, bills, strict=True)),
            self.tell,
            yes=self.options.yes,
            has_key=self.model.has_key(self.source.settings),
        )

    async def _asked(
        self, way: WhatIf, day: RecordedDay, after: DaySettings, bill: Bill
    ) -> Judgements:
        endpoint = self.model.endpoint(self.source.settings)
        price = self.model.price(self.source.settings) or self.before.prices.get(self.model.name)
        wanted = asking(endpoint, after.prompts, bill, price=price, kept=self.kept, tell=self.tell)
        async with wanted as asker:
            judged = await way.judge(day, self.kept, asker)
        if asker.ended:
            say(self.tell, f"asking ended early: {asker.ended}")
        return judged


def names_of(prompts: Sequence[Path]) -> list[str]:
    """What both ways are called: by the files' names, or by their paths where those are one."""
    if len(prompts) == 1:
        return [RECORDED, prompts[0].name]
    names = [path.name for path in prompts]
    return names if len(set(names)) == len(names) else [str(path) for path in prompts]


def evaluated_of(
    prompts: Sequence[Path], judged: Sequence[Judgements], read: ReadDays
) -> Evaluated:
    """Both cards and the difference, over the signals that both ways have a decision on."""
    sides = [judged[0].before, judged[0].after] if len(judged) == 1 else [j.after for j in judged]
    known = [{each.signal.id for each in side if each.known} for side in sides]
    both = known[0] & known[1]
    prices = Prices(read.bars)
    forecasts = [_forecasts([e for e in side if e.signal.id in both], read) for side in sides]
    ways = tuple(
        Way(name, card_of(each, prices))
        for name, each in zip(names_of(prompts), forecasts, strict=True)
    )
    unknown = len({each.signal.id for side in sides for each in side}) - len(both)
    difference = paired(forecasts[0].decisions, forecasts[1].decisions, prices, SEED)
    return Evaluated(ways, difference, unknown)


def _forecasts(side: Sequence[Judged], read: ReadDays) -> Forecasts:
    """Both ways went out when the recorded decision did: which is quicker nobody knows."""
    recorded = Recorded([e.signal for e in side], (), [e.decision for e in side])
    return forecasts_of(recorded, lambda made: read.went_out.get(made.id, made.event_time))
