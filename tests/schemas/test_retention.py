"""What must re-derive each other lives equally long."""

from __future__ import annotations

from itertools import product

import pytest

from schemas.topics import (
    CANDLES,
    CHECKPOINTS,
    DAILY_BARS,
    DECISIONS,
    EXECUTIONS,
    EXITS,
    FANOUTS,
    FEED,
    INDICATORS,
    LEDGER,
    LLM,
    MANIFEST,
    MANIFEST_CONTENTS,
    MARKET_CONTEXT,
    NEWS,
    ORDER_EVENTS,
    ORDERS,
    POSITIONS,
    PREFLIGHTS,
    REPORTS,
    SCANS,
    SESSIONS,
    SIGNALS,
    TICKS,
    TRADES,
    Topic,
)

# The market's chain; a signal is also where the second one begins, which records it as an input.
FROM_TICKS = (TICKS, FEED, CANDLES, INDICATORS)
FROM_SIGNALS = (
    SIGNALS, DAILY_BARS, SCANS, MARKET_CONTEXT, NEWS, LLM, REPORTS, DECISIONS, SESSIONS, ORDERS,
    FANOUTS, EXECUTIONS, ORDER_EVENTS, TRADES, POSITIONS, EXITS, PREFLIGHTS, MANIFEST,
    LEDGER, CHECKPOINTS,
)  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [*product(FROM_TICKS[:1], FROM_TICKS[1:]), *product(FROM_SIGNALS[:1], FROM_SIGNALS[1:])],
    ids=lambda topic: topic.name,
)
def test_topics_that_re_derive_each_other_are_kept_equally_long(one: Topic, other: Topic) -> None:
    assert other.config()["cleanup.policy"] == "delete"
    assert other.retention_days == one.retention_days


def test_what_a_manifest_names_outlives_it() -> None:
    assert MANIFEST_CONTENTS.retention_days is None
