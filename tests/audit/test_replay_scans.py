"""The Scout's list of a day is derived again from recorded daily bars, and nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.journal import LlmCallCache
from agents.model import Model
from agents.recorded_history import RecordedHistory
from agents.scout import ScoutOptions, scan
from audit.replay.answers import AgentsAsSet, Answered
from audit.replay.scans import Histories, scan_again, without_bars
from schemas.codec import encode
from schemas.errors import TryLater, Unreadable
from schemas.ids import InstrumentId
from schemas.inputs import DailyBars
from schemas.market import Instrument
from schemas.messages import Scan
from schemas.units import Price, UtcNs
from tests.agents.factories import DAY, OPENS, Topic, a_journal
from tests.agents.test_scout import OPTIONS, UNIVERSE, Unhurried
from tests.agents.test_scout import Histories as Archive

BEFORE, THEN, AFTER = (UtcNs(OPENS + n) for n in (-1, 0, 1))  # when the scan was published: THEN


@dataclass
class Morning:
    """A scan as it was made, and what is written down of it.

    Attributes:
        answers: What stands on `ats.daily-bars`, in its order.
    """

    scan: Scan
    calls: Topic
    answers: list[DailyBars] = field(default_factory=list)

    def bars(self, *later: DailyBars) -> Mapping[InstrumentId, DailyBars]:
        histories = Histories()
        for answer in self.answers:
            histories.add(answer, BEFORE)
        for answer in later:
            histories.add(answer, AFTER)
        return histories.used_by(DAY, THEN)

    async def again(self, bars: Mapping[InstrumentId, DailyBars]) -> Answered:
        named = {each.id: each for each in UNIVERSE}
        cache = LlmCallCache(self.calls.calls)
        return await scan_again(self.scan, bars, named, cache, AgentsAsSet(scout=OPTIONS))


async def a_morning(
    model: Model, universe: list[Instrument] = UNIVERSE, options: ScoutOptions = OPTIONS
) -> Morning:
    """One share has no history, one is unreadable, one too young, and one comes late."""
    answers, calls = list[DailyBars](), Topic()
    away: list[Exception] = [TryLater(f"busy, {n}") for n in (1, 2, 3)]
    archive = Archive(
        {"SYM01": [*away], "SYM02": [Unreadable("no candles")], "SYM03": 20, "SYM05": away[:1]}
    )

    async def publish(answer: DailyBars) -> None:
        answers.append(answer)

    made = await scan(
        DAY,
        universe,
        RecordedHistory(archive, DAY, OPENS, {}, publish),
        opens=OPENS,
        journal=a_journal(model, calls),
        model_seconds=10,
        limiter=Unhurried(),
        options=options,
    )
    return Morning(made, calls, answers)


def value(made: Answered) -> bytes:
    (output,) = made.outputs
    return output.value


async def test_a_scan_is_derived_from_the_recorded_bars_failed_and_late_answers_included(
    model: Model,
) -> None:
    morning = await a_morning(model)

    made = await morning.again(morning.bars())

    assert value(made) == encode(morning.scan)
    assert not made.note
    assert not without_bars(morning.scan, morning.bars())


async def test_features_that_are_not_those_of_the_bars_show_in_the_scan(model: Model) -> None:
    morning = await a_morning(model)
    entry = morning.scan.entries[0]
    features = entry.features | {"rsi_14": entry.features["rsi_14"] + 1e-9}
    entries = (entry.model_copy(update={"features": features}), *morning.scan.entries[1:])
    lived, morning.scan = morning.scan, morning.scan.model_copy(update={"entries": entries})

    made = await morning.again(morning.bars())

    assert encode(morning.scan) != value(made) == encode(lived)


async def test_one_bar_a_paisa_dearer_makes_another_scan(model: Model) -> None:
    morning = await a_morning(model)
    last = morning.answers[-1]
    dearer = (*last.close[:-1], Price(last.close[-1] + 1))
    morning.answers[-1] = last.model_copy(update={"close": dearer})

    made = await morning.again(morning.bars())

    assert value(made) != encode(morning.scan)


async def test_a_share_with_recorded_bars_that_the_scan_leaves_out_comes_back(
    model: Model,
) -> None:
    morning = await a_morning(model)
    whole = encode(morning.scan)
    entries = tuple(each for each in morning.scan.entries if each.symbol != "SYM01")
    morning.scan = morning.scan.model_copy(update={"entries": entries})

    made = await morning.again(morning.bars())

    assert value(made) == whole


async def test_bars_that_came_after_the_scan_do_not_count(model: Model) -> None:
    morning = await a_morning(model)
    (late,) = (await a_morning(model, [UNIVERSE[4]])).answers[-1:]
    instead = late.model_copy(update={"instrument": UNIVERSE[0].id})

    made = await morning.again(morning.bars(instead))

    assert value(made) == encode(morning.scan)


async def test_without_recorded_bars_features_are_taken_as_they_stand_and_a_note_says_so(
    model: Model,
) -> None:
    morning = await a_morning(model)
    morning.answers.clear()

    made = await morning.again(morning.bars())

    assert value(made) == encode(morning.scan)
    assert without_bars(morning.scan, morning.bars()).startswith("of 8 of 8 instruments")
