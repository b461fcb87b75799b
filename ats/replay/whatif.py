"""`ats replay` with a change: from its options to its exit code."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from agents.providers import dialect_of
from ats.demo.steps import Step
from ats.replay.asking import ANSWERS, agreed, asking
from ats.replay.changes import Changes, changed
from ats.replay.day_settings import DaySettings, day_settings
from ats.replay.inputs import manifests_of
from ats.replay.options import ReplayOptions
from ats.replay.source import Source, recorded_by
from ats.replay.whatif_show import Shown, as_json, show
from ats.runtime import exit_codes
from ats.services.calendars import whole_calendar
from ats.services.executors import limits_of as order_limits_of
from ats.services.executors import square_off_of
from ats.services.llm import AskedModel, limits_of, scout_options_of
from audit.replay.recorded import span_of
from audit.whatif.asking import bill_of
from audit.whatif.day import Judgements, RecordedDay, WhatIf
from audit.whatif.kept import KeptAnswers
from executors.charges.rates import shipped_rates
from schemas.errors import Misconfigured
from streams.engine.machine import warm_up
from streams.rules.config import read as read_rules


@dataclass(frozen=True, slots=True)
class WhatIfOptions:
    """What the command line says; see `ats replay --help`.

    Attributes:
        yes: Ask models without a question on the terminal.
        answers: Where answers asked anew are kept; None: below the state folder.
    """

    replay: ReplayOptions
    changes: Changes
    yes: bool = False
    answers: Path | None = None

    def __post_init__(self) -> None:
        """Raises Misconfigured where options contradict each other."""
        if self.replay.verify or self.replay.into:
            raise Misconfigured(
                "a what-if compares two sides of the record: leave --verify and --into away"
            )


@dataclass(frozen=True, slots=True)
class _Asked:
    """The model that is asked, and its answers so far."""

    model: AskedModel
    kept: KeptAnswers


async def run(options: WhatIfOptions) -> int:
    """Derive both sides, ask where that was agreed to, and print what differs.

    Raises:
        Misconfigured: no such demo, cluster or record; a change that cannot be made; no key for a
            model that is to be asked.
        TryLater: no broker answers.
    """
    tell = Console(stderr=True)
    async with recorded_by(options.replay.demo, tell, options.replay.archive) as source:
        source.check_holds(options.replay.first, options.replay.last)
        before = await recorded_settings(source, options.replay)
        after = changed(before, options.changes)
        line = options.changes.model or before.model or source.settings.ats_model
        asked = AskedModel.of(source.settings, line)
        path = options.answers or source.settings.ats_state_dir / ANSWERS
        kept = KeptAnswers.read(path, asked.name)
        shown = await _compared(options, source, (before, after), _Asked(asked, kept), tell)
    if options.replay.as_json:
        sys.stdout.write(as_json(shown) + "\n")
    else:
        show(Console(), shown)
    return exit_codes.DONE


async def _compared(
    options: WhatIfOptions,
    source: Source,
    sides: tuple[DaySettings, DaySettings],
    asked: _Asked,
    tell: Console,
) -> Shown:
    before, after = sides
    kept, name = asked.kept, asked.model.name
    price = asked.model.price(source.settings) or before.prices.get(name)
    thoughts = dialect_of(name).thoughts
    with Step(tell, "replaying both sides") as step:
        await asyncio.to_thread(
            warm_up, lambda done: step.now("compiling the engine, once", done.done, done.of)
        )
        what_if = _what_if(options, name, source, sides, step.now)
        day = await what_if.read()
        if not day.before and not day.decisions:
            raise Misconfigured(
                f"no signal and no decision is recorded of {options.replay.first} to "
                f"{options.replay.last}: is it another day?"
            )
        judged = await what_if.judge(day, kept)
    bill = bill_of(
        judged.after,
        judged.scans,
        model=name,
        price=price,
        thoughts=thoughts,
        prompts=after.prompts,
    )
    asker = None
    has_key = asked.model.has_key(source.settings)
    if bill.now and await agreed([("", bill)], tell, yes=options.yes, has_key=has_key):
        endpoint = asked.model.endpoint(source.settings)
        wanted = asking(endpoint, after.prompts, bill, price=price, kept=kept, tell=tell)
        async with wanted as asker:
            judged = await what_if.judge(day, kept, asker)
    with Step(tell, "comparing") as step:
        difference = await what_if.compare(day, judged)
    return Shown(difference, bill, asker, notes_of(before, day, judged))


def _what_if(
    options: WhatIfOptions,
    model: str,
    source: Source,
    sides: tuple[DaySettings, DaySettings],
    tell: Callable[[str, int, int], None],
) -> WhatIf:
    before, after = sides
    engine = before.engine()
    other = engine if after.document == before.document else after.engine()
    return WhatIf(
        source.connection,
        span_of(options.replay.first, options.replay.last),
        before.setup(engine, before.prompts),
        after.setup(other, before.prompts, model if options.changes.model else ""),
        rates=shipped_rates(),
        tell=tell,
    )


async def recorded_settings(source: Source, options: ReplayOptions) -> DaySettings:
    """What the day's manifests tell; what they do not is as it is set here.

    Raises:
        Misconfigured: the record, or what is set here in its place, cannot be used.
        TryLater: no broker answers.
    """
    told = await manifests_of(source.connection, options.first, options.last)
    settings = source.settings
    recorded = {name for each in told if each.service == "streams" for name in each.inputs}
    here = DaySettings(
        decisions=limits_of(settings),
        scout=scout_options_of(settings),
        platform=order_limits_of(settings),
        square_off=square_off_of(settings),
    )
    # a file that stands here, and the day's master, are asked for only where they count
    if "rules" not in recorded:
        here = replace(here, document=read_rules(settings.ats_rules).document)
    if "calendar" not in recorded:
        here = replace(here, calendar=await whole_calendar(settings))
    return day_settings(told, here)


def notes_of(before: DaySettings, day: RecordedDay, judged: Judgements) -> tuple[str, ...]:
    """What a reader has to know of both sides."""
    notes = list(before.notes)
    if day.foreign:
        notes.append(
            f"{day.foreign:,} decisions come out differently here than in the record although "
            "nothing was changed; `ats replay --verify` names the first"
        )
    if guessed := sum(each.guessed_news for each in judged.after if each.known):
        notes.append(
            f"{guessed:,} signals have no recorded headlines: those of the instrument's signal "
            "before were taken"
        )
    if judged.scans:
        notes.append("the Scout was not asked: the recorded list stands on both sides")
    if not before.instruments:
        notes.append("the day's instruments are not recorded, so there are no orders to compare")
    return tuple(notes)
