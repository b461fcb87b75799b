"""Generated days through the engine and the accounts of two rules."""

from __future__ import annotations

import math
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

import pytest

from backtest import signals
from backtest.account import AccountDay, AccountFill
from backtest.closing import Closing
from backtest.exchange import Exchange
from backtest.fills import Fills
from backtest.market import DayMarket
from backtest.observed import ObservedBook
from backtest.run import Result, run
from backtest.setup import PLATFORM, Setup
from backtest.trade import Ending
from executors.charges.book import billed
from executors.charges.rates import shipped_rates
from executors.orders.plans import Plans
from executors.orders.worker import new_order
from schemas.errors import Misconfigured
from schemas.ids import UserId
from schemas.market import Side, to_tick
from schemas.strategy import Strategy, StrategyMode
from schemas.units import NS_PER_SECOND, Paise, UtcNs
from simulator.market.generator import generate
from simulator.matching.matcher import Matcher
from simulator.paper.matcher import TapeMatcher
from streams.engine.config import EngineConfig
from streams.rules import RULES
from tests.executors.factories import an_intent

FIRST = date(2026, 11, 19)
CONFIG = EngineConfig()


@pytest.fixture(scope="module")
def markets() -> list[DayMarket]:
    return [DayMarket.of(generate(5, FIRST + timedelta(days=day), 6)) for day in range(2)]


def played(markets: list[DayMarket], fills: Fills = Fills.BOOK) -> Result:
    return run(markets, RULES, CONFIG, Setup(fills=fills))


@pytest.fixture(scope="module")
def result(markets: list[DayMarket]) -> Result:
    return played(markets)


def test_every_rule_trades_in_an_account_of_its_own(result: Result) -> None:
    assert {each.account for each in result.trades} == {rule.name for rule in RULES}
    assert all(each.account == each.rule for each in result.trades)


def test_a_rule_keeps_its_own_limits_in_whatever_mode(
    markets: list[DayMarket], result: Result
) -> None:
    once = Strategy(name=RULES[0].name, mode=StrategyMode.SHADOW, max_orders_per_day=1)
    held, free = replace(RULES[0], strategy=once), RULES[0].name

    played = run(markets, (held,), CONFIG, Setup())

    outcomes = played.outcomes[free]
    assert outcomes["ordered"] < result.outcomes[free]["ordered"]  # exits leave
    assert outcomes["strategy_orders_used_up"] > 0


def test_what_came_of_every_signal_is_counted(result: Result) -> None:
    signals = sum(each.signals for each in result.days)

    assert sum(sum(each.values()) for each in result.outcomes.values()) == signals > 50


def test_the_same_days_give_the_same_trades_in_any_batches_and_by_any_number_of_workers(
    markets: list[DayMarket], result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "BATCH", 997)

    with ThreadPoolExecutor(2) as pool:
        again = run(markets, RULES, CONFIG, Setup(), pool=pool)

    assert again == result


@pytest.mark.parametrize("fills", list(Fills))
def test_prints_that_are_passed_over_would_have_changed_nothing(
    fills: Fills, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = DayMarket.of(generate(5, FIRST, 2))
    expected = played([market], fills)
    for matcher in (Matcher, TapeMatcher):
        monkeypatch.setattr(matcher, "interest", lambda *_: (math.inf, -math.inf))

    assert played([market], fills) == expected
    assert expected.trades


def test_everything_is_closed_by_the_square_off_and_nothing_entered_after_it(
    markets: list[DayMarket], result: Result
) -> None:
    closes = {each.session.day: each.session.close for each in markets}

    assert Ending.SQUARE_OFF in {each.ending for each in result.trades}
    assert Ending.CLOSE not in {each.ending for each in result.trades}
    assert all(each.left_at < closes[each.day] - UtcNs.minutes(20) for each in result.trades)


def test_what_is_open_when_the_data_ends_is_closed_at_the_last_price(
    markets: list[DayMarket],
) -> None:
    noon = markets[0].session.open // NS_PER_SECOND + 3 * 3_600
    cut = replace(markets[0], prints=markets[0].prints[markets[0].prints["second"] < noon])

    ended = [each for each in played([cut]).trades if each.ending is Ending.CLOSE]

    assert len({each.instrument for each in ended}) > 1
    for each in ended:
        assert each.exit_price == cut.tapes[each.instrument].prices[-1]


def test_an_account_that_has_lost_its_limit_enters_nothing_more_though_the_market_turns(
    markets: list[DayMarket],
) -> None:
    market, rule, most = markets[0], "ema_cross", Paise.from_rupees(500)
    source = signals.SignalSource(RULES, CONFIG)
    own = [each for each in source.play(market) if each.signal.rule == rule]
    limits = replace(PLATFORM, max_daily_loss=most)

    free = AccountDay(rule, market, Setup()).run(own)
    halted = AccountDay(rule, market, Setup(limits=limits)).run(own)

    # at each of its orders the day had lost less than that
    assert halted.outcomes["daily_loss_reached"] == 0
    assert halted.outcomes["halted"] == free.outcomes["ordered"] - halted.outcomes["ordered"] > 0
    assert sum(_units(each) for each in halted.fills) == 0  # what it held was closed


@pytest.mark.parametrize("halted", [True, False])
def test_an_entry_that_waits_is_cancelled_when_its_account_is_halted(
    markets: list[DayMarket], halted: bool
) -> None:
    market, observed, user = markets[0], ObservedBook(), UserId(UUID(int=1))
    exchange = Exchange(market, Fills.BOOK, observed.hear)
    closing = Closing("1", user, market, Setup(), exchange, observed, Plans(), halted=halted)
    share = next(each for each, one in market.instruments.items() if one.tradable)
    second = market.session.open // NS_PER_SECOND + 3_600
    quote = market.quote_at(share, second)
    assert quote is not None
    price = to_tick(quote.price * 0.95, Paise(5))
    intent = an_intent(
        user,
        instrument=share,
        price=price,
        stop=to_tick(price * 0.99, Paise(5)),
        target=to_tick(price * 1.02, Paise(5)),
        valid_until=UtcNs.seconds(second + 60),
    )
    closing.plans.observe(intent)
    exchange.enter("1", new_order(intent, opens=True), second)

    closing.look(share, second + 1)

    assert bool(list(exchange.waiting())) is not halted


def _units(filled: AccountFill) -> int:
    bought = filled.fill.side is Side.BUY
    return filled.fill.quantity if bought else -filled.fill.quantity


def test_charges_of_a_day_add_up_to_its_bill(markets: list[DayMarket]) -> None:
    market, rule = markets[0], RULES[0].name
    source = signals.SignalSource(RULES, CONFIG)
    own = [each for each in source.play(market) if each.signal.rule == rule]

    fills = AccountDay(rule, market, Setup()).run(own).fills

    charged = sum(
        each.charges
        for each in run([market], RULES, CONFIG, Setup()).trades
        if each.account == rule
    )
    bill = billed([each.fill for each in fills], market.session.day, shipped_rates())
    assert charged == bill != 0


def test_a_stopped_out_trade_lost_and_one_at_its_target_won(result: Result) -> None:
    gross = defaultdict(list)
    for each in result.trades:
        gross[each.ending].append(each.gross)

    assert max(gross[Ending.STOP]) < 0
    assert min(gross[Ending.TARGET], default=1) > 0


def test_excursions_hold_what_a_trade_came_to(result: Result) -> None:
    assert all(each.mae <= 0 <= each.mfe for each in result.trades)
    assert all(each.mae <= each.gross <= each.mfe for each in result.trades)


def test_an_order_that_arrives_later_is_filled_later(markets: list[DayMarket]) -> None:
    late = run(markets[:1], RULES, CONFIG, Setup(latency=30))
    soon = {each.decision: each.entered_at for each in played(markets[:1]).trades}

    waits = [each.entered_at - soon[each.decision] for each in late.trades if each.decision in soon]
    assert min(waits) >= UtcNs.seconds(29)


def test_on_the_tape_nothing_is_bought_below_or_sold_above_what_traded(
    markets: list[DayMarket],
) -> None:
    for each in played(markets[:1], Fills.TAPE).trades:
        seen = markets[0].prices_between(each.instrument, each.entered_at, each.left_at)

        assert each.quantity * seen.min() <= each.entry_value <= each.quantity * seen.max()


def test_days_of_the_warm_up_trade_nothing_and_teach_the_engine(markets: list[DayMarket]) -> None:
    second = markets[1].session.day
    warm = run(markets, RULES, CONFIG, Setup(), first=second)
    cold = run(markets[1:], RULES, CONFIG, Setup())

    assert {each.day for each in warm.trades} == {second}
    assert [each.warm_up for each in warm.days] == [True, False]
    assert warm.trades != cold.trades


def test_a_day_that_comes_twice_is_refused_by_name(markets: list[DayMarket]) -> None:
    twice = [markets[0], replace(markets[0], source="again.csv")]

    with pytest.raises(Misconfigured, match=r"again\.csv holds 2026-11-19"):
        run(twice, RULES, CONFIG)


def test_a_sale_first_is_a_trade_too(result: Result) -> None:
    assert {each.side for each in result.trades} == set(Side)
