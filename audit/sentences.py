"""What each message of a story says, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from audit.rejudge import rejudge
from audit.story import Recorded, Story
from schemas.evidence import SeenContext
from schemas.messages import (
    Candle,
    Decision,
    Execution,
    ExitOrder,
    FanOut,
    Indicators,
    LlmCall,
    Message,
    OrderEvent,
    OrderIntent,
    Position,
    Report,
    Scan,
    Signal,
    Trade,
)
from schemas.units import UtcNs
from streams.columns.names import is_price

MOST: Final = 40  # sentences of one kind; a decision has an order for each of thousands of users


@dataclass(frozen=True, slots=True)
class Sentence:
    """One step of a story.

    Attributes:
        role: What kind of step, in one word.
        details: What it looked at, a line each.
    """

    role: str
    text: str
    record: Recorded
    details: tuple[str, ...] = ()


def sentences(story: Story) -> Iterator[Sentence]:
    """The steps from the bar to the position, each kind in the order in which it was written."""
    for kind, (role, say) in _STEPS.items():
        records = _worth_telling(kind, story)
        for each in records[:MOST]:
            text, details = say(each.message, story)
            yield Sentence(role, text, each, tuple(details))
        if (more := len(records) - MOST) and more > 0:
            yield Sentence(role, f"and {more:,} more", records[MOST])


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
    return f"{bar.timeframe} to {_at(bar.event_time)}: {prices}, {bar.volume:,} units{whole}", []


def _indicators(row: Indicators, story: Story) -> tuple[str, list[str]]:
    known = {name: value for name, value in row.values.items() if value is not None}
    looked_at = {name for signal in story.of(Signal) for name in signal.features}
    others = {name: value for name, value in known.items() if name not in looked_at}
    return f"{len(known)} values at the close of {row.timeframe}", [_values(others)]


def _signal(signal: Signal, _: Story) -> tuple[str, list[str]]:
    text = (
        f"{signal.rule} says {signal.direction} at {rupees(signal.price)}, "
        f"{signal.timeframe} to {_at(signal.event_time)}"
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


def _call(call: LlmCall, _: Story) -> tuple[str, list[str]]:
    detail = f": {call.detail}" if call.detail else ""
    text = (
        f"{call.agent} asked {call.model}: {call.outcome}{detail}, {call.latency_ms:,.0f} ms, "
        f"{call.input_tokens:,} + {call.output_tokens:,} tokens, {rupees(call.cost)}"
    )
    return text, [f"answer {call.response}"] if call.response else []


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
        f"valid until {_at(decision.valid_until)}"
    )
    return text, [decision.reasoning] if decision.reasoning else []


def _fan_out(fan_out: FanOut, story: Story) -> tuple[str, list[str]]:
    without = len(fan_out.without) + fan_out.more_without
    own = [each for each in fan_out.without if each.user_id == story.subject.user]
    text = f"{fan_out.orders:,} users got an order, {without:,} none"
    return text, [f"this user: {each.reason_code}" for each in own]


def _intent(intent: OrderIntent, _: Story) -> tuple[str, list[str]]:
    return (
        (
            f"{intent.side} {intent.quantity:,} {intent.symbol} at {rupees(intent.price)} or "
            f"better, stop {rupees(intent.stop)}, target {rupees(intent.target)}"
        ),
        [f"order {intent.id}", f"at Dhan {intent.dhan_correlation_id}", f"user {intent.user_id}"],
    )


def _execution(execution: Execution, _: Story) -> tuple[str, list[str]]:
    why = f" ({execution.reason_code})" if execution.reason_code else ""
    number = f", Dhan's number {execution.dhan_order_id}" if execution.dhan_order_id else ""
    correction = ["it corrects an earlier outcome"] if execution.corrects else []
    words = [execution.reason] if execution.reason else []
    return (
        (
            f"{execution.outcome}{why}: {execution.side} {execution.quantity:,} at "
            f"{rupees(execution.price)}{number}"
        ),
        correction + words + list(_evidence(execution)),
    )


def _evidence(execution: Execution) -> Iterator[str]:
    """What the gate saw, and whether it says the same again."""
    evidence = execution.evidence
    if evidence is None:
        yield "nobody wrote down what the gate saw"
        return
    if evidence.cut_by:
        yield f"cut from {evidence.asked_quantity:,} units by {', '.join(evidence.cut_by)}"
    judged = evidence.judgement
    yield _seen(judged.seen if judged else evidence.asked)
    if judged:
        answer = judged.answer
        sent = f"{judged.claimed / 1_000:.1f} ms for the claim, judged {judged.tries} times"
        if answer:
            waited = (answer.answered - answer.sent) / 1_000
            sent += f", sent after {answer.sent / 1_000:.1f} ms, Dhan answered in {waited:.1f} ms"
        yield sent
    try:
        again = rejudge(execution)
    except ValueError as error:
        yield f"the record contradicts itself: {error}"
        return
    same = again is not None and again.agrees
    yield f"judged again now: {'the same' if same else f'NOT the same: {again}'}"


def _seen(seen: SeenContext) -> str:
    quote = seen.quote
    last = f"last trade {rupees(quote.price)} at {_at(quote.traded_at)}" if quote else "no quote"
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
        f"the gate saw at {_at(seen.now)}: {last}, {held}{by_fills}, "
        f"{seen.sent.today} orders today{odd}"
    )


def _exit(step: ExitOrder, story: Story) -> tuple[str, list[str]]:
    text = f"{step.action} because of {step.reason_code}: {step.outcome}"
    if step.quantity:
        text += f", {step.side or ''} {step.quantity:,}"
    details = [f"{step.net:+,} units held, {step.uncovered:,} of them without a stop"]
    details += [step.reason] if step.reason else []
    entries = [intent for intent in story.of(OrderIntent) if intent.event_time <= step.event_time]
    reasons = {each.id: each.reasoning for each in story.of(Decision)}
    if entries and (entered := reasons.get(entries[-1].decision_id)):
        details.append(f"entered because: {entered}")
    return text, details


def _event(event: OrderEvent, _: Story) -> tuple[str, list[str]]:
    order = event.order
    assert order, "only orders' states are told"
    words = f": {order.reason}" if order.reason else ""
    text = (
        f"{order.leg} {order.dhan_order_id} {order.status_word}, "
        f"{order.filled:,} of {order.quantity:,} filled, by {event.observed_by}{words}"
    )
    return text, []


def _trade(trade: Trade, _: Story) -> tuple[str, list[str]]:
    fill = trade.fill
    return f"{fill.side} {fill.quantity:,} at {rupees(fill.price)}, trade {fill.trade_id}", []


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


Said = tuple[str, list[str]]
_STEPS: Final[Mapping[type[Message], tuple[str, Callable[[Any, Story], Said]]]] = {
    Candle: ("bar", _candle),
    Indicators: ("indicators", _indicators),
    Signal: ("signal", _signal),
    Scan: ("scout", _scan),
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


def rupees(paise: float) -> str:
    """Paise as a person writes rupees."""
    return f"₹{paise / 100:,.2f}"


def _at(moment: UtcNs) -> str:
    return f"{moment.ist():%Y-%m-%d %H:%M:%S} IST"
