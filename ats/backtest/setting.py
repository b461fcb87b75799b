"""The cores as the settings here say."""

from __future__ import annotations

from agents.app import AgentOptions
from ats.services.llm import limits_of
from ats.services.streams import computed_under
from ats.settings import load
from bus.stateful import StatefulService
from schemas.calendar import EVERY_DAY
from streams.service import engine_service


def cores_here() -> tuple[StatefulService, AgentOptions]:
    """The engine with the rules of the settings, and the agents with their limits.

    Every day of a market file is one of trading, with NSE's hours.

    Raises:
        Misconfigured: a setting or the rules file cannot be used.
    """
    settings = load()
    computed = computed_under(settings, EVERY_DAY)
    engine = engine_service(computed.rule_set.rules, None, computed.config)
    return engine, AgentOptions(limits=limits_of(settings), session=EVERY_DAY.session)
