"""What a recorded day was made under, as its manifests tell, and what follows from that.

Nothing of it comes from the folder one stands in: an input that no manifest holds is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import orjson
from pydantic import JsonValue, TypeAdapter, ValidationError

from agents.app import AgentOptions
from agents.limits import Limits
from agents.prompts import PROMPTS, SHIPPED, Agent, PromptSet
from agents.scout import ScoutOptions
from agents.spend import TokenPrice
from ats.replay.inputs import read_instruments
from ats.services.manifests.market import rules_input
from audit.manifest import RecordedManifest, differences
from audit.replay.answers import AgentsAsSet
from audit.replay.orders import PLATFORM
from audit.whatif.setup import Setup
from bus.stateful import StatefulService
from executors.limits import OwnLimits
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from schemas.calendar import EVERY_DAY, Calendar
from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, UserId
from schemas.market import Instrument, Timeframe
from schemas.units import Paise, UtcNs
from streams.columns.names import Indicator
from streams.engine.config import EngineConfig
from streams.engine.rule_runner import bind
from streams.engine.talib_windows import TalibWindows
from streams.rules.config import RuleSet, rule_set_of
from streams.service import engine_service

T = TypeVar("T")
# one of each that the record does not tell, in words of the record
_WANTED: Final = {
    "streams": ("rules", "timeframes", "indicators", "calendar"),
    "agents": ("prompts", "decisions", "scout"),
    "executors": ("limits", "instruments", "square_off"),
}


@dataclass(frozen=True, slots=True)
class DaySettings:
    """All that the day's services were told, and that decides what they wrote.

    Attributes:
        document: The parsed rules file; None: the rules that run without one.
        timeframes: Names, as `indicators`.
        decisions: What a BUY or SELL must keep to.
        model: Asked first on the day; empty where nobody recorded it.
        prices: Of models, as they were set on the day.
        real_money: Whether the mode was one of real money.
        notes: What a reader of the result has to know.
    """

    document: Mapping[str, Any] | None = None
    timeframes: tuple[str, ...] = tuple(Timeframe)
    indicators: tuple[str, ...] = tuple(Indicator)
    calendar: Calendar = EVERY_DAY
    prompts: PromptSet = SHIPPED
    decisions: Limits = field(default_factory=Limits)
    validity: UtcNs = field(default_factory=lambda: AgentOptions().validity)
    scout: ScoutOptions = field(default_factory=ScoutOptions)
    model: str = ""
    prices: Mapping[str, TokenPrice] = field(default_factory=dict)
    platform: UserLimits = PLATFORM
    own: Mapping[UserId, OwnLimits] = field(default_factory=dict)
    real_money: bool = False
    instruments: Mapping[InstrumentId, Instrument] = field(default_factory=dict)
    square_off: SquareOff = field(default_factory=SquareOff)
    notes: tuple[str, ...] = ()

    @property
    def rule_set(self) -> RuleSet:
        """Raises Misconfigured, naming what is wrong with the document."""
        return RuleSet() if self.document is None else rule_set_of(self.document)

    def engine(self) -> StatefulService:
        """What derives the day's signals.

        Raises:
            Misconfigured: rules that cannot run so.
        """
        rule_set = self.rule_set
        whole = EngineConfig.of(
            tuple(map(Timeframe, self.timeframes)),
            tuple(map(Indicator, self.indicators)),
            self.calendar,
        )
        config = replace(whole, talib=rule_set.columns, talib_window=rule_set.window)
        windows = TalibWindows(config.talib, config.talib_window, config.timeframes)
        bind(rule_set.rules, config, windows)
        return engine_service(rule_set.rules, None, config)

    def setup(self, engine: StatefulService, recorded: PromptSet, model: str = "") -> Setup:
        """The cores so; `recorded` are the day's prompts, `model` names whose answers count."""
        options = AgentOptions(
            validity=self.validity, limits=self.decisions, session=self.calendar.session
        )
        return Setup(
            engine=engine,
            agents=AgentsAsSet(options, self.scout),
            prompts=self.prompts,
            recorded_prompts=recorded,
            model=model,
            platform=self.platform,
            own=self.own,
            real_money=self.real_money,
            instruments=self.instruments,
            calendar=self.calendar,
            square_off=self.square_off,
        )


def day_settings(told: Sequence[RecordedManifest], here: DaySettings) -> DaySettings:
    """What the manifests of the days say, in the order written; `here` stands in for what is not.

    Raises:
        Misconfigured: an input is recorded, and this version cannot read it.
    """
    last, notes = _last(told), list[str]()
    for service, names in _WANTED.items():
        lacking = [name for name in names if name not in last.get(service, {})]
        if lacking:
            notes.append(
                f"the record does not tell {', '.join(lacking)} of {service}: "
                "what is set here counts on both sides"
            )
    notes += _changed_meanwhile(told)
    streams, agents, executors = (last.get(each, {}) for each in _WANTED)
    day = replace(
        here,
        **_of_streams(streams, here),
        **_of_agents(agents, here),
        **_of_executors(executors, here),
    )
    return replace(day, notes=(*notes, *_other_rules(told, day), *_other_schemas(agents)))


def _last(told: Iterable[RecordedManifest]) -> dict[str, dict[str, JsonValue]]:
    """By service and name, the last value; order workers tell users' limits apart."""
    found: dict[str, dict[str, JsonValue]] = {}
    for each in told:
        found.setdefault(each.service, {}).update(each.inputs)
    return found


def _changed_meanwhile(told: Iterable[RecordedManifest]) -> Iterable[str]:
    known: dict[tuple[str, str], JsonValue] = {}
    changed = dict[tuple[str, str], None]()
    for each in told:
        for name in (*_WANTED.get(each.service, ()), "user_limits"):
            if name in each.inputs:
                place = each.service, name
                if known.setdefault(place, each.inputs[name]) != each.inputs[name]:
                    changed[place] = None
    for service, name in changed:
        yield f"{name} of {service} was changed during the day: its last value counts all day"


def _of_streams(told: Mapping[str, JsonValue], here: DaySettings) -> dict[str, Any]:
    rules = told.get("rules")
    document = rules.get("document") if isinstance(rules, dict) else here.document
    return {
        "document": document,
        "timeframes": _as(tuple[str, ...], told, "timeframes", here.timeframes),
        "indicators": _as(tuple[str, ...], told, "indicators", here.indicators),
        "calendar": _as(Calendar, told, "calendar", here.calendar),
    }


def _of_agents(told: Mapping[str, JsonValue], here: DaySettings) -> dict[str, Any]:
    decisions, scout = _object(told.get("decisions")), _object(told.get("scout"))
    models = told.get("models")
    names = [str(_object(each).get("model", "")) for each in models] if isinstance(models, list) \
        else []  # fmt: skip
    pairs = _object(told.get("budget")).get("prices_in_rupees_a_million_tokens")
    none: list[tuple[int, int]] = []
    prices = _as(list[tuple[int, int]], {"prices": pairs}, "prices", none)
    options = {name: scout[name] for name in ("shortlist", "candidates") if name in scout}
    return {
        "prompts": _prompts(told.get("prompts"), here.prompts),
        "decisions": _as(Limits, decisions, "limits", here.decisions),
        "validity": UtcNs(_as(int, decisions, "validity_ns", here.validity)),
        "scout": _as(ScoutOptions, {"scout": options}, "scout", here.scout),
        "model": names[0] if names else here.model,
        "prices": dict(here.prices) | {
            name: TokenPrice(*map(Paise.from_rupees, pair))
            for name, pair in zip(names, prices, strict=False)
        },
    }  # fmt: skip


def _of_executors(told: Mapping[str, JsonValue], here: DaySettings) -> dict[str, Any]:
    limits = _object(told.get("limits"))
    mode = told.get("mode", "paper")
    return {
        "platform": _as(UserLimits, limits, "platform", here.platform),
        "own": _as(dict[UserId, OwnLimits], told, "user_limits", here.own),
        "real_money": mode != "paper",
        "instruments": read_instruments(told.get("instruments")) or here.instruments,
        "square_off": _as(SquareOff, told, "square_off", here.square_off),
    }


def _as(kind: Any, told: Mapping[str, JsonValue], name: str, otherwise: T) -> T:
    """A recorded value as what it is here; `otherwise` where none is recorded."""
    if told.get(name) is None:
        return otherwise
    try:
        read: T = TypeAdapter(kind).validate_json(orjson.dumps(told[name]))
    except (ValidationError, TypeError) as error:
        raise Misconfigured(
            f"the record's {name} cannot be read by this version of ATS; take the one that made "
            f"the record ({_in_a_line(error)})"
        ) from None
    return read


def _in_a_line(error: ValidationError | TypeError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def _object(value: JsonValue | None) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _prompts(told: JsonValue | None, here: PromptSet) -> PromptSet:
    """The instructions of the day, under the version of the day; schemas are those of here."""
    agents = _object(_object(told).get("agents"))
    if not agents:
        return here
    specs = {
        agent: replace(
            spec,
            instructions=str(_object(agents.get(agent.value)).get("instructions", "")),
            max_tokens=_as(int, _object(agents.get(agent.value)), "max_tokens", spec.max_tokens),
        )
        for agent, spec in PROMPTS.items()
    }
    return PromptSet(specs, str(_object(told).get("version", "")))


def _other_schemas(agents: Mapping[str, JsonValue]) -> Iterable[str]:
    told = _object(_object(agents.get("prompts")).get("agents"))
    for agent in Agent:
        recorded = _object(told.get(agent.value)).get("answer_schema")
        if recorded and recorded != PROMPTS[agent].answer.model_json_schema():
            yield f"the answers of {agent.value} have another schema here than on the day"


def _other_rules(told: Iterable[RecordedManifest], day: DaySettings) -> Iterable[str]:
    """Rules whose code is another now: their signals may differ although nothing was changed."""
    manifests = [each for each in told if each.service == "streams" and "rules" in each.inputs]
    for each in manifests[-1:]:
        for found in differences(each, {"rules": rules_input(day.rule_set)}, ["rules"]):
            yield f"the rules are not quite those of the record: {found.sentence}"
