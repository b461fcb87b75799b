"""What is changed of a recorded day: settings by name, files of rules, prompts and limits. Pure.

Names carry their units. A name that does not exist is refused with those that are near.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from agents.limits import Limits
from agents.prompts import Agent, PromptSet
from agents.scout import ScoutOptions
from ats.replay.day_settings import DaySettings
from executors.risk.sizing import UserLimits
from schemas.errors import Misconfigured
from schemas.units import BasisPoints, Paise, UtcNs
from streams.rules.config import parameters_of
from streams.rules.config import read as read_rules
from streams.rules.discovery import SETTINGS, find_plugin, load_factory, rule_plugins

NEAR: Final = 4  # names that an error lists
MOST_PROMPT: Final = 64 * 1024  # bytes of one agent's instructions

Value = Any  # as TOML has it
Read = Callable[[Value], Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """What the command line asks to be changed.

    Attributes:
        sets: Values by name, as texts; the last of a name counts.
        rules: A rules file in the place of the day's.
        prompts: A TOML file with the instructions of some agents, by name.
        limits: A TOML file with limits by name.
        model: The model that is asked.
    """

    sets: Mapping[str, str]
    rules: Path | None = None
    prompts: Path | None = None
    limits: Path | None = None
    model: str = ""

    @property
    def any(self) -> bool:
        """Whether anything is."""
        return bool(self.sets or self.rules or self.prompts or self.limits or self.model)

    @classmethod
    def of(
        cls,
        sets: Iterable[str],
        limits: Iterable[str],
        *,
        rules: Path | None,
        prompts: Path | None,
        model: str,
    ) -> Changes:
        """Of the command line's words; `limits` are a file or settings without their prefix.

        Raises:
            Misconfigured: a word that is no NAME=VALUE.
        """
        given, file = dict[str, str](), None
        for word in sets:
            name, value = _split(word, "--set")
            given[name] = value
        for word in limits:
            if "=" not in word and Path(word).is_file():
                file = Path(word)
                continue
            name, value = _split(word, "--limits")
            given[name if name.startswith(_LIMITS) else f"{_LIMITS}{name}"] = value
        return cls(given, rules, prompts, file, model)


def _split(word: str, option: str) -> tuple[str, str]:
    name, is_, value = word.partition("=")
    if not is_ or not name.strip() or not value.strip():
        more = " or the name of a file" if option == "--limits" else ""
        raise Misconfigured(f"{option} {word!r} is not usable: give NAME=VALUE{more}")
    return name.strip(), value.strip()


# Settings by name


@dataclass(frozen=True, slots=True)
class _Setting:
    """One field, and how its value is read."""

    field: str
    read: Read


def _whole(value: Value) -> int:
    return TypeAdapter(int).validate_python(value, strict=True)


def _flag(value: Value) -> bool:
    return TypeAdapter(bool).validate_python(value, strict=True)


def _decimal(value: Value) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("give a number")
    return Decimal(str(value))


def _rupees(value: Value) -> Paise:
    paise = Paise.from_rupees(_decimal(value))
    if paise <= 0:
        raise ValueError("give an amount above zero")
    return paise


def _count(value: Value) -> int:
    if (count := _whole(value)) < 0:
        raise ValueError("give a number that is not negative")
    return count


def _points(value: Value) -> BasisPoints:
    return BasisPoints(_count(value))


def _minutes(value: Value) -> UtcNs:
    return UtcNs.minutes(_count(value))


def _percent(value: Value) -> int:
    if (percent := _count(value)) > 100:
        raise ValueError("give 0 to 100")
    return percent


def _band(value: Value) -> tuple[Decimal, Decimal]:
    least, _, most = str(value).partition(",")
    band = Decimal(least), Decimal(most)
    if not 0 < band[0] < band[1]:
        raise ValueError("give two rising numbers, such as 0.1,3")
    return band


def _or_none(read: Read) -> Read:
    return lambda value: None if value == "none" else read(value)


_LIMITS: Final = "limits."
_DECISIONS: Final = "decisions."
_SCOUT: Final = "scout."
_OF_LIMITS: Final = {
    "max_order_value_rupees": _Setting("max_order_value", _rupees),
    "max_orders_per_day": _Setting("max_orders_per_day", _count),
    "risk_per_trade_rupees": _Setting("risk_per_trade", _or_none(_rupees)),
    "collar_basis_points": _Setting("collar", _points),
    "stop_basis_points": _Setting("stop", _points),
    "target_basis_points": _Setting("target", _points),
    "max_deviation_basis_points": _Setting("max_deviation", _points),
    "stop_out_cooldown_minutes": _Setting("stop_out_cooldown", _or_none(_count)),
    "max_stop_outs_per_day": _Setting("max_stop_outs_per_day", _or_none(_count)),
}
_OF_DECISIONS: Final = {
    "min_confidence": _Setting("min_confidence", _percent),
    "min_reward": _Setting("min_reward", _decimal),
    "stop_band_percent": _Setting("stop_band", _band),
    "cooldown_minutes": _Setting("cooldown", _minutes),
    "flip_minutes": _Setting("flip", _minutes),
    "no_entry_after_open_minutes": _Setting("after_open", _minutes),
    "no_entry_before_close_minutes": _Setting("before_close", _minutes),
}
_OF_SCOUT: Final = {
    "shortlist": _Setting("shortlist", _count),
    "candidates": _Setting("candidates", _count),
}


def changed(day: DaySettings, changes: Changes) -> DaySettings:
    """`day` with all changes: files first, then settings by name.

    Raises:
        Misconfigured: a name that does not exist, a value or a file that cannot be used.
    """
    if changes.rules:
        document = read_rules(changes.rules, "correct --rules").document
        day = replace(day, document=document)
    if changes.prompts:
        day = replace(day, prompts=prompted(day.prompts, changes.prompts))
    if changes.limits:
        for name, value in _toml(changes.limits, "--limits").items():
            day = _set(day, f"{_LIMITS}{name}", value)
    for name, text in changes.sets.items():
        day = _set(day, name, _value(text))
    if changes.rules or any(name.startswith("rules.") for name in changes.sets):
        day.rule_set  # noqa: B018 - what is wrong with a rule is said before anything is read
    return day


def names_of(day: DaySettings) -> list[str]:
    """Every setting that a day with these rules has."""
    prefixed = ((_LIMITS, _OF_LIMITS), (_DECISIONS, _OF_DECISIONS), (_SCOUT, _OF_SCOUT))
    return [
        *(f"rules.{rule}.{name}" for rule, known in _rules_of(day).items() for name in known),
        *(f"{prefix}{name}" for prefix, settings in prefixed for name in settings),
    ]


def _rules_of(day: DaySettings) -> dict[str, list[str]]:
    """By rule its settings; of one that does not run only whether it is enabled."""
    known = {plugin.name: ["enabled"] for plugin in rule_plugins()}
    for name, section in _sections(day).items():
        factory = load_factory(find_plugin(section.get("rule", name)))
        known[name] = [*factory.defaults, *(each for each in SETTINGS if each != "rule")]
    return known


def _sections(day: DaySettings) -> Mapping[str, Mapping[str, Any]]:
    """The sections of the rules file; without a file, what such a one would say."""
    if day.document is not None:
        sections: Mapping[str, Mapping[str, Any]] = day.document.get("rules", {})
        return sections
    return parameters_of(day.rule_set)


def _set(day: DaySettings, name: str, value: Value) -> DaySettings:
    if name.startswith("rules."):
        return _set_rule(day, name, value)
    for prefix, settings in ((_LIMITS, _OF_LIMITS), (_DECISIONS, _OF_DECISIONS),
                             (_SCOUT, _OF_SCOUT)):  # fmt: skip
        setting = settings.get(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if setting:
            read = _read(name, value, setting.read)
            return _with(day, prefix, setting.field, read)
    raise _unknown(name, names_of(day))


def _with(day: DaySettings, prefix: str, field: str, value: Any) -> DaySettings:
    if prefix == _LIMITS:
        platform: UserLimits = replace(day.platform, **{field: value})
        return replace(day, platform=platform)
    if prefix == _DECISIONS:
        decisions: Limits = replace(day.decisions, **{field: value})
        return replace(day, decisions=decisions)
    scout: ScoutOptions = replace(day.scout, **{field: value})
    return replace(day, scout=scout)


def _set_rule(day: DaySettings, name: str, value: Value) -> DaySettings:
    rule, _, setting = name.removeprefix("rules.").partition(".")
    if setting not in _rules_of(day).get(rule, ()):
        raise _unknown(name, names_of(day))
    sections = {each: dict(section) for each, section in _sections(day).items()}
    if rule not in sections and value is not True:
        raise Misconfigured(f"--set {name}={value}: it does not run anyway")
    sections.setdefault(rule, {})[setting] = value
    return replace(day, document={**(day.document or {}), "rules": sections})


def _unknown(name: str, known: list[str]) -> Misconfigured:
    near = get_close_matches(name, known, n=NEAR, cutoff=0.5)
    room = name.rpartition(".")[0] + "."
    near = near or [each for each in known if each.startswith(room)][:NEAR] or known[:NEAR]
    return Misconfigured(f"there is no setting {name!r}; near it: {', '.join(near)}")


def _read(name: str, value: Value, read: Read) -> Any:
    try:
        return read(value)
    except (ValidationError, ValueError, ArithmeticError, TypeError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise Misconfigured(f"{name}={value} is not usable: {why or 'give a number'}") from None


def _value(text: str) -> Value:
    """As TOML reads it; what is no TOML is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


# Files


def _toml(path: Path, option: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Misconfigured(f"{option} {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{option} {path} is not TOML: {error}") from None


def prompted(prompts: PromptSet, path: Path) -> PromptSet:
    """`prompts` with the instructions that a file gives.

    Raises:
        Misconfigured: it cannot be read, or is no such file.
    """
    specs, known = dict(prompts.specs), [agent.value for agent in Agent]
    for name, instructions in _toml(path, "--prompt").items():
        if name not in known:
            near = ", ".join(get_close_matches(name, known, n=1) or known)
            raise Misconfigured(f"--prompt {path}: there is no agent {name!r}; near it: {near}")
        if not isinstance(instructions, str) or not instructions.strip():
            raise Misconfigured(f"--prompt {path}: {name} must be a text, its instructions")
        if (size := len(instructions.encode())) > MOST_PROMPT:
            raise Misconfigured(f"--prompt {path}: {name} has {size:,} bytes, {MOST_PROMPT:,} fit")
        agent = Agent(name)
        specs[agent] = replace(specs[agent], instructions=instructions)
    same = specs == dict(prompts.specs)
    return prompts if same else PromptSet.of(specs)
