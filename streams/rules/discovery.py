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
from streams.columns.parse import parse_column
from streams.columns.suggest import did_you_mean
from streams.rules.rule import Rule

GROUP: Final = "ats.rules"
SETTINGS: Final = (
    "rule",
    "enabled",
    "cooldown_minutes",
    "instruments",
)  # every rule has them; no parameter may be called so


@dataclass(frozen=True, slots=True)
class Offer:
    """A rule as a distribution announces it; nothing of it has been imported yet."""

    entry: EntryPoint

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def where(self) -> str:
        """Distribution and object, for messages."""
        return f"{self.distribution} ({self.entry.value})"

    @property
    def distribution(self) -> str:
        dist = self.entry.dist
        return f"{dist.name} {dist.version}" if dist else "an unknown distribution"

    def __str__(self) -> str:
        return f"rule {self.name!r} of {self.where}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a rule.

    Attributes:
        make: From parameters to the rule.
        parameters: What `make` takes, with defaults and limits.
    """

    offer: Offer
    make: Callable[..., Any]
    parameters: type[BaseModel]

    @property
    def about(self) -> str:
        """The first line of what its author says about it."""
        return (inspect.getdoc(self.make) or "").partition("\n")[0]

    @property
    def defaults(self) -> dict[str, Any]:
        return {name: about.default for name, about in self.parameters.model_fields.items()}

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
                f"{self.offer}: {'; '.join(self._problem(each) for each in error.errors())}"
            ) from None
        except Misconfigured as error:
            raise Misconfigured(f"{self.offer}: {error}") from None
        except ValueError as error:
            raise Misconfigured(f"{self.offer} refuses its parameters: {error}") from None
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's code may raise anything
            raise Misconfigured(
                f"{self.offer} cannot be made: {type(error).__name__}: {error}; mend or uninstall it"
            ) from None
        _check(self.offer, rule)
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


def offers() -> tuple[Offer, ...]:
    """All rules that installed distributions announce, by name.

    Raises:
        Misconfigured: a distribution's announcements cannot be read, so no rule can be found.
    """
    try:
        found = map(Offer, entry_points(group=GROUP))
    except Exception:
        for dist in distributions():
            try:
                _ = dist.entry_points
            except Exception as error:  # noqa: BLE001  # the library raises whatever its parser stumbles over
                raise Misconfigured(
                    f"the entry points of {dist.name} {dist.version} cannot be read: {error}; mend or uninstall it"
                ) from None
        raise
    return tuple(sorted(found, key=lambda offer: (offer.name, offer.where)))


def offer_of(name: str) -> Offer:
    """The one offer of that name.

    Raises:
        Misconfigured: nobody offers it, or several do.
    """
    all_ = offers()
    found = [offer for offer in all_ if offer.name == name]
    if not found:
        known = sorted({offer.name for offer in all_})
        raise Misconfigured(
            f"no installed package offers the rule {name!r}{did_you_mean(name, known)}: install the one that has it into this "
            "environment, or choose from `ats rules list`"
        )
    if len(found) > 1:
        raise Misconfigured(
            f"the rule {name!r} is offered by {' and '.join(offer.where for offer in found)}: uninstall all but one"
        )
    return found[0]


def recipe_of(offer: Offer) -> Recipe:
    """Import what an offer points at and read its parameters.

    Raises:
        Misconfigured: it cannot be imported, or is no function whose parameters all have a type and
            a default.
    """
    if not EntryPoint.pattern.match(offer.entry.value):
        raise Misconfigured(
            f"{offer} has a malformed entry point: `{offer.name} = {offer.entry.value}` in its {GROUP} must be like "
            f'{offer.name} = "package.module:{offer.name}"; mend or uninstall it'
        )
    try:
        make = offer.entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a stranger's module may raise anything while it is imported
        raise Misconfigured(
            f"{offer} cannot be imported: {type(error).__name__}: {error}; mend or uninstall it"
        ) from None
    if not callable(make):
        raise Misconfigured(
            f"{offer} is a {type(make).__name__}: it must be a function that returns a Rule"
        )
    return Recipe(offer, make, _parameters_of(offer, make))


def _parameters_of(offer: Offer, make: Callable[..., Any]) -> type[BaseModel]:
    try:
        signature = inspect.signature(make, eval_str=True)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # annotations are a stranger's code too
        raise Misconfigured(f"{offer}: its parameters cannot be read: {error}") from None
    fields: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        if parameter.annotation is parameter.empty or parameter.default is parameter.empty:
            raise Misconfigured(f"{offer}: its parameter {name!r} must have a type and a default")
        if name in SETTINGS:
            raise Misconfigured(
                f"{offer}: its parameter {name!r} must be called otherwise; every rule has a setting of that name"
            )
        fields[name] = (parameter.annotation, parameter.default)
    try:
        return create_model(
            offer.name, __config__=ConfigDict(extra="forbid", validate_default=True), **fields
        )
    except Exception as error:  # noqa: BLE001  # pydantic runs the annotations' own hooks
        raise Misconfigured(f"{offer}: its parameters cannot be read: {error}") from None


def _check(offer: Offer, rule: object) -> None:
    """That it is a rule whose columns exist and whose answers have the right shape."""
    if not isinstance(rule, Rule):
        raise Misconfigured(
            f"{offer} returns a {type(rule).__name__}: it must return a streams.rules.Rule"
        )
    if rule.name != offer.name:
        raise Misconfigured(f"{offer} names its rule {rule.name!r}: make the two names equal")
    if not rule.needs:
        raise Misconfigured(f"{offer} needs no column: list the columns it looks at in needs")
    for name in rule.needs:
        try:
            parse_column(name, rule.timeframe)
        except Misconfigured as error:
            raise Misconfigured(f"{offer}: {error}") from None
    _try(offer, rule)


def _try(offer: Offer, rule: Rule) -> None:
    """Ask the rule about made-up bars.

    A mistake shows now rather than at the first bar of the day.
    """
    values = np.array([1.0, 2.0, 100.0, 100_000.0])
    bars = {name: np.roll(values, nth) for nth, name in enumerate(rule.needs)}
    try:
        rule.ask(bars, len(values))
    except Misconfigured as error:
        cause = error.__cause__
        reason = (
            f"it looks at {cause}, which is not in its needs"
            if isinstance(cause, KeyError)
            else str(error)
        )
        raise Misconfigured(f"{offer}: {reason}") from None
