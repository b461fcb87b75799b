"""What the record says it was made under, and in what others differ that are set here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from ats.services.calendars import calendar_of, whole_calendar
from ats.services.executors import crowd_of, limits_of
from ats.services.llm import news_of, options_of, scout_options_of
from ats.services.manifests.committee import agent_inputs
from ats.services.manifests.market import engine_inputs
from ats.services.manifests.orders import platform_limits
from ats.services.streams import Computed, computed_under
from ats.settings import Settings
from audit.manifest import RecordedManifest, differences, read_manifests
from bus.stored import Topics
from schemas.calendar import Calendar
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.instruments import Instruments
from schemas.manifest import Inputs
from schemas.market import Instrument

# What decides bytes. Of the rest, such as addresses and prices of tokens, the record holds what
# came of it.
DECIDES: Final[Mapping[str, frozenset[str]]] = {
    "streams": frozenset({"engine", "rules", "talib", "timeframes", "indicators", "calendar"}),
    "agents": frozenset({"prompts", "news", "decisions", "scout", "calendar"}),
    "executors": frozenset({"limits"}),
}
_BUILD: Final = frozenset({"build"})
_INSTRUMENT: Final = TypeAdapter(Instrument)
_SHARES: Final = TypeAdapter(Instruments)


@dataclass(frozen=True, slots=True)
class RecordedInputs:
    """What the manifests of the replayed days tell.

    Attributes:
        differing: Inputs that are others here, each in a sentence; then nothing can be compared.
        notes: What may matter all the same, such as another build of ATS.
        instruments: Of the order workers' instrument master; None where it is not recorded.
    """

    differing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    instruments: Mapping[InstrumentId, Instrument] | None = None


def inputs_here(settings: Settings, computed: Computed, calendar: Calendar) -> dict[str, Inputs]:
    """By service, what would be written down here.

    Raises:
        Misconfigured: the news cannot be used.
    """
    agents = agent_inputs(
        settings,
        endpoints=(),
        prices=(),
        news=news_of(settings),
        options=options_of(settings),
        scout=scout_options_of(settings),
        calendar=calendar,
        symbols=(),
    )
    limits = platform_limits(settings, limits_of(settings), crowd_of(settings))
    return {
        "streams": engine_inputs(*computed),
        "agents": agents,
        "executors": {"limits": limits},
    }


async def recorded_inputs(
    connection: Topics, first: date, last: date, settings: Settings
) -> tuple[Computed, RecordedInputs]:
    """What is computed under `settings`, and what the manifests from `first` to `last` say of that.

    Raises:
        Misconfigured: settings that cannot be used.
        TryLater: no broker answers, or the instrument master is needed and did not come.
    """
    told = await manifests_of(connection, first, last)
    calendar = await calendar_for(told, settings)
    computed = computed_under(settings, calendar)
    return computed, told_by(told, inputs_here(settings, computed, calendar))


async def manifests_of(connection: Topics, first: date, last: date) -> list[RecordedManifest]:
    """The manifests of the days from `first` to `last`; none of a record that is older than they.

    Raises:
        TryLater: no broker answers.
    """
    try:
        manifests = await read_manifests(connection)
    except Misconfigured:  # a record from before there were manifests
        return []
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [each for day in days for each in manifests.of_day(day)]


async def calendar_for(told: Iterable[RecordedManifest], settings: Settings) -> Calendar:
    """The calendar that is set here, to judge what was made under `told`.

    Which shares close in an auction the day's instrument master said, and the record holds: today's
    is asked where it does not.

    Raises:
        Misconfigured: a calendar that cannot be used.
        TryLater: the instrument master is needed and did not come.
    """
    calendar = calendar_of(settings)
    if calendar.asks_for_auction_shares:
        for each in told:
            recorded = each.inputs.get("calendar")
            shares = recorded.get("auction_shares") if isinstance(recorded, dict) else None
            if shares:
                with suppress(ValidationError):
                    return calendar.with_auction_shares(_SHARES.validate_python(shares))
    return await whole_calendar(settings)


def told_by(told: Sequence[RecordedManifest], here: Mapping[str, Inputs]) -> RecordedInputs:
    """What `told` says, each start and each change by itself."""
    if not told:
        return RecordedInputs(notes=("the record names no inputs; those that are set here count",))
    once = {each.id: each for each in told}.values()
    builds = [line for each in once for line in _differing(each, here, _BUILD)]
    return RecordedInputs(
        tuple(
            dict.fromkeys(
                line
                for each in once
                for line in _differing(each, here, DECIDES.get(each.service, frozenset()))
            )
        ),
        tuple(dict.fromkeys(f"another build made the record: {line}" for line in builds)),
        _instruments_of(told),
    )


def _differing(
    recorded: RecordedManifest, here: Mapping[str, Inputs], names: frozenset[str]
) -> Iterable[str]:
    given = here.get(recorded.service, {})
    known = names & given.keys()
    for each in differences(recorded, given, known):
        yield f"{recorded.service}: {each.sentence}"


def _instruments_of(told: Iterable[RecordedManifest]) -> Mapping[InstrumentId, Instrument] | None:
    """Of the order workers' last start."""
    found: Mapping[InstrumentId, Instrument] | None = None
    for each in told:
        if each.service == "executors":
            found = read_instruments(each.inputs.get("instruments")) or found
    return found


def read_instruments(table: JsonValue) -> Mapping[InstrumentId, Instrument] | None:
    """An instrument master as a manifest holds it; None of what is none."""
    match table:
        case {"columns": list(columns), "rows": dict(rows)}:
            pass
        case _:
            return None
    names = [str(column) for column in columns]
    try:
        read = [
            _INSTRUMENT.validate_python({"id": id_, **dict(zip(names, row, strict=True))})
            for id_, row in rows.items()
            if isinstance(row, list)
        ]
    except (ValidationError, ValueError):
        return None
    return {each.id: each for each in read}
