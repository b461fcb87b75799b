"""One day of paper trading: a book, what happens to it, and the journal of that.

Every input is an entry: a request that trades, prints of the tape, or time that passed. It is
written down first and applied then, and nothing else changes the book. `recover` applies what a
dead process wrote; the prints after it are still on the topic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from fractions import Fraction
from typing import Any, Final

import orjson
import structlog
from aiohttp import web

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId, Segment
from schemas.market import Session
from schemas.units import NS_PER_SECOND, Paise, Quantity, UtcNs
from simulator.api.brackets import Brackets
from simulator.api.orders import Rest
from simulator.api.portfolio import Portfolio
from simulator.api.replies import refuse
from simulator.api.trader_control import Addresses, TraderControl, bad_ip_code
from simulator.api.transit import Transit
from simulator.matching.controls import Controls
from simulator.matching.enums import Product
from simulator.matching.forever_orders import ForeverOrders
from simulator.matching.ledger import Account, Holding, Position
from simulator.matching.order import Order, OrderSnapshot
from simulator.matching.order_manager import OrderManager
from simulator.matching.rules import Phase
from simulator.matching.super_orders import SuperOrders
from simulator.paper.config import PaperConfig
from simulator.paper.journal import Entry, Journal
from simulator.paper.matcher import Moment, TapeMatcher
from simulator.paper.opening import Opening
from simulator.paper.requests import PaperRequest, RouteTable
from simulator.paper.tape import Print, from_json, to_json
from simulator.refusals import BAD_INPUT, SERVER_ERROR

log = structlog.get_logger(__name__)

_NO_HOLDINGS: Final[Mapping[InstrumentId, Holding]] = {}


class PaperDay:
    """One day. `now` is our clock (UTC ns); what it says may not fall, so it never does here.

    Attributes:
        positions: Of each partition of the tape, the offset to read next.
        book: The day's orders.
        changed: Some order changed since somebody last looked.
        behind: Prints from before our start are still being read. Until they are, the wall's clock
            ends nothing that they may fill.
    """

    def __init__(
        self, opening: Opening, config: PaperConfig, journal: Journal, now: Callable[[], UtcNs]
    ) -> None:
        self.opening = opening
        self.positions = dict(opening.positions)
        self.changed = False
        self.behind = False
        self.routes = RouteTable()
        self._config = config
        self._journal = journal
        self._clock = now
        self._now = UtcNs(0)
        self._market = UtcNs(0)
        self._was_behind = False
        self._session = config.hours(opening.day)
        self._transit: deque[tuple[UtcNs, Order]] = deque()
        self._seen: dict[InstrumentId, Print] = {}
        self._volumes: dict[InstrumentId, int] = {}
        self._build()

    @property
    def day(self) -> date:
        """The date in India."""
        return self.opening.day

    @property
    def second(self) -> int:
        """The day's time, UTC epoch: the wall's, or the tape's when it is a replay."""
        if not self._config.market_clock:
            return self._now // NS_PER_SECOND
        opened = self._session.open if self._session else 0
        return max(self._market, opened) // NS_PER_SECOND

    @property
    def now(self) -> UtcNs:
        """The same in nanoseconds."""
        return UtcNs.seconds(self.second)

    @property
    def next_due(self) -> UtcNs | None:
        """When time alone will change something, by our clock; None when nothing waits for it."""
        due = [self._transit[0][0]] if self._transit else []
        if (expiry := self._matcher.next_expiry) is not None:
            due.append(expiry)
        if change := self._next_phase():
            moment, _ = change
            if not self._config.market_clock:
                due.append(moment)
            elif moment <= self.now:
                due.append(self._now)
        return min(due, default=None)

    def on_change(self, listener: Callable[[OrderSnapshot], None]) -> None:
        """Call `listener` after every change of an order from now on."""
        self.book.on_change(listener)

    async def recover(self, entries: Iterator[Entry]) -> None:
        """Do again what the journal says, all but its first entry, the opening."""
        for entry in entries:
            await self._apply(entry)

    async def ask(self, request: PaperRequest) -> web.StreamResponse:
        """Answer a request; one that trades is on the disk before it is done."""
        route = self.routes.named(request.route)
        if not route.trades:
            return await route.handler(request.call())
        try:
            body = request.body.decode()
        except UnicodeDecodeError:
            body = BAD_INPUT.message  # no JSON: the handler refuses it
        shown = self._seen.get(wanted) if (wanted := _instrument(request.body)) else None
        entry = self._entry("call") | {
            "who": request.client_id,
            "route": request.route,
            "parts": dict(request.match_info),
            "query": dict(request.query),
            "body": body,
            "instrument": str(wanted) if wanted else None,
            "shown": to_json(shown) if shown else None,
            "at": {str(partition): offset for partition, offset in self.positions.items()},
        }
        self._journal.append(entry)
        self._journal.sync()
        reply = await self._apply(entry)
        assert reply is not None, "a call has a reply"
        return reply

    async def show(self, partition: int, offset: int, prints: list[Print]) -> None:
        """Take the prints of one record of the tape in; one that was taken in already is not."""
        if offset < self.positions.get(partition, 0):
            return
        followed = [shown for shown in prints if shown.instrument in self._volumes]
        for shown in prints:
            self._seen[shown.instrument] = shown
        if followed:
            entry = self._entry("prints") | {
                "partition": partition,
                "next": offset + 1,
                "rows": [to_json(shown) for shown in followed],
            }
            self._journal.append(entry)
            await self._apply(entry)
        self.positions[partition] = offset + 1
        self.heard(max((shown.clock for shown in prints), default=UtcNs(0)))

    def heard(self, market: UtcNs) -> None:
        """The market's clock is at `market` at least."""
        self._market = max(self._market, market)

    async def let_time_pass(self) -> None:
        """Do what is due by now."""
        due = self.next_due
        if due is None or due > self._clock():
            return
        entry = self._entry("time")
        self._journal.append(entry)
        await self._apply(entry)

    def settle(self) -> None:
        """Make what changed safe before anybody is told of it."""
        if self.changed:
            self._journal.sync()
            self.changed = False

    def closing(self, day: date) -> Opening:
        """What the accounts bring into `day`.

        Shares for delivery are holdings then. Anything else that is open is closed at its last
        price, where the real broker would have squared it off.
        """
        funds = dict(self.opening.funds)
        holdings = {who: dict(held) for who, held in self.opening.holdings.items()}
        for who in {order.request.client_id for order in self.book.all()}:
            cash = Fraction(funds.get(who, self.opening.fresh))
            mine = holdings.setdefault(who, {})
            for position in self.book.ledger.of(who):
                if position.product is Product.CNC:
                    cash += position.sold_value - position.bought_value
                    _deliver(mine, position)
                else:
                    last = self.book.last(position.instrument.id)
                    cash += position.realised + position.unrealised(last)
            funds[who] = Paise(cash // 1)
        return Opening(
            day, self._config.funds, self._config.latency, dict(self.positions), funds, holdings
        )

    def _build(self) -> None:
        config = self._config

        def matcher(*args: Any) -> TapeMatcher:
            self._matcher = TapeMatcher(*args)
            return self._matcher

        self.book = OrderManager(
            self.day,
            config.instruments,
            rules=config.rules,
            purses=self._account,
            matcher=matcher,
        )
        self.book.on_change(self._note)
        supers, forevers = SuperOrders(self.book), ForeverOrders(self.book)
        controls = Controls(self.book, supers, forevers)
        addresses = Addresses(lambda: self.day, required=False, bad_ip=bad_ip_code(config.quirks))
        transit, table, quirks = _Latency(self._arrive_later), self.routes, config.quirks
        for endpoint in (
            Rest(self, transit, table, quirks),
            Brackets(self, supers, forevers, table, quirks, transit=transit),
            Portfolio(self, controls, table, quirks),
            TraderControl(self, controls, addresses, table),
        ):
            table.add(endpoint.routes())

    def _account(self, client_id: str) -> Account:
        funds = self.opening.funds.get(client_id, self.opening.fresh)
        return Account(funds, self.opening.holdings.get(client_id, _NO_HOLDINGS))

    def _note(self, _: OrderSnapshot) -> None:
        self.changed = True

    def _arrive_later(self, order: Order) -> None:
        self._transit.append((UtcNs(self._now + self.opening.latency), order))

    # Entries: the only way in

    def _entry(self, kind: str) -> dict[str, Any]:
        now = max(self._now, self._clock())
        return {"kind": kind, "now": now, "market": self._market, "behind": self.behind}

    async def _apply(self, entry: Entry) -> web.StreamResponse | None:
        self._now, self._market = UtcNs(entry["now"]), UtcNs(entry["market"])
        self._was_behind = entry["behind"]
        self._pass_time()
        match entry["kind"]:
            case "call":
                return await self._call(entry)
            case "prints":
                self._print(entry)
        return None

    async def _call(self, entry: Entry) -> web.StreamResponse:
        for partition, offset in entry["at"].items():
            self.positions[int(partition)] = offset
        if entry["instrument"]:
            self._follow(InstrumentId.parse(entry["instrument"]), entry["shown"])
        self._matcher.now = Moment(self._now, self._market)
        request = PaperRequest(
            entry["who"],
            entry["route"],
            entry["parts"],
            entry["query"],
            entry["body"].encode(),
        )
        try:
            return await self.routes.named(request.route).handler(request.call())
        except Exception:  # ours to mend; it would come again at each start, and end it
            log.exception("paper.request_failed", route=request.route)
            return refuse(SERVER_ERROR)

    def _follow(self, instrument: InstrumentId, row: list[Any] | None) -> None:
        """From now on every print of it is kept; `row` is the last one before."""
        if instrument in self._volumes or instrument not in self._config.instruments:
            return
        self._volumes[instrument] = -1  # unknown, as where the packet has none
        if row is not None:
            self._one_print(from_json(row))

    def _print(self, entry: Entry) -> None:
        for row in entry["rows"]:
            self._one_print(from_json(row))
        self.positions[entry["partition"]] = entry["next"]
        self._pass_time()

    def _one_print(self, shown: Print) -> None:
        before = self._volumes.get(shown.instrument)
        if before is None:
            raise Misconfigured(
                f"{self._journal.path} has orders of {shown.instrument}, which is not in the "
                "instrument master any more: give the master of that day, or move the file away"
            )
        trading = self._trades_at(shown)
        traded = shown.traded_since(before) if trading else 0
        self._volumes[shown.instrument] = max(before, shown.volume) if trading else shown.volume
        self.heard(shown.clock)
        self._matcher.show(shown, traded)
        self._matcher.now = Moment(shown.received_at, max(shown.clock, shown.traded_at))
        self.book.on_price(shown.instrument, shown.price, shown.second)

    def _trades_at(self, shown: Print) -> bool:
        """Whether the trade was of the day's continuous sessions; an auction is none."""
        sessions = self._config.calendar.sessions(self.day, shown.instrument)
        return self.book.phase is Phase.OPEN and any(shown.traded_at in one for one in sessions)

    def _pass_time(self) -> None:
        """Let orders arrive, the session open and close, and immediate orders end, in that order
        of their times.
        """
        while self._transit and self._transit[0][0] <= self._now:
            due, order = self._transit.popleft()
            self._matcher.now = Moment(due, self._market)
            self.book.release(order, self.second)
        self._matcher.now = Moment(self._now, self._market)
        if not self._was_behind:
            self._matcher.expire(self._now, self.second)
        while (change := self._next_phase()) and change[0] <= self._session_time():
            if change[1] is Phase.OPEN:
                self.book.open(self.second)
            else:
                self.book.close(self.second)

    def _session_time(self) -> UtcNs:
        """What the day's hours go by: while we are behind, the tape's clock."""
        behind = self._was_behind and self.book.phase is Phase.OPEN
        return self._market if behind else self.now

    def _next_phase(self) -> tuple[UtcNs, Phase] | None:
        """The session's next phase and when it begins, by the day's time."""
        hours = self._hours()
        if self.book.phase is Phase.BEFORE:
            return hours.open, Phase.OPEN if self._session else Phase.CLOSED
        return (hours.close, Phase.CLOSED) if self.book.phase is Phase.OPEN else None

    def _hours(self) -> Session:
        """The session; of a day without one, a session that is never open."""
        return self._session or Session(self.day, UtcNs(0), UtcNs(0))


class _Latency(Transit):
    """Hands an order that was accepted to the day, which lets it arrive later."""

    def __init__(self, later: Callable[[Order], None]) -> None:
        self._later = later

    def carry(self, order: Order) -> None:
        """Let `order` be on its way."""
        self._later(order)


def _instrument(body: bytes) -> InstrumentId | None:
    """What a request's body is about; None when it does not say it plainly."""
    try:
        fields = orjson.loads(body)
        segment, number = fields["exchangeSegment"], int(fields["securityId"])
        return InstrumentId(Segment(segment), number)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _deliver(held: dict[InstrumentId, Holding], position: Position) -> None:
    key = position.instrument.id
    before = held.get(key, Holding(Quantity(0), Paise(0), Quantity(0)))
    quantity = before.quantity + position.net
    if quantity <= 0:
        held.pop(key, None)
        return
    value = before.quantity * before.average_cost + max(position.net, 0) * position.cost
    units = before.quantity + max(position.net, 0)
    held[key] = before._replace(
        quantity=Quantity(quantity), average_cost=Paise(round(value / units))
    )
