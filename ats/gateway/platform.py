"""The state of the platform as a fold of its topics. Pure."""

from __future__ import annotations

from bisect import insort
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import numpy as np

from ats.gateway.board import FOLLOWED, Audience, Board, Personal
from ats.gateway.platform_views import DeadLetters, Incident, Latency, Person, Pipeline, Status
from audit.unprotected import UnprotectedTime
from bus.records import Record
from executors.charges.rates import Rates
from schemas.codec import decode
from schemas.errors import Unreadable
from schemas.history import is_history
from schemas.ids import UserId
from schemas.lineage import HEADER, Cause
from schemas.market import trading_day
from schemas.messages import (
    DeadLetter,
    Decision,
    ExitAction,
    ExitOrder,
    ExitReason,
    FeedEvent,
    FeedState,
    LlmCall,
    Origin,
    Position,
    Preflight,
)
from schemas.ticks import LAYOUT
from schemas.topics import (
    CANDLES,
    DEAD_LETTER,
    DECISIONS,
    EXITS,
    FEED,
    LLM,
    POSITIONS,
    PREFLIGHTS,
    TICKS,
    Topic,
)
from schemas.units import NS_PER_SECOND, Paise, UtcNs

WATCHED: Final[tuple[Topic, ...]] = (*FOLLOWED, DEAD_LETTER)
RATE_OVER: Final = 10  # seconds
MOST_BARS: Final = 2_000  # whose latency is remembered
MOST_RECORDS: Final = 20_000  # of ticks, whose departure is remembered until their bars come
MOST_INCIDENTS: Final = 50
MOST_REASON: Final = 100  # characters of a dead letter's
MOST_LETTERS: Final = 10_000  # the newest
LISTED: Final = 20
LAST_DAY: Final = UtcNs.minutes(24 * 60)  # of incidents and dead letters, machine time
_NS_PER_MS: Final = 1_000_000
_TROUBLE: Final = {
    FeedState.GAP: "ticks may be missing",
    FeedState.STALE: "the feed is mute",
    FeedState.DISCONNECTED: "the feed is disconnected",
    FeedState.MALFORMED: "the feed sent what cannot be read",
}
_ALARMS: Final = {
    ExitReason.STOP_LOST: "a position had no stop for all of it",
    ExitReason.STOP_PASSED: "the market was beyond a stop",
    ExitReason.UNPROTECTED: "no stop could be placed in time",
    ExitReason.HALT: "trading was halted",
    ExitReason.DAY_LOSS: "the day's loss is bounded at Dhan",
}


@dataclass(slots=True)
class _Ticks:
    """How fast they come, and when each record of them left."""

    counts: OrderedDict[int, int] = field(default_factory=OrderedDict)  # by second
    left: OrderedDict[tuple[int, int], int] = field(default_factory=OrderedDict)

    def take(self, record: Record) -> None:
        if record.value is None or is_history(record.value):
            return
        header, rows = LAYOUT.read(record.value)
        second = int(header["sent_at"]) // NS_PER_SECOND
        self.counts[second] = self.counts.get(second, 0) + len(rows)
        self.left[record.partition, record.offset] = int(header["sent_at"])
        while len(self.counts) > 2 * RATE_OVER:
            self.counts.popitem(last=False)
        while len(self.left) > MOST_RECORDS:
            self.left.popitem(last=False)

    def per_second(self, now: int) -> float:
        """Of the whole seconds before `now`."""
        this = now // NS_PER_SECOND
        found = (n for second, n in self.counts.items() if this - RATE_OVER <= second < this)
        return sum(found) / RATE_OVER


class PlatformFold:
    """What was told of pipeline, users and incidents."""

    def __init__(self, rates: Rates, board: Board | None = None) -> None:
        """`board`: one that is shown to users too."""
        self.board = board or Board("0" * 8, rates)
        self._ticks = _Ticks()
        self._latencies: deque[float] = deque(maxlen=MOST_BARS)
        self._decisions: dict[object, Decision] = {}
        self._calls: dict[object, int] = {}
        self._letters: deque[tuple[UtcNs, str, str]] = deque(maxlen=MOST_LETTERS)
        self._incidents: list[Incident] = []  # oldest first
        self._unprotected = UnprotectedTime()
        self._passed: Counter[UserId] = Counter()  # nanoseconds without a stop for all
        self._day: date | None = None

    def apply(self, record: Record) -> Audience:
        """Take in one record.

        Raises:
            Unreadable: it is not what its topic holds.
        """
        if record.topic == DEAD_LETTER.name:
            self._letter(decode(DeadLetter, record.value), record.published_at)
            return Audience()
        heard = self.board.apply(record)
        self._begin_day(self.board.market.day)
        match record.topic:
            case TICKS.name:
                self._ticks.take(record)
            case CANDLES.name:
                self._candle(record)
            case DECISIONS.name if heard.everybody:
                decision = decode(Decision, record.value)
                self._decisions[decision.id] = decision
            case LLM.name:
                self._call(decode(LlmCall, record.value))
            case POSITIONS.name if heard.user:
                self._position(decode(Position, record.value), record.published_at)
            case FEED.name | EXITS.name | PREFLIGHTS.name:
                self._incident(record)
        return heard

    def _begin_day(self, day: date | None) -> None:
        if day == self._day:
            return
        self._day = day
        self._unprotected = UnprotectedTime()
        for held in (self._decisions, self._calls, self._passed):
            held.clear()

    def _call(self, call: LlmCall) -> None:
        if trading_day(call.event_time) == self._day:
            self._calls[call.id] = call.cost

    def status(self, now: UtcNs, lags: Mapping[str, int]) -> Status:
        """All of it at machine time `now`."""
        market = self.board.market.view(())
        return Status(
            at=now,
            trading_date=market.trading_date,
            clock=market.clock,
            feeds=market.feeds,
            pipeline=self._pipeline(now, lags),
            users=tuple(
                self._person(user, person, now) for user, person in sorted(self.board.people())
            ),
            incidents=tuple(each for each in reversed(self._incidents) if each.at > now - LAST_DAY)[
                :LISTED
            ],
        )

    def _pipeline(self, now: UtcNs, lags: Mapping[str, int]) -> Pipeline:
        decisions = self._decisions.values()
        failed = sum(each.origin is Origin.FAILSAFE for each in decisions)
        return Pipeline(
            ticks_per_second=self._ticks.per_second(now),
            lags=dict(lags),
            bar_latency=_latency(self._latencies),
            decisions=dict(Counter(each.action.value for each in decisions)),
            failsafe_percent=100 * failed / len(decisions) if decisions else None,
            thinking=Paise(sum(self._calls.values())),
            dead_letters=tuple(
                DeadLetters(topic=topic, reason=reason, count=count)
                for (topic, reason), count in self._letters_since(now - LAST_DAY)
            ),
        )

    def _letters_since(self, begin: int) -> list[tuple[tuple[str, str], int]]:
        """By topic and reason, most frequent first."""
        told = Counter((topic, reason) for at, topic, reason in self._letters if at > begin)
        return told.most_common(LISTED)

    def _person(self, user: UserId, person: Personal, now: UtcNs) -> Person:
        own = person.state.view(self.board.market)
        lasting = [
            span for held, span in self._unprotected.lasting(now).items() if held.user == user
        ]
        return Person(
            user_id=user,
            active=own.session.active if own.session else None,
            reason=own.session.reason if own.session else "",
            green=own.preflight.green if own.preflight else None,
            reds=own.preflight.reds if own.preflight else (),
            result=own.result,
            exposure=Paise(sum(self._at_stake(each) for each in own.positions)),
            positions=sum(each.net != 0 for each in own.positions),
            orders=person.state.orders,
            unprotected_seconds=(self._passed[user] + sum(lasting)) / NS_PER_SECOND,
            unprotected_now=bool(lasting),
        )

    def _at_stake(self, position: Position) -> int:
        """At the last price; where none is known at what was paid."""
        price = self.board.market.price_of(position.instrument)
        if price is None:
            return abs(position.bought_value - position.sold_value) if position.net else 0
        return abs(position.net) * price

    def _candle(self, record: Record) -> None:
        """A bar came: how long after the record of ticks that closed it?"""
        cause = record.headers.get(HEADER)
        if cause is None:
            return
        try:
            offset = Cause.decode(cause).offset
        except Unreadable:
            return
        left = self._ticks.left.get((record.partition, offset))
        if left is not None:
            self._latencies.append(max(0, record.published_at - left) / _NS_PER_MS)

    def _position(self, position: Position, at: UtcNs) -> None:
        self._passed[position.user_id] += self._unprotected.note(position, at)
        if position.agrees is False:
            self._note("position", f"{position.instrument} differs at Dhan", at, position.user_id)

    def _incident(self, record: Record) -> None:
        at = record.published_at
        if record.topic == FEED.name:
            event = decode(FeedEvent, record.value)
            if event.state in _TROUBLE:
                self._note("feed", f"{_TROUBLE[event.state]}: {event.reason}".rstrip(": "), at)
        elif record.topic == EXITS.name:
            sent = decode(ExitOrder, record.value)
            if sent.reason_code in _ALARMS and sent.action is not ExitAction.PNL_EXIT:
                words = f"{_ALARMS[sent.reason_code]}: {sent.action.value} {sent.outcome}"
                self._note("exit", words, at, sent.user_id)
        else:
            look = decode(Preflight, record.value)
            if not look.green:
                self._note("preflight", ", ".join(look.reds), at, look.user_id)

    def _letter(self, letter: DeadLetter, at: UtcNs) -> None:
        reason = letter.reason[:MOST_REASON]
        self._letters.append((at, letter.topic, reason))
        self._note("dead letter", f"{letter.topic}: {reason}", at)

    def _note(self, kind: str, words: str, at: UtcNs, user: UserId | None = None) -> None:
        """Topics are read up one after the other: the newest by time stay, not the last read."""
        found = Incident(at=at, kind=kind, user_id=user, words=words)
        insort(self._incidents, found, key=lambda each: each.at)
        del self._incidents[:-MOST_INCIDENTS]


def _latency(found: deque[float]) -> Latency | None:
    if not found:
        return None
    p50, p99 = np.percentile(found, [50, 99])
    return Latency(bars=len(found), p50_ms=round(float(p50), 1), p99_ms=round(float(p99), 1))
