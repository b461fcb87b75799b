"""Finds rules: every installed distribution may offer some in the entry point group `ats.rules`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from schemas.errors import Misconfigured
from streams.columns.names import lagged
from streams.columns.parse import parse_column
from streams.columns.suggest import did_you_mean
from streams.rules.rule import Rule

GROUP: Final = "ats.rules"
SETTINGS: Final = (
    "rule",
    "enabled",
    "cooldown_minutes",
    "instruments",
    "mode",
    "capital_rupees",
    "max_open_positions",
    "max_orders_per_day",
    "max_daily_loss_rupees",
)  # every rule has them; no parameter may be called so


@dataclass(frozen=True, slots=True)
class RulePlugin:
    """A rule as a distribution offers it; nothing of it has been imported yet."""

    entry: EntryPoint

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.entry.name

    @property
    def where(self) -> str:
        """Distribution and object, for messages."""
        return f"{self.distribution} ({self.entry.value})"

    @property
    def distribution(self) -> str:
        """Who offers it, with the version."""
        dist = self.entry.dist
        return f"{dist.name} {dist.version}" if dist else "an unknown distribution"

    def __str__(self) -> str:
        return f"rule {self.name!r} of {self.where}"


@dataclass(frozen=True, slots=True)
class RuleFactory:
    """How to make a rule.

    Attributes:
        make: From parameters to the rule.
        parameters: What `make` takes, with defaults and limits.
    """

    plugin: RulePlugin
    make: Callable[..., Any]
    parameters: type[BaseModel]

    @property
    def about(self) -> str:
        """The first line of what its author says about it."""
        return (inspect.getdoc(self.make) or "").partition("\n")[0]

    @property
    def defaults(self) -> dict[str, Any]:
        """Every parameter with its default."""
        return {name: about.default for name, about in self.parameters.model_fields.items()}

    def written(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter as JSON: as `given`, else its default. What JSON lacks is its `repr`."""
        return self.parameters.model_validate(given).model_dump(mode="json", fallback=repr)

    def rule(self, given: Mapping[str, Any]) -> Rule:
        """The rule with parameters from a configuration; those not given have their defaults.

        Raises:
            Misconfigured: a parameter that is unknown or out of range, or a rule that cannot work.
        """
        try:
            parameters = self.parameters.model_validate(given)
            rule = self.make(
                **{name: getattr(parameters, name) for name in self.parameters.model_fields}
            )
        except ValidationError as error:
            raise Misconfigured(
                f"{self.plugin}: {'; '.join(self._problem(each) for each in error.errors())}"
            ) from None
        except Misconfigured as error:
            raise Misconfigured(f"{self.plugin}: {error}") from None
        except ValueError as error:
            raise Misconfigured(f"{self.plugin} refuses its parameters: {error}") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's code may raise anything
            raise Misconfigured(
                f"{self.plugin} cannot be made: {type(error).__name__}: {error}; "
                "mend or uninstall it"
            ) from None
        _check(self.plugin, rule)
        return rule  # type: ignore[no-any-return]  # _check has just looked

    def _problem(self, error: Any) -> str:
        name = ".".join(map(str, error["loc"]))
        if error["type"] == "extra_forbidden":
            known = [*self.parameters.model_fields, *SETTINGS]
            takes = ", ".join(self.parameters.model_fields) or "none"
            return f"no parameter {name!r}{did_you_mean(name, known)}, it takes {takes}"
        return (
            f"{name}={error['input']!r} is not usable: {error['msg'].removeprefix('Value error, ')}"
        )


def rule_plugins() -> tuple[RulePlugin, ...]:
    """All rules that installed distributions announce, by name.

    Raises:
        Misconfigured: a distribution's announcements cannot be read, so no rule can be found.
    """
    try:
        found = map(RulePlugin, entry_points(group=GROUP))
    except Exception:
        for dist in distributions():
            try:
                _ = dist.entry_points
            except Exception as error:  # noqa: BLE001  # the library raises whatever its parser stumbles over
                raise Misconfigured(
                    f"the entry points of {dist.name} {dist.version} cannot be read: {error}; "
                    "mend or uninstall it"
                ) from None
        raise
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.where)))


def find_plugin(name: str) -> RulePlugin:
    """The one offer of that name.

    Raises:
        Misconfigured: nobody offers it, or several do.
    """
    all_ = rule_plugins()
    found = [plugin for plugin in all_ if plugin.name == name]
    if not found:
        known = sorted({plugin.name for plugin in all_})
        raise Misconfigured(
            f"no installed package offers the rule {name!r}{did_you_mean(name, known)}: "
            "install the one that has it into this environment, or choose from `ats rules list`"
        )
    if len(found) > 1:
        places = " and ".join(plugin.where for plugin in found)
        raise Misconfigured(f"the rule {name!r} is offered by {places}: uninstall all but one")
    return found[0]


def load_factory(plugin: RulePlugin) -> RuleFactory:
    """Import what an offer points at and read its parameters.

    Raises:
        Misconfigured: it cannot be imported, or is no function whose parameters all have a type and
            a default.
    """
    if not EntryPoint.pattern.match(plugin.entry.value):
        raise Misconfigured(
            f"{plugin} has a malformed entry point: `{plugin.name} = {plugin.entry.value}` "
            f'in its {GROUP} must be like {plugin.name} = "package.module:{plugin.name}"; '
            "mend or uninstall it"
        )
    try:
        make = plugin.entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's module may raise anything while it is imported
        raise Misconfigured(
            f"{plugin} cannot be imported: {type(error).__name__}: {error}; mend or uninstall it"
        ) from None
    if not callable(make):
        raise Misconfigured(
            f"{plugin} is a {type(make).__name__}: it must be a function that returns a Rule"
        )
    return RuleFactory(plugin, make, _parameters_of(plugin, make))


def _parameters_of(plugin: RulePlugin, make: Callable[..., Any]) -> type[BaseModel]:
    try:
        signature = inspect.signature(make, eval_str=True)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # annotations are a stranger's code too
        raise Misconfigured(f"{plugin}: its parameters cannot be read: {error}") from None
    fields: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.annotation is parameter.empty or parameter.default is parameter.empty:
            raise Misconfigured(f"{plugin}: its parameter {name!r} must have a type and a default")
        if name in SETTINGS:
            raise Misconfigured(
                f"{plugin}: its parameter {name!r} must be called otherwise; "
                "every rule has a setting of that name"
            )
        fields[name] = (parameter.annotation, parameter.default)
    try:
        return create_model(
            plugin.name, __config__=ConfigDict(extra="forbid", validate_default=True), **fields
        )
    except Exception as error:  # noqa: BLE001  # pydantic runs the annotations' own hooks
        raise Misconfigured(f"{plugin}: its parameters cannot be read: {error}") from None


def _check(plugin: RulePlugin, rule: object) -> None:
    """Refuse what is no rule, or one whose columns or results cannot be used."""
    if not isinstance(rule, Rule):
        raise Misconfigured(
            f"{plugin} returns a {type(rule).__name__}: it must return a streams.rules.Rule"
        )
    if rule.name != plugin.name:
        raise Misconfigured(f"{plugin} names its rule {rule.name!r}: make the two names equal")
    if not rule.needs:
        raise Misconfigured(f"{plugin} needs no column: list the columns it looks at in needs")
    for name in rule.needs:
        try:
            parse_column(name, rule.timeframe)
        except Misconfigured as error:
            raise Misconfigured(f"{plugin}: {error}") from None
    _try(plugin, rule)


def _try(plugin: RulePlugin, rule: Rule) -> None:
    """Evaluate the rule on made-up bars.

    A mistake shows now rather than at the first bar of the day.
    """
    values = np.array([1.0, 2.0, 100.0, 100_000.0])
    bars = {
        lagged(name, back): np.roll(values, nth + back)
        for nth, name in enumerate(rule.needs)
        for back in range(rule.lookback + 1)
    }
    try:
        rule.evaluate(bars, len(values))
    except Misconfigured as error:
        cause = error.__cause__
        reason = (
            f"it looks at {cause}, which is not in its needs"
            if isinstance(cause, KeyError)
            else str(error)
        )
        raise Misconfigured(f"{plugin}: {reason}") from None
