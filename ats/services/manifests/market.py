"""What decides candles, indicators and signals."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from ats.services.manifests.build import DIGITS, build_of
from schemas.manifest import Inputs, plain
from streams.engine.config import EngineConfig
from streams.engine.snapshot import ENGINE_VERSION
from streams.rules import Rule
from streams.rules.config import RuleSet, parameters_of

_ENGINE_LIBRARIES: Final = ("numpy", "numba", "TA-Lib")


def engine_inputs(rule_set: RuleSet, config: EngineConfig) -> Inputs:
    """Of `ats streams`: with these, the same ticks give the same bytes."""
    return {
        "build": build_of(("schemas", "streams"), _ENGINE_LIBRARIES),
        "engine": {"version": ENGINE_VERSION},
        "rules": rules_input(rule_set),
        "talib": {"window": config.talib_window, "columns": plain(config.talib)},
        "timeframes": plain(config.timeframes),
        "indicators": plain(config.indicators),
        "calendar": plain(config.calendar),
    }


def rules_input(rule_set: RuleSet) -> JsonValue:
    """The file, and what came of it; `order` decides the order of signals on one bar."""
    parameters = parameters_of(rule_set)
    return {
        "document": plain(rule_set.document),
        "order": [rule.name for rule in rule_set.rules],
        "rules": {
            rule.name: {
                "plugin": rule_set.origins[rule.name],
                "source": _source(rule),
                "timeframe": rule.timeframe.value,
                "needs": list(rule.needs),
                "cooldown_ns": int(rule.cooldown),
                "instruments": plain(rule.instruments),
                "parameters": parameters[rule.name],
            }
            for rule in rule_set.rules
        },
    }


def _source(rule: Rule) -> str:
    """A digest of the file whose function the rule calls; empty where there is no such file."""
    try:
        file = inspect.getsourcefile(rule.function)
        body = Path(file).read_bytes() if file else b""
    except (TypeError, OSError):
        return ""
    return hashlib.sha256(body).hexdigest()[:DIGITS] if body else ""
