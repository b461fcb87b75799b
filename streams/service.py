"""The engine as a service over Kafka: reads `ats.ticks`, writes signals, candles and indicators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from bus.stateful import StatefulService
from schemas.topics import CANDLES, INDICATORS, SIGNALS, SNAPSHOTS, TICKS
from schemas.units import UtcNs
from streams.engine import layout, snapshot
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.machine import EngineMachine
from streams.engine.rule_runner import OnFault
from streams.rules import RULES, Rule

GROUP: Final = "ats-streams"

_COUNTERS: Final = {
    "ticks": layout.TICKS_SEEN,
    "late": layout.LATE,
    "outside": layout.OUTSIDE,
    "resets": layout.RESETS,
}


@dataclass(slots=True)
class EngineStats:
    """What the engines of this process have seen, by partition.

    For metrics and the live view, never for decisions.

    Attributes:
        machines: The machines at work; a partition that moved here replaces an older one of the
            same number.
    """

    machines: dict[int, EngineMachine] = field(default_factory=dict)

    def count(self, name: str, partition: int) -> int:
        """`ticks`, `late`, `outside` or `resets` of one partition since its state began."""
        return int(self.machines[partition].engine.tables.market[_COUNTERS[name]])

    def clock(self, partition: int) -> UtcNs:
        return self.machines[partition].engine.clock

    def stopped(self, partition: int) -> int:
        """Rules that failed, each counted once for every instrument it is silent on."""
        return sum(map(len, self.machines[partition].engine.runner.stopped.values()))

    def instruments(self, partition: int) -> int:
        return len(self.machines[partition].engine.tables.order)


def engine_service(
    rules: tuple[Rule, ...] = RULES,
    stats: EngineStats | None = None,
    config: EngineConfig | None = None,
    on_fault: OnFault | None = None,
) -> StatefulService:
    """The engine for `bus.stateful.run_stateful`.

    All workers of the group must have the same rules and `config`. `on_fault` hears of rules that
    fail (`Engine`).
    """
    seen = stats if stats is not None else EngineStats()

    def at_work(partition: int, engine: Engine) -> EngineMachine:
        seen.machines[partition] = EngineMachine(engine)
        return seen.machines[partition]

    return StatefulService(
        group=GROUP,
        source=TICKS,
        snapshots=SNAPSHOTS,
        outputs=(SIGNALS, CANDLES, INDICATORS),
        fresh=lambda partition: at_work(partition, Engine(config, rules, on_fault=on_fault)),
        restore=lambda partition, value: at_work(
            partition, snapshot.restore(value, rules, config, on_fault)
        ),
    )
