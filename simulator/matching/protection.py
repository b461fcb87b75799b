"""Which positions had a resting stop, and when: the broker's own record, for tests of the whole.

A position is protected while stops that wait at the exchange would close all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from schemas.market import Side
from simulator.matching.enums import Status
from simulator.matching.ledger import PositionKey
from simulator.matching.order import Order, OrderSnapshot
from simulator.matching.order_manager import OrderManager

Span: TypeAlias = tuple[float, float]  # machine times, on the record's clock

_RESTS = frozenset({Status.PENDING, Status.PART_TRADED})


@dataclass(frozen=True, slots=True)
class Exposure:
    """One position of one account, from a moment on.

    Attributes:
        machine_time: Seconds of the monotonic clock since the record began.
        market_time: UTC epoch seconds.
        net: Units, below 0 when short.
        resting_stop: Units that stops at the exchange would close; without a position those of
            both sides, which would open one.
        resting_exit: Units that waiting orders without a trigger would close; likewise.
        exit_in_transit: Units of either kind that the broker has taken and the exchange has not.
    """

    machine_time: float
    market_time: int
    net: int
    resting_stop: int
    resting_exit: int
    exit_in_transit: int = 0

    @property
    def unprotected(self) -> int:
        """Units that no resting stop would close."""
        return max(0, abs(self.net) - self.resting_stop)


@dataclass(frozen=True, slots=True)
class Spell:
    """A time without a sufficient stop.

    Attributes:
        most: The most units without a stop.
        over: False when it still goes on.
        on_their_way: When exits in TRANSIT would have covered all of it: pairs of machine times.
    """

    key: PositionKey
    machine_from: float
    machine_to: float
    market_from: int
    market_to: int
    most: int
    over: bool
    on_their_way: tuple[Span, ...] = ()

    def seconds_without(self, silences: Iterable[Span]) -> float:
        """Its machine seconds while the broker answered and had no exit on its way.

        `silences` are pairs of machine times, on the record's clock.
        """
        return left_of((self.machine_from, self.machine_to), [*silences, *self.on_their_way])

    @property
    def machine_seconds(self) -> float:
        """How long it took on the machine's clock."""
        return self.machine_to - self.machine_from

    @property
    def market_seconds(self) -> int:
        """How long it took on the market's clock."""
        return self.market_to - self.market_from


class ProtectionRecord:
    """Follows every order of one book. `monotonic` is machine time."""

    def __init__(self, book: OrderManager, monotonic: Callable[[], float]) -> None:
        self._orders = book
        self._monotonic = monotonic
        self._began = monotonic()
        self._exposures: dict[str, dict[PositionKey, list[Exposure]]] = {}
        book.on_change(self._look)

    @property
    def now(self) -> float:
        """Machine time in seconds since the record began."""
        return self._monotonic() - self._began

    def at(self, monotonic: float) -> float:
        """A moment of the monotonic clock, on the record's."""
        return monotonic - self._began

    def of(self, client_id: str) -> dict[PositionKey, list[Exposure]]:
        """The account's exposures by position, oldest first."""
        return {key: list(seen) for key, seen in self._exposures.get(client_id, {}).items()}

    def spells(self, client_id: str, second: int) -> list[Spell]:
        """When the account's positions lacked a stop, up to now; the market stands at `second`."""
        return [
            spell
            for key, seen in self._exposures.get(client_id, {}).items()
            for spell in _spells(key, seen, self.now, second)
        ]

    def _look(self, changed: OrderSnapshot) -> None:
        request = changed.request
        key = PositionKey(request.instrument, request.product)
        net = self._orders.ledger.net(request.client_id, *key)
        closing = [
            order
            for order in self._orders.live(request.client_id)
            if (order.request.instrument, order.request.product) == key and _closes(order, net)
        ]
        waiting = [order for order in closing if order.status in _RESTS]
        on_their_way = [order for order in closing if order.status is Status.TRANSIT]
        seen = self._exposures.setdefault(request.client_id, {}).setdefault(key, [])
        exposure = Exposure(
            self.now,
            changed.updated_at,
            net,
            _units(order for order in waiting if order.request.order_type.waits_for_trigger),
            _units(order for order in waiting if not order.request.order_type.waits_for_trigger),
            _units(on_their_way),
        )
        if not seen or _units_of(seen[-1]) != _units_of(exposure):
            seen.append(exposure)


def left_of(whole: Span, without: Iterable[Span]) -> float:
    """Seconds of `whole` that none of `without` covers, all together."""
    left, (at, until) = 0.0, whole
    for begin, end in sorted(without):
        left += max(0.0, min(begin, until) - at)
        at = max(at, end)
    return left + max(0.0, until - at)


def _spells(key: PositionKey, seen: list[Exposure], now: float, second: int) -> Iterable[Spell]:
    end = Exposure(now, second, 0, 0, 0)
    began: Exposure | None = None
    most, on_their_way = 0, list[Span]()
    for exposure, after in pairwise([*seen, end]):
        most = max(most, exposure.unprotected)
        if exposure.unprotected:
            began = began or exposure
            if exposure.unprotected <= exposure.exit_in_transit:
                on_their_way.append((exposure.machine_time, after.machine_time))
        if began and (after is end or not after.unprotected):
            yield Spell(
                key=key,
                machine_from=began.machine_time,
                machine_to=after.machine_time,
                market_from=began.market_time,
                market_to=after.market_time,
                most=most,
                over=after is not end,
                on_their_way=tuple(on_their_way),
            )
            began, most = None, 0
            on_their_way.clear()


def _closes(order: Order, net: int) -> bool:
    return net == 0 or (order.request.side is Side.SELL) is (net > 0)


def _units(orders: Iterable[Order]) -> int:
    return sum(order.remaining for order in orders)


def _units_of(exposure: Exposure) -> tuple[int, int, int, int]:
    stops = exposure.resting_stop, exposure.exit_in_transit
    return exposure.net, exposure.resting_exit, *stops
