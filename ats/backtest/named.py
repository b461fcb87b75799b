"""What a backtest rests on, so that anybody can make it again: data, code, configuration."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from pydantic import JsonValue

from ats.services.manifests.build import build_of
from backtest.run import DayPlayed
from backtest.setup import Setup
from schemas.manifest import digest_of, plain
from streams.rules.config import RuleSet, parameters_of

ROOMS: Final = ("schemas", "streams", "agents", "executors", "simulator", "backtest")
LIBRARIES: Final = ("numpy", "numba", "TA-Lib")


def named(
    days: Sequence[DayPlayed],
    rules: RuleSet,
    setup: Setup,
    *,
    seed: int,
    charged_by: date | None,
    actions: str | None = None,
) -> dict[str, JsonValue]:
    """Everything that decides the result; `id` is the digest of all the rest.

    `actions` is the digest of the file by which bars were adjusted.
    """
    told: dict[str, JsonValue] = {
        "code": build_of(ROOMS, LIBRARIES),
        "data": [
            {
                "day": f"{each.day}",
                "file": each.source,
                "sha256": each.digest,
                "warm_up": each.warm_up,
            }
            for each in days
        ],
        "rules": plain(parameters_of(rules)),
        "orders": plain(setup.limits),
        "decisions": plain(setup.agents),
        "validity_ns": int(setup.validity),
        "latency_seconds": setup.latency,
        "fills": setup.fills.value,
        "square_off": plain(setup.square_off),
        "charged_by": None if charged_by is None else f"{charged_by}",
        "seed": seed,
    }
    if actions:
        told["actions"] = actions
    return {"id": digest_of(told), **told}
