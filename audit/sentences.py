"""What each message of a story says, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import JsonValue

from audit.amounts import at, passed, rupees
from audit.checks import checked
from audit.costs import bill_of, thinking
from audit.ending import (
    Purpose,
    entered_because,
    exit_entered_because,
    left_because,
    purpose_of,
)
from audit.hops import hops
from audit.rejudge import rejudge
from audit.story import PLACES, OtherOrder, Recorded, Story, only_closes
from audit.ticks import BarTicks, SeenTick
from executors.charges.rates import Rates
from executors.reasons import for_user
from schemas.depth import Book
from schemas.evidence import Judgement, SeenContext
from schemas.inputs import NewsAnswer
from schemas.manifest import HEADER as MANIFEST
from schemas.market_context import MarketContext
from schemas.messages import (
    Candle,
    Decision,
    Execution,
    ExitOrder,
    FanOut,
    Indicators,
    Leg,
    LlmCall,
    Message,
    ObservedOrder,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    Outcome,
    Position,
    Report,
    Scan,
    Signal,
    Trade,
)
from schemas.units import Paise
from streams.columns.names import is_price

__all__ = ["MOST", "Section", "Sentence", "rupees", "sentences"]

MOST: Final = 40  # sentences of one kind; a decision has an order for each of thousands of users


@dataclass(frozen=True, slots=True)
class Section:
    """What is long and looked into on demand: a prompt, the checks of the gate."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One step of a story.

    Attributes:
        role: What kind of step, in one word.
        record: The message that it tells; None of what follows from several.
        details: What it looked at, a line each.
        place: Where it stands.
        sections: Longer parts of it.
    """

    role: str
    text: str
    record: Recorded | None
    details: tuple[str, ...] = ()
    place: str = ""
    sections: tuple[Section, ...] = ()


def sentences(story: Story, rates: Rates | None = None) -> Iterator[Sentence]:
    """First what happened in short; then the steps from the ticks to the position, each kind in the
    order in which it was written; last what it took. `rates` are those of charges.
    """
    yield from _in_short(story, rates)
    for ticks in story.ticks:
        yield _ticks(ticks)
    for kind, (role, say) in _STEPS.items():
        records = _worth_telling(kind, story)
        for each in records[:MOST]:
            text, details, *more = say(each.message, story)
            yield Sentence(role, text, each, tuple(details), each.place, tuple(*more))
        if (more_of := len(records) - MOST) and more_of > 0:
            yield Sentence(role, f"and {more_of:,} more", records[MOST])
    for other in story.others:
        yield _other(other)
    yield from _taken(story, rates)


# In short


def _in_short(story: Story, rates: Rates | None) -> Iterator[Sentence]:
    lines = list(_asked_in_short(story))
    if story.subject.user is None:
        decisions = story.of(Decision)
        lines += [f"{each.action} {each.symbol}: {each.reasoning}" for each in decisions]
    lines += _orders_in_short(story)
    lines += _ended_in_short(story, rates)
    if lines:
        yield Sentence("in short", lines[0], None, tuple(lines[1:]))


def _asked_in_short(story: Story) -> Iterator[str]:
    """The one event of the position that was asked about; a position's state is told as its end."""
    for each in story.records:
        if each.message.id == story.subject.asked and not isinstance(each.message, Position):
            role, say = _STEPS[type(each.message)]
            text, details, *_ = say(each.message, story)
            yield f"{role}: {text}"
            yield from details


def _orders_in_short(story: Story) -> Iterator[str]:
    intents, outcomes = story.of(OrderIntent), {each.order_id: each for each in story.of(Execution)}
    for each in intents[:3]:
        yield _order_in_short(each, outcomes.get(each.id)) + _filled(each, story)
        if story.subject.user and (why := _why(each, story)):
            yield f"because: {why}"
    if (more := len(intents) - 3) and more > 0:
        yield f"and {more:,} more orders"


def _order_in_short(intent: OrderIntent, outcome: Execution | None) -> str:
    said = f"{intent.side} {intent.quantity:,} {intent.symbol} at {rupees(intent.price)} or better"
    if outcome is None:
        return f"{said}: no outcome is recorded"
    units = "" if outcome.quantity == intent.quantity else f" for {outcome.quantity:,}"
    why = "" if outcome.outcome is Outcome.ACCEPTED else f": {outcome.reason or _code(outcome)}"
    return f"{said}: {outcome.outcome}{units}{why}"


def _filled(intent: OrderIntent, story: Story) -> str:
    """How much of an accepted order traded, as far as one user's book is told."""
    taken = [
        each
        for each in story.of(Execution)
        if each.order_id == intent.id and each.outcome is Outcome.ACCEPTED
    ]
    if not taken or story.subject.user is None:
        return ""
    last = taken[-1]
    fills = [each.fill for each in story.of(Trade)]
    ours = (it for it in fills if (it.dhan_order_id, it.side) == (last.dhan_order_id, last.side))
    filled = sum(each.quantity for each in ours)
    rest = _gone(last, story) if filled < last.quantity else ""
    return f", {filled:,} of {last.quantity:,} filled{rest}"


def _gone(outcome: Execution, story: Story) -> str:
    """What became of the rest of an order that did not fill, once that is known."""
    orders = [each.order for each in story.of(OrderEvent) if each.order]
    own = [each for each in orders if each.dhan_order_id == outcome.dhan_order_id]
    states = {each.status for each in own if each.leg is Leg.ENTRY}
    gone = OrderStatus.CANCELLED, OrderStatus.EXPIRED, OrderStatus.REJECTED
    return next((f", the rest {each.lower()}" for each in gone if each in states), "")


def _code(outcome: Execution) -> str:
    return for_user(outcome.reason_code) or outcome.reason_code


def _why(intent: OrderIntent, story: Story) -> str:
    reasons = {each.id: each.reasoning for each in story.of(Decision)}
    return reasons.get(intent.decision_id, "")


def _ended_in_short(story: Story, rates: Rates | None) -> Iterator[str]:
    for trade in story.of(Trade):
        yield _trade_line(trade, story)
    positions = story.of(Position)
    if not positions:
        return
    last = positions[-1]
    orders = len(story.others) + len(story.of(OrderIntent))
    of = f", of {orders:,} orders" if orders > 1 else ""
    held = "flat" if not last.net else f"holds {last.net:+,}"
    yield f"the day in this instrument{of}: {held}, earned {rupees(last.realised)} before charges"
    if rates and (bill := bill_of(story, rates)) and bill.total is not None:
        yield f"charges of the {len(story.of(Trade)):,} fills above: {rupees(bill.total)}"


# The ticks


def _ticks(ticks: BarTicks) -> Sentence:
    bar = ticks.bar
    counted = f"{ticks.count:,} ticks between {at(bar.start)} and {at(bar.event_time)}"
    if ticks.count != bar.ticks:
        counted += f"; the bar counts {bar.ticks:,}"
    if not ticks.whole:
        counted += "; earlier ones were not looked for, or are on no topic any more"
    kinds = ("first", ticks.first), ("highest", ticks.high), ("lowest", ticks.low)
    lines = [_tick(name, each) for name, each in (*kinds, ("last", ticks.last)) if each]
    if ticks.closing:
        lines.append(f"market time passed the bar's end with {ticks.closing}")
    place = ticks.first.place if ticks.first else ticks.closing
    return Sentence("ticks", counted, None, tuple(lines), place)


def _tick(name: str, tick: SeenTick) -> str:
    volume = "" if tick.volume is None else f", {tick.volume:,} units of the day"
    return (
        f"{name} {rupees(tick.price)} at {at(tick.traded_at)}{volume}, {tick.place} row {tick.row}"
    )


# Each kind of message


def _worth_telling(kind: type[Message], story: Story) -> list[Recorded]:
    """What is no repetition: the whole of it is in the story."""
    records = [each for each in story.records if isinstance(each.message, kind)]
    if kind is Position:
        return records[-1:]  # each change is a record; the last says what came of it
    if kind is OrderEvent:  # seen over several ways, and fills are told as trades
        states: dict[tuple[object, ...], Recorded] = {}
        for each in records:
            if isinstance(each.message, OrderEvent) and (order := each.message.order):
                state = (order.dhan_order_id, order.leg, order.status_word, order.filled)
                states.setdefault(state, each)
        return list(states.values())
    return records


def _candle(bar: Candle, _: Story) -> tuple[str, list[str]]:
    prices = " ".join(rupees(price) for price in (bar.open, bar.high, bar.low, bar.close))
    whole = "" if bar.complete else ", not watched from its start"
    return f"{bar.timeframe} to {at(bar.event_time)}: {prices}, {bar.volume:,} units{whole}", []


def _indicators(row: Indicators, story: Story) -> tuple[str, list[str]]:
    known = {name: value for name, value in row.values.items() if value is not None}
    looked_at = {name for signal in story.of(Signal) for name in signal.features}
    others = {name: value for name, value in known.items() if name not in looked_at}
    return f"{len(known)} values at the close of {row.timeframe}", [_values(others)]


def _signal(signal: Signal, _: Story) -> tuple[str, list[str]]:
    text = (
        f"{signal.rule} says {signal.direction} at {rupees(signal.price)}, "
        f"{signal.timeframe} to {at(signal.event_time)}"
    )
    return text, [_values(signal.features)]


def _scan(scan: Scan, story: Story) -> tuple[str, list[str]]:
    ours = [entry for entry in scan.entries if entry.scan_id in story.subject.scans]
    lines = [
        f"{entry.symbol}: {entry.result}"
        + (f", rank {entry.rank}" if entry.rank else "")
        + (f": {entry.reason}" if entry.reason else "")
        for entry in ours
    ]
    return f"scan of {scan.trading_date} by {scan.origin}, {len(scan.entries)} symbols", lines


def _market(context: MarketContext, _: Story) -> tuple[str, list[str]]:
    frames = ", ".join(each.timeframe.value for each in context.frames) or "none"
    day, index = context.day, context.index
    lines = []
    if day is not None:
        lines.append(f"day until {at(day.end)}: {rupees(day.low)} to {rupees(day.high)}")
    if index is not None:
        lines.append(f"NIFTY 50 at {at(index.end)}: {index.close / 100:,.2f}")
    if context.depth is not None:
        lines.append(_book(context.depth))
    return f"bars known: {frames}", lines


def _book(book: Book) -> str:
    if book.fault is not None:
        return f"order book at {at(book.at)}: none to tell of ({book.fault})"
    bid, ask = ("nobody" if each is None else rupees(each) for each in (book.bid, book.ask))
    return (
        f"order book at {at(book.at)}: bid {bid}, ask {ask}, "
        f"{book.bid_quantity:,} units wanted and {book.ask_quantity:,} offered at five levels"
    )


def _news(answer: NewsAnswer, _: Story) -> tuple[str, list[str]]:
    detail = f": {answer.detail}" if answer.detail else ""
    text = (
        f"{answer.outcome}{detail}, {len(answer.headlines):,} of {answer.answered:,} headlines "
        "were shown"
    )
    return text, [
        f"{at(each.published_at)} {each.source}: {each.text}" for each in answer.headlines
    ]


def _call(call: LlmCall, _: Story) -> tuple[str, list[str], list[Section]]:
    detail = f": {call.detail}" if call.detail else ""
    text = (
        f"{call.agent} asked {call.model}: {call.outcome}{detail}, {call.latency_ms:,.0f} ms, "
        f"{call.input_tokens:,} + {call.output_tokens:,} tokens, {rupees(call.cost)}"
    )
    details = [f"answer {call.response}"] if call.response else []
    return text, details, list(_prompts(call.request))


def _prompts(request: Mapping[str, JsonValue]) -> Iterator[Section]:
    """What the model was told, in its own words; the rest of the request in one line."""
    names = {"system": "instructions", "user": "question"}
    for name, title in names.items():
        if isinstance(told := request.get(name), str):
            yield Section(title, (told,))
    rest = {name: value for name, value in request.items() if name not in names}
    yield Section("request", tuple(f"{name} {value}" for name, value in sorted(rest.items())))


def _report(report: Report, _: Story) -> tuple[str, list[str]]:
    return (
        f"{report.agent_type}: {report.score:+} with {report.confidence} % confidence",
        [report.summary],
    )


def _decision(decision: Decision, _: Story) -> tuple[str, list[str]]:
    by = f" by {decision.model}" if decision.model else ""
    text = (
        f"{decision.action} {decision.symbol} at {rupees(decision.reference_price)}, "
        f"{decision.confidence} % confidence, {decision.origin}{by} ({decision.reason_code}), "
        f"valid until {at(decision.valid_until)}"
    )
    return text, [decision.reasoning] if decision.reasoning else []


def _fan_out(fan_out: FanOut, story: Story) -> tuple[str, list[str]]:
    without = len(fan_out.without) + fan_out.more_without
    own = [each for each in fan_out.without if each.user_id == story.subject.user]
    text = f"{fan_out.orders:,} users got an order, {without:,} none"
    return text, [f"this user: {each.reason_code}" for each in own]


def _intent(intent: OrderIntent, story: Story) -> tuple[str, list[str]]:
    details = [
        f"order {intent.id}",
        f"at Dhan {intent.dhan_correlation_id}",
        f"user {intent.user_id}",
    ]
    outcome = next((each for each in story.of(Execution) if each.order_id == intent.id), None)
    if outcome and only_closes(outcome):
        reason = entered_because(intent.side, intent.event_time, story)
        details.append(f"it closes a position; entered because: {reason or 'not recorded'}")
    return (
        (
            f"{intent.side} {intent.quantity:,} {intent.symbol} at {rupees(intent.price)} or "
            f"better, stop {rupees(intent.stop)}, target {rupees(intent.target)}"
        ),
        details,
    )


def _execution(execution: Execution, story: Story) -> tuple[str, list[str], list[Section]]:
    code, outcome = execution.reason_code, execution.outcome.value
    why = f" ({code})" if code not in ("", outcome) else ""
    number = f", Dhan's number {execution.dhan_order_id}" if execution.dhan_order_id else ""
    correction = ["it corrects an earlier outcome"] if execution.corrects else []
    words = [execution.reason] if execution.reason else []
    return (
        (
            f"{outcome}{why}: {execution.side} {execution.quantity:,} at "
            f"{rupees(execution.price)}{number}"
        ),
        correction + words + list(_evidence(execution, story)),
        list(_checks(execution)),
    )


def _evidence(execution: Execution, story: Story) -> Iterator[str]:
    """What the gate saw, what was sent, and whether the gate says the same again."""
    evidence = execution.evidence
    if evidence is None:
        yield "nobody wrote down what the gate saw"
        return
    if evidence.cut_by:
        yield f"cut from {evidence.asked_quantity:,} units by {', '.join(evidence.cut_by)}"
    judged = evidence.judgement
    yield _seen(judged.seen if judged else evidence.asked)
    if judged:
        yield f"{judged.claimed / 1_000:.1f} ms for the claim, judged {_times(judged.tries)}"
        yield from _sending(execution, judged, story)
    else:
        yield "the gate did not judge it after the claim, or nobody wrote down what it said"
    try:
        again = rejudge(execution)
    except ValueError as error:
        yield f"the record contradicts itself: {error}"
        return
    same = again is not None and again.agrees
    yield f"judged again now: {'the same' if same else f'NOT the same: {again}'}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _sending(execution: Execution, judged: Judgement, story: Story) -> Iterator[str]:
    answer = judged.answer
    if answer is None:
        yield "nothing was sent to Dhan"
        return
    intent = next((it for it in story.of(OrderIntent) if it.id == execution.order_id), None)
    yield f"sent to Dhan after {answer.sent / 1_000:.1f} ms: {_request(execution, intent, story)}"
    number = f", its number {execution.dhan_order_id}" if execution.dhan_order_id else ""
    # a correction's words came later
    words = f": {execution.reason}" if execution.reason and not execution.corrects else ""
    took = (answer.answered - answer.sent) / 1_000
    yield f"Dhan answered in {took:.1f} ms: {answer.kind}{number}{words}"


def _request(execution: Execution, intent: OrderIntent | None, story: Story) -> str:
    """What was asked for, by the order as it was cut and by what Dhan showed of it."""
    said = f"{execution.side} {execution.quantity:,} {execution.symbol} ({execution.instrument})"
    said += f", limit {rupees(execution.price)}, intraday"
    if intent is None:
        return said
    said += f", correlation id {intent.dhan_correlation_id}"
    if _is_super(execution, story):
        return f"{said}, with stop {rupees(intent.stop)} and target {rupees(intent.target)} at Dhan"
    return f"{said}, a plain order that fills at once or not at all"


def _is_super(execution: Execution, story: Story) -> bool:
    """Whether stop and target went with it: Dhan shows them once the entry has traded. Until then
    the gate saw no position.
    """
    number = execution.dhan_order_id
    orders = [each.order for each in story.of(OrderEvent) if each.order]
    if any(each.leg is not Leg.ENTRY and each.super_order == number for each in orders):
        return True
    traded = any(each.dhan_order_id == number and each.filled for each in orders)
    return not only_closes(execution) and not traded


def _checks(execution: Execution) -> Iterator[Section]:
    try:
        checks = checked(execution)
    except ValueError:  # told where the order is judged again
        return
    if checks:
        passes = sum(each.asked and not each.denial for each in checks)
        denied = next((f", denied by: {each.name}" for each in checks if each.denial), "")
        left_out = [each.name for each in checks if not each.asked]
        lines = [str(each) for each in checks if each.asked]
        if left_out:
            lines.append(f"not asked of an order that only closes: {', '.join(left_out)}")
        yield Section(f"the gate: {passes} checks passed{denied}", tuple(lines))


def _seen(seen: SeenContext) -> str:
    quote = seen.quote
    last = f"last trade {rupees(quote.price)} at {at(quote.traded_at)}" if quote else "no quote"
    held = f"{seen.position:+,} units by orders"
    by_fills = "" if seen.filled is None else f", {seen.filled:+,} by fills"
    states = {
        "halted": seen.halted,
        "mode refuses": not seen.mode_allows,
        "user inactive": not seen.user_active,
        "token refused": seen.token_refused,
        f"account {seen.account}": seen.account != "as_stored",
    }
    odd = "".join(f", {name}" for name, holds in states.items() if holds)
    return (
        f"the gate saw at {at(seen.now)}: {last}, {held}{by_fills}, "
        f"{seen.sent.today} orders today{odd}"
    )


def _exit(step: ExitOrder, story: Story) -> tuple[str, list[str]]:
    changed = step.action not in PLACES and step.dhan_order_id
    of = f" {step.leg} of {step.dhan_order_id}" if changed else ""
    text = f"{step.action}{of} because of {step.reason_code}: {step.outcome}"
    if step.quantity:
        text += f", {f'{step.side} ' if step.side else ''}{step.quantity:,}"
    details = [f"{step.net:+,} units held, {step.uncovered:,} of them without a stop"]
    prices = ("limit", step.price), ("trigger", step.trigger)
    asked = ", ".join(f"{name} {rupees(price)}" for name, price in prices if price)
    named = step.dhan_correlation_id and f"correlation id {step.dhan_correlation_id}"
    if asked or named:
        details.append(f"asked Dhan: {', '.join(filter(None, (asked, named)))}")
    number = f", its number {step.dhan_order_id}" if step.dhan_order_id and not changed else ""
    if step.waited_us:
        details.append(f"Dhan answered in {step.waited_us / 1_000:.1f} ms: {step.outcome}{number}")
    details += [step.reason] if step.reason else []
    if entered := exit_entered_because(step, story):
        details.append(f"entered because: {entered}")
    return text, details


def _event(event: OrderEvent, _: Story) -> tuple[str, list[str]]:
    order = event.order
    assert order, "only orders' states are told"
    words = f": {order.reason}" if order.reason else ""
    prices = ("limit", order.price), ("trigger", order.trigger)
    asked = "".join(f", {name} {rupees(price)}" for name, price in prices if price)
    text = (
        f"{order.leg} {order.dhan_order_id} {order.status_word}{asked}, "
        f"{_filled_of(order)}, by {event.observed_by}, {at(event.event_time)}{words}"
    )
    return text, []


def _filled_of(order: ObservedOrder) -> str:
    if order.status is OrderStatus.TRADED and not order.filled:
        return f"of {order.quantity:,}, how much is filled was not told"
    return f"{order.filled:,} of {order.quantity:,} filled"


def _trade(trade: Trade, story: Story) -> tuple[str, list[str]]:
    fill = trade.fill
    purpose, _ = purpose_of(fill, story)
    details = [f"trade {fill.trade_id} of Dhan's order {fill.dhan_order_id}"]
    if purpose is not Purpose.ENTRY and (entered := left_because(trade, story)):
        details.append(f"entered because: {entered}")
    return _trade_line(trade, story), details


def _trade_line(trade: Trade, story: Story) -> str:
    fill = trade.fill
    purpose, reason = purpose_of(fill, story)
    when = at(fill.traded_at or trade.event_time)
    why = f" ({reason})" if reason else ""
    return f"{fill.side} {fill.quantity:,} at {rupees(fill.price)}, {when}: {purpose}{why}"


def _position(position: Position, _: Story) -> tuple[str, list[str]]:
    agrees = {True: "the broker agrees", False: "the broker counts otherwise", None: "not compared"}
    return (
        (
            f"bought {position.bought:,} for {rupees(position.bought_value)}, sold "
            f"{position.sold:,} for {rupees(position.sold_value)}, holds {position.net:+,}, "
            f"earned {rupees(position.realised)} before charges; {agrees[position.agrees]}"
        ),
        [],
    )


Said = tuple[str, list[str]] | tuple[str, list[str], list[Section]]
_STEPS: Final[Mapping[type[Message], tuple[str, Callable[[Any, Story], Said]]]] = {
    Candle: ("bar", _candle),
    Indicators: ("indicators", _indicators),
    Signal: ("signal", _signal),
    Scan: ("scout", _scan),
    MarketContext: ("market", _market),
    NewsAnswer: ("news", _news),
    LlmCall: ("model", _call),
    Report: ("report", _report),
    Decision: ("decision", _decision),
    FanOut: ("fan-out", _fan_out),
    OrderIntent: ("order", _intent),
    Execution: ("outcome", _execution),
    ExitOrder: ("exit", _exit),
    OrderEvent: ("observed", _event),
    Trade: ("trade", _trade),
    Position: ("position", _position),
}


def _values(values: Mapping[str, float]) -> str:
    return ", ".join(
        f"{name} {rupees(value) if is_price(name) else f'{value:.6g}'}"
        for name, value in sorted(values.items())
    )


def _other(other: OtherOrder) -> Sentence:
    intent, outcome = other.intent, other.outcome
    reason = [f"because: {other.decision.reasoning}"] if other.decision else []
    text = f"{at(intent.event_time)}: {_order_in_short(intent, outcome)}"
    return Sentence("also", text, None, (f"order {intent.id}", *reason), other.record.place)


# What it took


def _taken(story: Story, rates: Rates | None) -> Iterator[Sentence]:
    took = [f"{each.begin} to {each.end}: {passed(each.took)}" for each in hops(story)]
    if took:
        text = "time from record to record, by the clocks of those who wrote them"
        yield Sentence("timing", text, None, tuple(took))
    questions, cost = thinking(story)
    if questions:
        each = story.of(LlmCall)
        tokens = sum(call.input_tokens + call.output_tokens for call in each)
        text = f"{rupees(cost)} for {questions:,} questions to models, {tokens:,} tokens"
        yield Sentence("thinking", text, None)
    if rates and (bill := bill_of(story, rates)):
        yield _charges(bill.total, bill.lines, bill.unknown)
    yield from _made_under(story)


def _made_under(story: Story) -> Iterator[Sentence]:
    """Which configuration each topic's messages were made under."""
    names: dict[str, dict[str, None]] = {}
    for each in story.records:
        if name := each.headers.get(MANIFEST, b"").decode("utf-8", "replace"):
            names.setdefault(name, {})[each.topic] = None
    if names:
        lines = tuple(f"{name}: {', '.join(topics)}" for name, topics in names.items())
        yield Sentence("made under", "manifests, which ats.manifest holds", None, lines)


def _charges(total: Paise | None, lines: Sequence[str], unknown: str) -> Sentence:
    if total is None:
        return Sentence("charges", f"not known: {unknown}", None)
    text = f"{rupees(total)} for the fills above, estimated by the rates of the day"
    return Sentence("charges", text, None, tuple(lines))
