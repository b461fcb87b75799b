"""The topic catalogue: names, messages, keys, partitions, retention.

`ats topics create` makes Kafka agree with it. Topics by instrument share one partition count, and
so do topics by user, because a derived message goes to the partition number of its cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas import depth, inputs, ledger, manifest, market_context, messages

MIB: Final = 1 << 20
DAY_MS: Final = 86_400_000


class Family(StrEnum):
    """What decides the number of partitions."""

    INSTRUMENT = "instrument"
    USER = "user"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        message: Type of the value; None where it is binary (`schemas.ticks`, snapshots).
        key: What the key is, in words.
        retention_days: None keeps records for ever (compacted topics).
    """

    name: str
    family: Family
    key: str
    message: type[messages.Message] | None = None
    retention_days: int | None = 7
    compacted: bool = False
    max_message_bytes: int = MIB

    def config(self) -> dict[str, str]:
        """Kafka's topic settings."""
        settings = {"max.message.bytes": str(self.max_message_bytes)}
        if self.compacted:
            # the active segment is never compacted, so keep segments short
            return settings | {
                "cleanup.policy": "compact",
                "segment.ms": "60000",
                "min.cleanable.dirty.ratio": "0.1",
            }
        retention = -1 if self.retention_days is None else self.retention_days * DAY_MS
        return settings | {"cleanup.policy": "delete", "retention.ms": str(retention)}

    @property
    def holds_snapshots(self) -> bool:
        """Whether it keeps a service's state rather than anything that happened."""
        return self.compacted and self.message is None

    def partitions(self, plan: PartitionPlan) -> int:
        """How many partitions it has under `plan`."""
        return {Family.INSTRUMENT: plan.instrument, Family.USER: plan.user, Family.SINGLE: 1}[
            self.family
        ]


@dataclass(frozen=True, slots=True)
class PartitionPlan:
    """How many partitions each family of topics has.

    Changing it on a live cluster moves keys: drain first.
    """

    instrument: int = 4
    user: int = 4


_AUDIT_DAYS: Final = 5 * 365  # SEBI: five years of evidence (`docs/facts/market-rules.md`)

TICKS: Final = Topic("ats.ticks", Family.INSTRUMENT, "partition number", retention_days=30)
FEED: Final = Topic("ats.feed", Family.SINGLE, "gateway", messages.FeedEvent, retention_days=30)
CANDLES: Final = Topic(
    "ats.candles", Family.INSTRUMENT, "instrument", messages.Candle, retention_days=30
)
INDICATORS: Final = Topic(
    "ats.indicators", Family.INSTRUMENT, "instrument", messages.Indicators, retention_days=30
)
# a week: what an agent saw of it is kept on `ats.market-context`
DEPTH: Final = Topic("ats.depth", Family.INSTRUMENT, "partition number", depth.Depth)
SIGNALS: Final = Topic("ats.signals", Family.INSTRUMENT, "instrument", messages.Signal, _AUDIT_DAYS)
SCANS: Final = Topic("ats.scans", Family.SINGLE, "trading date", messages.Scan, _AUDIT_DAYS)
REPORTS: Final = Topic("ats.reports", Family.INSTRUMENT, "instrument", messages.Report, _AUDIT_DAYS)
LLM: Final = Topic("ats.llm", Family.INSTRUMENT, "request hash", messages.LlmCall, _AUDIT_DAYS)
NEWS: Final = Topic("ats.news", Family.INSTRUMENT, "instrument", inputs.NewsAnswer, _AUDIT_DAYS)
DAILY_BARS: Final = Topic(
    "ats.daily-bars", Family.SINGLE, "instrument", inputs.DailyBars, _AUDIT_DAYS
)
MARKET_CONTEXT: Final = Topic(
    "ats.market-context",
    Family.INSTRUMENT,
    "instrument",
    market_context.MarketContext,
    _AUDIT_DAYS,
)
DECISIONS: Final = Topic(
    "ats.decisions", Family.INSTRUMENT, "instrument", messages.Decision, _AUDIT_DAYS
)
SESSIONS: Final = Topic("ats.sessions", Family.USER, "user", messages.UserSession, _AUDIT_DAYS)
# the state of today: a reader need not read five years
SESSIONS_LATEST: Final = Topic(
    "ats.sessions-latest", Family.USER, "user", messages.UserSession, None, compacted=True
)
ORDERS: Final = Topic("ats.orders", Family.USER, "user", messages.OrderIntent, _AUDIT_DAYS)
EXECUTIONS: Final = Topic("ats.executions", Family.USER, "user", messages.Execution, _AUDIT_DAYS)
ORDER_EVENTS: Final = Topic(
    "ats.order-events", Family.USER, "user", messages.OrderEvent, _AUDIT_DAYS
)
TRADES: Final = Topic("ats.trades", Family.USER, "user", messages.Trade, _AUDIT_DAYS)
POSITIONS: Final = Topic("ats.positions", Family.USER, "user", messages.Position, _AUDIT_DAYS)
EXITS: Final = Topic("ats.exits", Family.USER, "user", messages.ExitOrder, _AUDIT_DAYS)
PREFLIGHTS: Final = Topic("ats.preflights", Family.USER, "user", messages.Preflight, _AUDIT_DAYS)
FANOUTS: Final = Topic("ats.fanouts", Family.INSTRUMENT, "instrument", messages.FanOut, _AUDIT_DAYS)
SNAPSHOTS: Final = Topic(
    "ats.snapshots", Family.INSTRUMENT, "partition/slot/chunk", None, None, compacted=True
)
BOOK_SNAPSHOTS: Final = Topic(
    "ats.book-snapshots", Family.USER, "partition/slot/chunk", None, None, compacted=True
)
MANIFEST: Final = Topic("ats.manifest", Family.SINGLE, "service", manifest.Manifest, _AUDIT_DAYS)
# for ever: what a manifest of the last five years names may have been written before them
MANIFEST_CONTENTS: Final = Topic(
    "ats.manifest-contents",
    Family.SINGLE,
    "digest",
    manifest.ManifestContent,
    None,
    compacted=True,
    max_message_bytes=4 * MIB,
)
LEDGER: Final = Topic("ats.ledger", Family.SINGLE, "trading date", ledger.LedgerBatch, _AUDIT_DAYS)
CHECKPOINTS: Final = Topic(
    "ats.checkpoints", Family.SINGLE, "trading date", ledger.LedgerCheckpoint, _AUDIT_DAYS
)
DEAD_LETTER: Final = Topic(
    "ats.deadletter",
    Family.SINGLE,
    "origin topic",
    messages.DeadLetter,
    _AUDIT_DAYS,
    max_message_bytes=4 * MIB,
)

CATALOGUE: Final[tuple[Topic, ...]] = (
    TICKS, FEED, DEPTH, CANDLES, INDICATORS, SIGNALS, DAILY_BARS, SCANS, MARKET_CONTEXT, NEWS,
    REPORTS, LLM, DECISIONS, SESSIONS, SESSIONS_LATEST, ORDERS, EXECUTIONS, ORDER_EVENTS, TRADES,
    POSITIONS, EXITS, PREFLIGHTS, FANOUTS, SNAPSHOTS, BOOK_SNAPSHOTS, MANIFEST, MANIFEST_CONTENTS,
    LEDGER, CHECKPOINTS, DEAD_LETTER,
)  # fmt: skip
# what the first records lack: who reads a record does without
LATER: Final = frozenset({NEWS, MARKET_CONTEXT, DAILY_BARS, SESSIONS_LATEST, DEPTH})
BY_NAME: Final = {topic.name: topic for topic in CATALOGUE}


def user_partition(user: object, partitions: int) -> int:
    """Which partition a user's messages go to: the low bits of the UUID, stable for ever."""
    return int(str(user).replace("-", ""), 16) % partitions
