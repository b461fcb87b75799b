"""Trades of an account's day out of its fills: first in, first out, with charges and excursions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from backtest.account import AccountFill
from backtest.market import DayMarket, Numbers
from backtest.trade import Ending, Trade
from executors.charges.book import billed, estimated
from executors.charges.rates import Rates
from executors.orders.round_trips import RoundTrip, round_trips
from schemas.errors import Misconfigured
from schemas.ids import DecisionId, DhanOrderId, InstrumentId
from schemas.market import Side
from schemas.messages import ObservedFill
from schemas.units import Paise, Price, Quantity, UtcNs


def trades_of(
    account: str,
    market: DayMarket,
    fills: Sequence[AccountFill],
    rules: Mapping[DecisionId, str],
    rates: Rates,
) -> list[Trade]:
    """Every entry order that traded, by when it did; what is held at the end is closed at the last.

    `rules` tells whose signal each decision was on.

    Raises:
        Misconfigured: no rates are known.
    """
    by_instrument: dict[InstrumentId, list[AccountFill]] = defaultdict(list)
    for each in fills:
        by_instrument[each.fill.instrument].append(each)
    whole = [
        each
        for instrument, own in by_instrument.items()
        for each in (*own, *_closed(own, instrument, market))
    ]
    bill = _bill([each.fill for each in whole], market.session.day, rates)
    trips = [
        trips
        for instrument in by_instrument
        for trips in _by_entry(each for each in whole if each.fill.instrument == instrument)
    ]
    shares = _shares(bill, [sum(trip.turnover for trip in each) for each in trips])
    made = (
        _trade(account, each, charges, market, rules)
        for each, charges in zip(trips, shares, strict=True)
    )
    return sorted(made, key=lambda each: (each.entered_at, each.symbol, each.decision))


def _by_entry(fills: Iterable[AccountFill]) -> Iterable[list[RoundTrip[AccountFill]]]:
    by_order: dict[tuple[DhanOrderId, Side], list[RoundTrip[AccountFill]]] = defaultdict(list)
    for trip in round_trips(fills):
        by_order[trip.entry.fill.dhan_order_id, trip.side].append(trip)
    return by_order.values()


def _closed(
    own: Sequence[AccountFill], instrument: InstrumentId, market: DayMarket
) -> Iterator[AccountFill]:
    net = sum(
        each.fill.quantity if each.fill.side is Side.BUY else -each.fill.quantity for each in own
    )
    if not net:
        return
    tape = market.tapes[instrument]
    fill = ObservedFill(
        trade_id="end",
        dhan_order_id=DhanOrderId(f"end {instrument}"),
        instrument=instrument,
        side=Side.SELL if net > 0 else Side.BUY,
        product=own[0].fill.product,
        quantity=Quantity(abs(net)),
        price=Price(int(tape.prices[-1])),
        traded_at=UtcNs.seconds(int(tape.seconds[-1])),
    )
    yield AccountFill(fill, own[-1].decision, Ending.CLOSE)


def rates_day(day: date, instrument: InstrumentId, rates: Rates) -> date:
    """By the rates of which day a trade of `day` is charged: of a day without, the newest.

    As a demo's: what it would cost now says more than nothing.

    Raises:
        Misconfigured: nobody knows what `instrument` costs.
    """
    newest = max(row.valid_from for row in rates.rows)
    probe = ObservedFill(
        trade_id="probe",
        dhan_order_id=DhanOrderId("probe"),
        instrument=instrument,
        side=Side.BUY,
        product="INTRADAY",
        quantity=Quantity(1),
        price=Price(100),
    )
    for rated in (day, newest):
        if estimated([probe], rated, rates) is not None:
            return rated
    raise Misconfigured(f"no charges are known for {instrument}: it cannot be played")


def _bill(fills: Sequence[ObservedFill], day: date, rates: Rates) -> Paise:
    if not fills:
        return Paise(0)
    bill = billed(fills, rates_day(day, fills[0].instrument, rates), rates)
    if bill is None:
        told = ", ".join(sorted({str(each.instrument) for each in fills}))
        raise Misconfigured(f"no charges are known for one of {told}: it cannot be played")
    return bill


def _shares(whole: int, weights: Sequence[int]) -> list[Paise]:
    """`whole` by weight, in whole paise that add up to it: the largest remainders get one more."""
    total = sum(weights)
    if not total:
        return [Paise(0) for _ in weights]
    parts = [divmod(whole * weight, total) for weight in weights]
    missing = whole - sum(part for part, _ in parts)
    first = sorted(range(len(parts)), key=lambda at: (-parts[at][1], at))[:missing]
    return [Paise(part + (at in first)) for at, (part, _) in enumerate(parts)]


def _trade(
    account: str,
    trips: Sequence[RoundTrip[AccountFill]],
    charges: Paise,
    market: DayMarket,
    rules: Mapping[DecisionId, str],
) -> Trade:
    exits = [(trip.exit, trip.quantity) for trip in trips if trip.exit]
    assert len(exits) == len(trips), "what was held has been closed"
    entry, last = trips[0].entry, max((each for each, _ in exits), key=_moment)
    decision = entry.decision
    side, quantity = trips[0].side, sum(trip.quantity for trip in trips)
    entry_value = sum(trip.entry.fill.price * trip.quantity for trip in trips)
    entered, left = min(_moment(trip.entry) for trip in trips), _moment(last)
    instrument = entry.fill.instrument
    prices = market.prices_between(instrument, entered, left)
    gross = sum(trip.gross for trip in trips)
    behind, ahead = _excursion(prices, side, quantity, entry_value, gross)
    return Trade(
        rule=rules[decision.id],
        account=account,
        decision=decision.id,
        instrument=instrument,
        symbol=decision.symbol,
        side=side,
        quantity=Quantity(quantity),
        entered_at=entered,
        left_at=left,
        entry_value=Paise(entry_value),
        exit_value=Paise(sum(each.fill.price * units for each, units in exits)),
        charges=charges,
        ending=last.ending,
        mae=behind,
        mfe=ahead,
    )


def _moment(each: AccountFill) -> UtcNs:
    return each.fill.traded_at


def _excursion(
    prices: Numbers, side: Side, quantity: int, entry_value: int, gross: int
) -> tuple[Paise, Paise]:
    """The most that all units were behind and ahead: at one of `prices`, or in the end."""
    sign = 1 if side is Side.BUY else -1
    extremes = (prices.min(), prices.max()) if len(prices) else ()
    results = [sign * (int(price) * quantity - entry_value) for price in extremes]
    return Paise(min(0, gross, *results)), Paise(max(0, gross, *results))
