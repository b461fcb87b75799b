"""Takes in the records of all topics: states and events, for everybody and for each user. Pure.

A record of a later trading day begins that day for all; one of an earlier day changes nothing but
bars. Sessions and feed events tell machine time, so they belong to no day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, NamedTuple
from uuid import UUID

from ats.gateway.events import Event, EventRing, frame_of
from ats.gateway.lines import LinesFold
from ats.gateway.market import Hours, MarketFold
from ats.gateway.own import AskedOrder, OwnFold
from ats.gateway.series import SeriesKey, Told
from ats.gateway.views import Chart, Decisions, DecisionStory, LastPrice, Today, json_of
from bus.records import Record
from executors.charges.rates import Rates
from schemas import ticks
from schemas.codec import decode
from schemas.history import is_history
from schemas.ids import InstrumentId, UserId
from schemas.market import trading_day
from schemas.messages import (
    Candle,
    Decision,
    Execution,
    ExitOrder,
    FanOut,
    FeedEvent,
    Indicators,
    LlmCall,
    Message,
    OrderEvent,
    OrderIntent,
    Position,
    Preflight,
    Report,
    Scan,
    Signal,
    Trade,
    UserSession,
)
from schemas.topics import (
    BY_NAME,
    CANDLES,
    DECISIONS,
    EXECUTIONS,
    EXITS,
    FANOUTS,
    FEED,
    INDICATORS,
    LLM,
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

FOLLOWED: Final[tuple[Topic, ...]] = (
    FEED, CANDLES, SCANS, SIGNALS, REPORTS, LLM, DECISIONS, FANOUTS,
    SESSIONS, PREFLIGHTS, ORDERS, EXECUTIONS, ORDER_EVENTS, TRADES, POSITIONS, EXITS,
)  # fmt: skip
# What is followed from now on, and not read up.
LIVE: Final = (TICKS, INDICATORS)
PUBLIC_EVENTS: Final = 4_096  # a thousand bars close at once in a universe of five hundred
PUBLIC_BYTES: Final = 8 << 20
OWN_EVENTS: Final = 512
OWN_BYTES: Final = 256 << 10


class Audience(NamedTuple):
    """Who has something to hear.

    Attributes:
        everybody: Something public was told.
        user: Somebody was told something of their own.
        prices: Last prices changed.
    """

    everybody: bool = False
    user: UserId | None = None
    prices: bool = False


NOBODY: Final = Audience()


@dataclass(slots=True)
class Personal:
    """One user's state and events."""

    state: OwnFold
    ring: EventRing = field(default_factory=lambda: EventRing(OWN_EVENTS, OWN_BYTES))


class Board:
    """Everything that the gateway knows.

    Attributes:
        epoch: Names this process in the ids of events: 8 to 32 hexadecimal digits.
        market: The public state.
        lines: Averages over the bars that somebody looks at.
        ring: The public events.
    """

    def __init__(
        self, epoch: str, rates: Rates, day: date | None = None, hours: Hours | None = None
    ) -> None:
        """`day` begins at once; without one the first record begins its own. Without `hours` nobody
        is told when the market closes.
        """
        self.epoch = epoch
        self.market = MarketFold(hours)
        self.lines = LinesFold()
        self.ring = EventRing(PUBLIC_EVENTS, PUBLIC_BYTES)
        self._rates = rates
        self._users: dict[UserId, Personal] = {}
        self._public: dict[type[Message], Callable[[Any], Iterator[Told]]] = {
            Candle: self.market.on_candle,
            Scan: self.market.on_scan,
            Signal: self.market.on_signal,
            Report: self.market.on_report,
            Decision: self.market.on_decision,
            FanOut: self.market.on_fan_out,
            FeedEvent: self.market.on_feed,
            Indicators: self.lines.on_indicators,
        }
        if day:
            self._begin_day(day)

    def apply(self, record: Record) -> Audience:
        """Take in one record.

        Raises:
            Unreadable: it is not what its topic holds; nothing changed.
        """
        if record.topic == TICKS.name:
            return self._ticks(record.value)
        if record.topic == INDICATORS.name and not self.lines.is_watched(record.key):
            return NOBODY
        model = BY_NAME[record.topic].message
        assert model, "a followed topic holds messages"
        message = decode(model, record.value)
        if isinstance(message, Candle):
            self.market.on_day(trading_day(message.event_time), record.published_at)
        if isinstance(message, OrderIntent):
            self._personal(message.user_id).state.remember(message, record.published_at)
        if not self._of_now(message):
            return NOBODY
        if isinstance(message, LlmCall):
            self.market.on_llm_call(message)
            return NOBODY
        if tell := self._public.get(type(message)):
            events = _events(tell(message), record)
            for event in events:
                self.ring.append(event)
            return Audience(everybody=bool(events), prices=isinstance(message, Candle))
        return self._own(message, record)

    def person(self, user: UserId) -> Personal | None:
        """What was told of one user; None where nothing was."""
        return self._users.get(user)

    def people(self) -> Iterable[tuple[UserId, Personal]]:
        """Everybody of whom something was told: for operators only."""
        return self._users.items()

    @property
    def users(self) -> int:
        """Of how many users something was told."""
        return len(self._users)

    def today(self, user: UserId, interest: frozenset[InstrumentId]) -> Today:
        """All that `user` may see at this moment."""
        own = self._state_of(user)
        wanted = interest.union(own.held)
        return Today(
            market=self.market.view(wanted), own=own.view(self.market), prices=self.prices(wanted)
        )

    def prices(self, wanted: frozenset[InstrumentId], *, since: int = -1) -> tuple[LastPrice, ...]:
        """Those last prices of `wanted` that came after change `since`."""
        return self.market.prices(sorted(wanted), since=since)

    def story(self, user: UserId, decision: UUID) -> DecisionStory | None:
        """One decision of the day as `user` may see it; None where there is none."""
        found = self.market.decision(decision)
        if found is None:
            return None
        return DecisionStory(
            decision=found,
            signal=self.market.signal(found.signal_id),
            reports=self.market.reports(found.signal_id),
            order=self._state_of(user).order_of(found.id),
            approval=self.market.approval(found.id),
        )

    def decisions(self, user: UserId, before: UUID | None, most: int) -> Decisions | None:
        """The day's decisions as `user` may see them; None where `before` is none of them."""
        found = self.market.newest_decisions(before, most + 1)
        if found is None:
            return None
        stories = (self.story(user, each.id) for each in found[:most])
        return Decisions(
            trading_date=self.market.day,
            decisions=tuple(story for story in stories if story),
            more=len(found) > most,
        )

    def chart(self, user: UserId, key: SeriesKey, *, lines_known: bool = True) -> Chart:
        """The newest day of one instrument, as far as it is held here."""
        day = self.market.day
        return Chart(
            instrument=key.instrument,
            symbol=self.market.symbol_of(key.instrument),
            timeframe=key.timeframe,
            trading_date=day,
            days=tuple(sorted(self.market.days)),
            bars=(self.market.bars_of_day(key, day) or ()) if day else (),
            lines=self.lines.points(key),
            lines_known=lines_known,
            signals=self.market.signals_of(key.instrument),
            own=self._state_of(user).marks(key.instrument),
        )

    def asked(self, user: UserId, order: UUID) -> AskedOrder | None:
        """An order of `user`'s; None where it is nobody's or somebody else's."""
        return self._state_of(user).asked(order)

    def _personal(self, user: UserId) -> Personal:
        person = self._users.get(user)
        if person is None:
            person = self._users[user] = Personal(OwnFold(user, self._rates))
        return person

    def _state_of(self, user: UserId) -> OwnFold:
        """Of a stranger an empty one, which is not kept: tokens must not fill the memory."""
        person = self._users.get(user)
        return person.state if person else OwnFold(user, self._rates)

    def _ticks(self, value: bytes | None) -> Audience:
        if value is None or is_history(value):
            return NOBODY
        before = self.market.change
        self.market.on_ticks(ticks.decode(value))
        return Audience(prices=self.market.change > before)

    def _of_now(self, message: Message) -> bool:
        """Whether it is of the newest day, which it may begin."""
        if isinstance(message, FeedEvent | UserSession):
            return True
        day, newest = _day_of(message), self.market.day
        if newest is None or day > newest:
            self._begin_day(day)
            return True
        return day == newest or isinstance(message, Candle)

    def _begin_day(self, day: date) -> None:
        self.market.begin_day(day)
        self.lines.begin_day()
        self.ring.forget()
        for person in self._users.values():
            person.state.begin_day(day)
            person.ring.forget()

    def _own(self, message: Any, record: Record) -> Audience:
        user: UserId = message.user_id
        person = self._personal(user)
        if self.market.day:
            person.state.begin_day(self.market.day)
        events = _events(_TELL[type(message)](person.state, message), record)
        for event in events:
            person.ring.append(event)
        return Audience(user=user if events else None)


_TELL: Final[dict[type[Message], Callable[[OwnFold, Any], Iterator[Told]]]] = {
    UserSession: OwnFold.on_session,
    Preflight: OwnFold.on_preflight,
    OrderIntent: OwnFold.on_intent,
    Execution: OwnFold.on_execution,
    OrderEvent: OwnFold.on_order_event,
    Trade: OwnFold.on_trade,
    Position: OwnFold.on_position,
    ExitOrder: OwnFold.on_exit,
}


def _day_of(message: Message) -> date:
    told = getattr(message, "trading_date", None)
    return told if isinstance(told, date) else trading_day(message.event_time)


def _events(told: Iterator[Told], record: Record) -> list[Event]:
    return [
        Event(frame_of(each.name, json_of(each.view)), each.instrument, record.published_at)
        for each in told
    ]
