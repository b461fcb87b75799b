"""Which rules run, with which parameters: a TOML file, or the default when there is none."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.instruments import Instruments
from schemas.market import Timeframe
from schemas.strategy import Strategy, StrategyMode
from schemas.units import Paise, UtcNs
from streams.columns.parse import talib_columns
from streams.columns.talib_functions import LONGEST, PREFIX, WINDOW
from streams.rules import RULES, Rule
from streams.rules.discovery import SETTINGS, find_plugin, load_factory

WEEK: Final = 7 * 24 * 60  # minutes

REMEDY: Final = "correct --rules or ATS_RULES"  # when a command takes a file from either

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _some(instruments: frozenset[InstrumentId]) -> frozenset[InstrumentId]:
    if not instruments:
        raise ValueError('name some, such as ["NSE_EQ:2885"], or leave it out for all')
    return instruments


# ten million crores are a slip of the hand
Rupees = Annotated[int, Field(ge=1, le=10**14)]
HowMany = Annotated[int, Field(ge=1, le=1_000_000)]


class _Section(_Model):
    """What every rule's section may say; all else in it are the rule's own parameters."""

    rule: str = ""
    enabled: bool = True
    cooldown_minutes: Annotated[int, Field(ge=0, le=WEEK)] | None = None
    instruments: Annotated[Instruments, AfterValidator(_some)] | None = None
    mode: StrategyMode | None = None
    capital_rupees: Rupees | None = None
    max_open_positions: HowMany | None = None
    max_orders_per_day: HowMany | None = None
    max_daily_loss_rupees: Rupees | None = None

    @property
    def runs(self) -> bool:
        return self.enabled and self.mode is not StrategyMode.OFF

    def strategy(self, name: str) -> Strategy | None:
        """What it says of the rule `name` beyond its parameters; None where it says nothing."""
        said = Strategy(
            name=name,
            mode=self.mode or StrategyMode.LIVE,
            capital=_paise(self.capital_rupees),
            max_open_positions=self.max_open_positions,
            max_orders_per_day=self.max_orders_per_day,
            max_daily_loss=_paise(self.max_daily_loss_rupees),
        )
        silent = self.mode is None and said == Strategy(name=name)
        return None if silent else said


class _Talib(_Model):
    """Columns of TA-Lib for `ats.indicators`; what rules need is there without being named."""

    window: Annotated[int, Field(ge=2, le=LONGEST)] = WINDOW
    columns: dict[Timeframe, tuple[str, ...]] = {}


class _File(_Model):
    rules: dict[str, dict[str, Any]] = {}
    talib: _Talib = _Talib()


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules that run, and the columns of TA-Lib that the engine computes besides its own.

    Attributes:
        rules: In the order of the file, which decides the order of signals on one bar.
        origins: By a rule's name, the name of its plugin.
        columns: `talib.` columns by timeframe, those of the file and those the rules need.
        window: Bars that a `talib.` function is given at most, unless it needs more.
        document: The parsed rules file; None where there is none.
    """

    rules: tuple[Rule, ...] = RULES
    origins: Mapping[str, str] = field(
        default_factory=lambda: {rule.name: rule.name for rule in RULES}
    )
    columns: Mapping[Timeframe, tuple[str, ...]] = field(default_factory=dict)
    window: int = WINDOW
    document: Mapping[str, Any] | None = None


def warning_of(rule_set: RuleSet, path: Path | None) -> str:
    """What a person should know of a rules file before the engine runs it; empty when nothing."""
    if rule_set.rules:
        return ""
    return (
        f"rules file {path} enables no rule: there will be candles and indicators, but no signal "
        "and so no decision and no order; name a rule in a [rules.NAME] section"
    )


def read(path: Path | None, remedy: str = "correct ATS_RULES or leave it empty") -> RuleSet:
    """Read a rules file: exactly the rules it names run, but for `enabled = false` and mode off.

    None is the default. A rule that is switched off is neither imported nor checked. `remedy` is
    what to do when there is no such file.

    Raises:
        Misconfigured: naming the file and everything that is wrong with it.
    """
    if path is None:
        return RuleSet()
    with _of(path, remedy):
        return rule_set_of(_document(path))


def parameters_of(rule_set: RuleSet) -> dict[str, dict[str, Any]]:
    """Of each rule all parameters as JSON, those that nobody gave with their defaults."""
    sections = (rule_set.document or {}).get("rules", {})
    return {
        rule.name: load_factory(find_plugin(rule_set.origins[rule.name])).written(
            {
                key: value
                for key, value in sections.get(rule.name, {}).items()
                if key not in SETTINGS
            }
        )
        for rule in rule_set.rules
    }


def one_rule(path: Path | None, name: str, given: Mapping[str, Any]) -> Rule:
    """The rule of a file's section, enabled or not, else the installed one.

    `given` are parameters that win over those of the section.

    Raises:
        Misconfigured: no such rule, or it cannot be made so.
    """
    if path is None:
        return _rule(name, given)
    with _of(path, REMEDY):
        section = _document(path).get("rules", {}).get(name, {})
        return _rule(name, {**section, **given})


@contextmanager
def _of(path: Path, remedy: str) -> Iterator[None]:
    """What is wrong inside is wrong with the file."""
    try:
        yield
    except OSError as error:
        raise Misconfigured(f"rules file {path}: {error.strerror}; {remedy}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"rules file {path} is not TOML: {error}") from None
    except Misconfigured as error:
        raise Misconfigured(f"rules file {path}: {error}") from None


def _document(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def rule_set_of(document: Mapping[str, Any]) -> RuleSet:
    """The rules and columns that `document`, a parsed rules file, names.

    Raises:
        Misconfigured: naming everything that is wrong.
    """
    try:
        file = _File.model_validate(document)
    except ValidationError as error:
        raise Misconfigured("; ".join(_problems(error))) from None
    rules, problems = [], []
    for name, section in file.rules.items():
        try:
            rules += [_rule(name, section)] if _settings(name, section).runs else []
        except Misconfigured as error:
            problems.append(f"[rules.{name}] {error}")
    if problems:
        raise Misconfigured("; ".join(problems))
    wanted = [
        (timeframe, column)
        for timeframe, columns in file.talib.columns.items()
        for column in columns
    ]
    origins = {rule.name: str(file.rules[rule.name].get("rule", rule.name)) for rule in rules}
    return RuleSet(tuple(rules), origins, _columns(wanted, rules), file.talib.window, document)


def _settings(name: str, section: Mapping[str, Any]) -> _Section:
    if not _NAME.fullmatch(name):
        raise Misconfigured(
            f"{name!r} cannot be a rule's name: small letters, digits and _, at most 64"
        )
    try:
        return _Section.model_validate(
            {key: value for key, value in section.items() if key in SETTINGS}
        )
    except ValidationError as error:
        raise Misconfigured("; ".join(_problems(error))) from None


def _paise(rupees: int | None) -> Paise | None:
    return None if rupees is None else Paise.from_rupees(rupees)


def _rule(name: str, section: Mapping[str, Any]) -> Rule:
    common = _settings(name, section)
    factory = load_factory(find_plugin(common.rule or name))
    rule = factory.rule({key: value for key, value in section.items() if key not in SETTINGS})
    if common.cooldown_minutes is not None:
        rule = replace(rule, cooldown=UtcNs.minutes(common.cooldown_minutes))
    if common.instruments is not None:
        rule = replace(rule, instruments=common.instruments)
    return replace(rule, name=name, strategy=common.strategy(name))


def _columns(
    wanted: list[tuple[Timeframe, str]], rules: list[Rule]
) -> Mapping[Timeframe, tuple[str, ...]]:
    for timeframe, name in wanted:
        if not name.startswith(PREFIX) or "@" in name:
            raise Misconfigured(
                f"[talib.columns] {timeframe}: {name!r} must be a column such as talib.CDLENGULFING"
            )
    return talib_columns(
        [*wanted, *((rule.timeframe, need) for rule in rules for need in rule.needs)]
    )


def _problems(error: ValidationError) -> Iterator[str]:
    for each in error.errors():
        place = ".".join(map(str, each["loc"]))
        if each["type"] == "extra_forbidden":
            yield f"{place}: unknown; a rules file has [rules.NAME] and [talib]"
        else:
            reason = each["msg"].removeprefix("Value error, ")
            yield f"{place}={each['input']!r} is not usable: {reason}"
