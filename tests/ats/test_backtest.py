"""Generated days through engine, rules and committee in this process."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest

from agents.app import AgentOptions
from ats.backtest.days import Played, play
from ats.scorecard.command import at_once
from audit.scorecard.card import Card, card_of
from audit.scorecard.forecasts import forecasts_of
from audit.scorecard.prices import Prices
from schemas.calendar import EVERY_DAY
from schemas.market import Action
from simulator.market.generator import generate
from streams.service import engine_service

FIRST = date(2026, 11, 20)


@pytest.fixture(scope="module")
def played() -> Played:
    """Two days of 16 shares; the engine knows on the second what it saw on the first."""
    markets = (generate(11, FIRST + timedelta(days=day), 16) for day in range(2))
    return asyncio.run(play(markets, engine_service(), AgentOptions(session=EVERY_DAY.session)))


@pytest.fixture(scope="module")
def card(played: Played) -> Card:
    return card_of(forecasts_of(played.recorded, at_once), Prices(played.candles))


def test_every_signal_of_the_days_is_decided_on_once(played: Played) -> None:
    assert len(played.signals) > 100
    assert [each.signal_id for each in played.decisions] == [each.id for each in played.signals]
    assert {Action.BUY, Action.SELL, Action.HOLD} <= {each.action for each in played.decisions}


def test_ctrl_c_is_heard_in_the_middle_of_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    def scan_of(*_: object) -> None:
        raise AssertionError("the day was played to its end")

    async def interrupted() -> None:
        task = asyncio.current_task()
        assert task is not None

        def cancel(*_: object) -> None:
            task.cancel()

        await play([generate(11, FIRST, 2)], engine_service(), AgentOptions(), cancel)

    monkeypatch.setattr("ats.backtest.days.scan_of", scan_of)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(interrupted())


def test_the_rules_are_right_on_generated_days_no_more_often_than_a_coin(card: Card) -> None:
    assert card.acted.count >= 80
    assert card.acted.hits.low is not None
    assert card.acted.hits.contains(0.5)


def test_every_gain_on_generated_days_is_within_what_chance_gives(card: Card) -> None:
    assert [each.contains(0.0) for each in card.acted.returns] == [True] * 4
