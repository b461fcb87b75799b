"""What everybody may see, as a fold of the public topics. Pure.

Everything but bars is of the newest trading day; what belongs to an earlier one is passed over.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import dropwhile, islice
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from ats.gateway.series import SeriesKey, Told
from ats.gateway.views import (
    Bar,
    Candles,
    DecisionApproval,
    Feed,
    LastPrice,
    Market,
    Shortlist,
)
from schemas.calendar import Calendar
from schemas.ids import SEGMENT_CODES, DecisionId, InstrumentId, Segment, SignalId
from schemas.market import ScanResult, Session, Timeframe, trading_day
from schemas.messages import (
    Approval,
    ApprovalState,
    Candle,
    Decision,
    FanOut,
    FeedEvent,
    LlmCall,
    Report,
    Scan,
    Signal,
)
from schemas.ticks import Batch
from schemas.units import Paise, Price, Quantity, UtcNs

BARS: Final = 500  # of each instrument and timeframe: more than a day's minutes
MOST_SERIES: Final = 20_000  # of bars, 28 kB each; further instruments have prices only
MOST_INSTRUMENTS: Final = 20_000  # with a last price
LISTED: Final = 50  # signals and decisions in a snapshot
KEPT: Final = 2_000  # signals and decisions of a day that a story can be told of
REPORTS: Final = 2  # analysts of one signal
MOST_DAYS: Final = 5  # whose bars can be asked for
MOST_FEEDS: Final = 16  # a deployment has at most five connections
_FIELDS: Final = 7  # of a bar
_SEGMENTS: Final = {code: segment for segment, code in SEGMENT_CODES.items()}

K = TypeVar("K")
V = TypeVar("V")


class _Priced(NamedTuple):
    price: int
    at: int
    change: int  # number of the batch that brought it


class Hours(NamedTuple):
    """When the market trades, and by which clock.

    Attributes:
        replayed: By the feed's alone: a day that was is played again.
    """

    calendar: Calendar
    replayed: bool = False


@dataclass(slots=True)
class MarketFold:
    """The public state.

    Attributes:
        hours: None: nobody asks when the market closes.
        day: The newest trading day; None before anything was told.
        clock: Market clock of the feed.
        change: Number of the newest batch of ticks that changed a price.
    """

    hours: Hours | None = None
    day: date | None = None
    clock: int = 0
    change: int = 0
    _days: dict[date, UtcNs] = field(default_factory=dict)
    _feeds: dict[int, Feed] = field(default_factory=dict)
    _shortlist: Shortlist | None = None
    _symbols: dict[InstrumentId, str] = field(default_factory=dict)
    _signals: dict[SignalId, Signal] = field(default_factory=dict)
    _decisions: dict[DecisionId, Decision] = field(default_factory=dict)
    _approvals: dict[DecisionId, Approval] = field(default_factory=dict)
    _reports: dict[SignalId, dict[UUID, Report]] = field(default_factory=dict)
    _costs: dict[UUID, dict[UUID, int]] = field(default_factory=dict)
    _prices: dict[InstrumentId, _Priced] = field(default_factory=dict)
    _kinds: dict[tuple[Segment, bool], InstrumentId] = field(default_factory=dict)
    _bars: dict[SeriesKey, array[int]] = field(default_factory=dict)

    def begin_day(self, day: date) -> None:
        """Let go of what was of an earlier day, but for bars and prices."""
        self.day = day
        self._shortlist = None
        for held in (
            *(self._signals, self._decisions, self._reports, self._costs),
            self._approvals,
        ):
            held.clear()

    def on_ticks(self, batch: Batch) -> None:
        """Take in the last prices of one micro-batch."""
        self.clock = max(self.clock, batch.clock)
        if not len(batch.rows):
            return
        self.change += 1
        rows = batch.rows[["segment", "security_id", "price", "exchange_time"]].tolist()
        for segment, security_id, price, at in rows:
            self._price(InstrumentId(_SEGMENTS[segment], security_id), price, at)

    def on_candle(self, candle: Candle) -> Iterator[Told]:
        """A final bar; one that is not newer than those before it is a repeat."""
        if candle.timeframe is Timeframe.M1:
            self.change += 1
            self._price(candle.instrument, candle.close, candle.event_time)
        key = SeriesKey(candle.instrument, candle.timeframe)
        if key not in self._bars and len(self._bars) >= MOST_SERIES:
            return
        bars = self._bars.setdefault(key, array("q"))
        if bars and candle.start <= bars[-_FIELDS]:
            return
        bars.extend((candle.start, candle.open, candle.high, candle.low, candle.close))
        bars.extend((candle.volume, candle.complete))
        del bars[: max(0, len(bars) - BARS * _FIELDS)]
        yield Told("candle", candle, candle.instrument)

    def on_day(self, day: date, published_at: UtcNs) -> None:
        """A bar of that day was published."""
        first = self._days.get(day)
        if first is not None and first <= published_at:
            return
        self._days[day] = published_at
        if len(self._days) > MOST_DAYS:
            del self._days[min(self._days)]

    def on_scan(self, scan: Scan) -> Iterator[Told]:
        """The Scout's list."""
        for entry in scan.entries:
            self._name(entry.instrument, entry.symbol)
        chosen = [entry for entry in scan.entries if entry.result is ScanResult.SHORTLISTED]
        chosen.sort(key=lambda entry: (entry.rank is None, entry.rank, entry.symbol))
        shortlist = Shortlist(trading_date=scan.trading_date, entries=tuple(chosen))
        if shortlist != self._shortlist:
            self._shortlist = shortlist
            yield Told("shortlist", shortlist)

    def on_signal(self, signal: Signal) -> Iterator[Told]:
        """A rule fired."""
        if _put(self._signals, SignalId(signal.id), signal):
            yield Told("signal", signal)

    def on_report(self, report: Report) -> Iterator[Told]:
        """An analyst's opinion. What they looked at is told with the decision's story only."""
        self._name(report.instrument, report.symbol)
        _put(self._reports, report.signal_id, dict[UUID, Report]())
        reports = self._reports.get(report.signal_id)
        if reports is not None and len(reports) < REPORTS and _put(reports, report.id, report):
            yield Told("report", report.model_copy(update={"data": {}}))

    def on_decision(self, decision: Decision) -> Iterator[Told]:
        """BUY, SELL or HOLD."""
        self._name(decision.instrument, decision.symbol)
        if _put(self._decisions, decision.id, decision):
            yield Told("decision", decision)

    def on_fan_out(self, fan_out: FanOut) -> Iterator[Told]:
        """Of who got an order nothing is told; that a decision waits for a yes, and the answer, is.

        An answer stands: a decision that is delivered again says once more that it waits.
        """
        decision, approval = fan_out.decision_id, fan_out.approval
        known = self._approvals.get(decision)
        if approval is None or (known and known.state is not ApprovalState.WAITING):
            return
        if known != approval:
            self._approvals.pop(decision, None)
            _put(self._approvals, decision, approval)
            yield Told("approval", DecisionApproval(decision_id=decision, approval=approval))

    def on_feed(self, event: FeedEvent) -> Iterator[Told]:
        """The life of a feed connection, without its reason: that is the operator's."""
        told = Feed(gateway=event.gateway, state=event.state, at=event.event_time)
        if event.gateway in self._feeds or len(self._feeds) < MOST_FEEDS:
            self._feeds[event.gateway] = told
            yield Told("feed", told)

    def on_llm_call(self, call: LlmCall) -> None:
        """What thinking about one signal cost."""
        if call.correlation_id is not None:
            _put(self._costs, call.correlation_id, dict[UUID, int]())
            calls = self._costs.get(call.correlation_id)
            if calls is not None:
                _put(calls, call.id, call.cost)

    def price_of(self, instrument: InstrumentId) -> int | None:
        """The last price in paise; None where none was told."""
        known = self._prices.get(instrument)
        return known.price if known else None

    def prices(self, wanted: Iterable[InstrumentId], *, since: int) -> tuple[LastPrice, ...]:
        """Those of `wanted` whose price came after change `since`."""
        found = ((each, self._prices.get(each)) for each in wanted)
        return tuple(
            LastPrice(instrument=each, price=Price(known.price), at=UtcNs(known.at))
            for each, known in found
            if known and known.change > since
        )

    @property
    def days(self) -> Mapping[date, UtcNs]:
        """The newest days that have bars, and when the first of them was published."""
        return self._days

    def symbol_of(self, instrument: InstrumentId) -> str:
        """Its name; "" where nothing told it."""
        return self._symbols.get(instrument, "")

    def thinking_of(self, decisions: Iterable[DecisionId]) -> Paise:
        """What the model calls behind `decisions` cost together."""
        signals = {self._decisions[each].signal_id for each in decisions if each in self._decisions}
        return Paise(sum(sum(self._costs.get(each, {}).values()) for each in signals))

    def decision(self, decision: UUID) -> Decision | None:
        """One of the day's decisions."""
        return self._decisions.get(DecisionId(decision))

    def approval(self, decision: DecisionId) -> Approval | None:
        """What an operator said to one of the day's decisions; None where nobody was asked."""
        return self._approvals.get(decision)

    def signal(self, signal: SignalId) -> Signal | None:
        """One of the day's signals."""
        return self._signals.get(signal)

    def reports(self, signal: SignalId) -> tuple[Report, ...]:
        """What the analysts said of one signal, whole."""
        return tuple(self._reports.get(signal, {}).values())

    def candles(self, key: SeriesKey, most: int) -> Candles:
        """The newest final bars; none where nothing is known."""
        bars = self._bars.get(key, array("q"))
        first = max(0, len(bars) - most * _FIELDS)
        rows = (bars[at : at + _FIELDS] for at in range(first, len(bars), _FIELDS))
        return Candles(
            instrument=key.instrument, timeframe=key.timeframe, bars=tuple(map(_bar, rows))
        )

    def bars_of_day(self, key: SeriesKey, day: date) -> tuple[Bar, ...] | None:
        """The final bars of one day; None where the first of them may have given way."""
        found = self.candles(key, BARS).bars
        if len(found) == BARS and trading_day(found[0].start) >= day:
            return None
        return tuple(bar for bar in found if trading_day(bar.start) == day)

    def signals_of(self, instrument: InstrumentId) -> tuple[Signal, ...]:
        """The day's signals of one instrument."""
        return tuple(each for each in self._signals.values() if each.instrument == instrument)

    def newest_decisions(self, before: UUID | None, most: int) -> tuple[Decision, ...] | None:
        """The day's decisions, newest first, behind `before`; None where that one is unknown."""
        newest = reversed(self._decisions.values())
        if before is not None:
            if DecisionId(before) not in self._decisions:
                return None
            newest = dropwhile(lambda each: each.id != before, newest)
            next(newest)
        return tuple(islice(newest, most))

    def view(self, wanted: Iterable[InstrumentId]) -> Market:
        """All of it as one answer, with the symbols of `wanted` and of the signals."""
        signals = _newest(self._signals, LISTED)
        sessions = self._sessions()
        named = {*wanted, *(signal.instrument for signal in signals)} & self._symbols.keys()
        return Market(
            trading_date=self.day,
            clock=UtcNs(self.clock),
            opens=min((session.open for session in sessions), default=None),
            closes=max((session.close for session in sessions), default=None),
            replayed=self.hours is not None and self.hours.replayed,
            feeds=tuple(self._feeds[each] for each in sorted(self._feeds)),
            shortlist=self._shortlist,
            symbols={str(each): self._symbols[each] for each in sorted(named)},
            signals=signals,
            decisions=_newest(self._decisions, LISTED),
            approvals=_newest(
                {
                    id_: DecisionApproval(decision_id=id_, approval=approval)
                    for id_, approval in self._approvals.items()
                },
                LISTED,
            ),
        )

    def _price(self, instrument: InstrumentId, price: int, at: int) -> None:
        known = self._prices.get(instrument)
        if known is None:
            if len(self._prices) >= MOST_INSTRUMENTS:
                return
            if self.hours:
                auction = self.hours.calendar.closes_in_auction(instrument)
                self._kinds.setdefault((instrument.segment, auction), instrument)
        if known is None or at >= known.at:
            self._prices[instrument] = _Priced(price, at, self.change)

    def _sessions(self) -> list[Session]:
        """The newest day's, of each kind of instrument that there is a price of."""
        if self.day is None or self.hours is None:
            return []
        calendar = self.hours.calendar
        return [each for kind in self._kinds.values() for each in calendar.sessions(self.day, kind)]

    def _name(self, instrument: InstrumentId, symbol: str) -> None:
        if len(self._symbols) < MOST_INSTRUMENTS:
            self._symbols[instrument] = symbol


def _put(held: dict[K, V], key: K, value: V) -> bool:
    """Keep `value` unless the key is known; the oldest give way. Whether it was new."""
    if key in held:
        return False
    held[key] = value
    if len(held) > KEPT:
        del held[next(iter(held))]
    return True


def _newest(held: dict[K, V], most: int) -> tuple[V, ...]:
    """The last `most`, in the order in which they came."""
    return tuple(islice(held.values(), max(0, len(held) - most), None))


def _bar(row: array[int]) -> Bar:
    start, open_, high, low, close, volume, complete = row
    return Bar(
        start=UtcNs(start),
        open=Price(open_),
        high=Price(high),
        low=Price(low),
        close=Price(close),
        volume=Quantity(volume),
        complete=bool(complete),
    )
