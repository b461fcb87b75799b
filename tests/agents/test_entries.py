"""What keeps a signal from being asked about, and what was decided before it."""

from __future__ import annotations

from datetime import date

import pytest

from agents.app import AgentOptions, LlmGateway, decision_service
from agents.caches import ScanCache
from agents.entries import Circumstances, not_now
from agents.freshness import WAITED, NewestSignals
from agents.journal import ModelTier
from agents.limits import Limits
from agents.model import Model
from agents.past import REMEMBERED, DecisionHistory, note_record
from agents.spend import SpendLedger
from bus.records import Record
from schemas import topics
from schemas.codec import decode, encode
from schemas.errors import Unreadable
from schemas.ids import Segment, SignalId, decision_id
from schemas.lineage import HEADER
from schemas.market import Action, Direction, Session
from schemas.messages import Decision, Origin, Signal
from schemas.strategy import Strategy, StrategyMode
from schemas.units import Paise, UtcNs
from simulator.market.session import market_session
from tests.agents.factories import AS_OF, DAY, a_scan, a_signal
from tests.agents.provider import Provider
from tests.agents.test_app import Broker, Database

LIMITS = Limits()
NOW = UtcNs(0)
SESSION = Session(DAY, market_session(DAY).open, market_session(DAY).close)
FRESH: dict[str, object] = {"age": lambda _event_time, _published_at: NOW}


def a_decision(action: Action = Action.BUY, ago: UtcNs = NOW, rule: str = "old") -> Decision:
    signal = a_signal(rule=rule, at=UtcNs(AS_OF - ago))
    return Decision(
        id=decision_id(SignalId(signal.id)),
        event_time=signal.event_time,
        signal_id=SignalId(signal.id),
        scan_id=None,
        instrument=signal.instrument,
        symbol="RELIANCE",
        action=action,
        reasoning="…",
        confidence=70,
        origin=Origin.COMMITTEE,
        reason_code="decided",
        reference_price=signal.price,
        valid_until=UtcNs(signal.event_time + UtcNs.minutes(2)),
    )


def code_of(signal: Signal, *earlier: Decision, session: Session | None = None) -> str:
    found = not_now(signal, Circumstances(session, earlier), LIMITS)
    return found.reason_code if found else ""


def bearish(signal: Signal) -> Signal:
    return signal.model_copy(update={"direction": Direction.BEARISH})


def just_before(span: UtcNs) -> UtcNs:
    return UtcNs(span - 1)


def test_a_symbol_rests_after_a_decision_and_only_for_so_long() -> None:
    assert code_of(a_signal(), a_decision()) == "cooldown"
    assert code_of(a_signal(), a_decision(ago=just_before(LIMITS.cooldown))) == "cooldown"
    assert code_of(a_signal(), a_decision(ago=LIMITS.cooldown)) == ""


def test_a_symbol_is_not_turned_over_at_once_but_may_be_added_to() -> None:
    bought = a_decision(ago=just_before(LIMITS.flip))
    sold = a_decision(Action.SELL, ago=just_before(LIMITS.flip))

    assert code_of(bearish(a_signal()), bought) == "flip"
    assert code_of(a_signal(), sold) == "flip"
    assert code_of(a_signal(), bought) == ""
    assert code_of(bearish(a_signal()), a_decision(ago=LIMITS.flip)) == ""


def test_a_hold_and_what_is_yet_to_come_keep_nobody_waiting() -> None:
    tomorrow = a_decision(ago=UtcNs(-UtcNs.minutes(1)))

    assert code_of(a_signal(), a_decision(Action.HOLD), tomorrow) == ""


def test_the_last_trade_counts_whatever_order_they_are_told_in() -> None:
    older, newer = a_decision(ago=UtcNs.minutes(14)), a_decision(Action.SELL, ago=UtcNs.minutes(6))

    assert code_of(a_signal(), newer, older) == "flip"


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (SESSION.open + LIMITS.after_open - 1, "entry_window"),
        (SESSION.open + LIMITS.after_open, ""),
        (SESSION.close - LIMITS.before_close - 1, ""),
        (SESSION.close - LIMITS.before_close, "entry_window"),
    ],
)
def test_entries_are_made_within_hours_only(at: int, code: str) -> None:
    assert code_of(a_signal(at=UtcNs(at)), session=SESSION) == code


def test_what_was_decided_before_a_signal_is_a_question_of_offsets() -> None:
    history = DecisionHistory()
    for offset in (7, 9, 3, 5):
        history.note(offset, a_decision(rule=f"r{offset}"))
    history.note(3, a_decision(Action.SELL, rule="r3"))  # told again by the topic

    before = history.before(7, a_signal(rule="r7"))

    assert [d.signal_id for d in before] == [
        a_decision(rule="r3").signal_id,
        a_decision(rule="r5").signal_id,
    ]
    assert before[0].action is Action.BUY


def test_what_a_strategy_in_shadow_decided_holds_back_no_live_one() -> None:
    shadow = Strategy(name="r1", mode=StrategyMode.SHADOW)
    history = DecisionHistory()
    history.note(1, a_decision(rule="r1").model_copy(update={"strategy": shadow}))
    history.note(2, a_decision(rule="r2"))
    live, watched = a_signal(rule="r3"), a_signal(rule="r3").model_copy(update={"strategy": shadow})

    assert [each.signal_id for each in history.before(7, live)] == [a_decision(rule="r2").signal_id]
    assert len(history.before(7, watched)) == 2


def test_a_live_signal_gives_way_to_a_later_live_one_and_to_no_shadow() -> None:
    shadow = {"strategy": Strategy(name="ema_cross", mode=StrategyMode.SHADOW)}
    first, later = a_signal(), a_signal(at=UtcNs(AS_OF + UtcNs.minutes(2)))
    newest = NewestSignals()
    newest.note(later.model_copy(update=shadow))

    assert newest.superseded(first, WAITED) == ""
    assert newest.superseded(first.model_copy(update=shadow), WAITED) != ""
    newest.note(later)
    assert newest.superseded(first, WAITED) != ""


def test_yesterday_is_forgotten_and_so_is_what_is_long_ago() -> None:
    history = DecisionHistory()
    history.note(1, a_decision(ago=UtcNs.minutes(24 * 60)))
    assert history.before(9, a_signal()) == ()

    for offset in range(2 * REMEMBERED):
        history.note(offset, a_decision(rule=f"r{offset}"))

    assert len(history.before(10_000, a_signal())) == REMEMBERED


def test_a_record_without_its_signal_is_unreadable() -> None:
    value = encode(a_decision())

    def record(headers: dict[str, bytes]) -> Record:
        return Record("ats.decisions", 0, 9, b"k", value, UtcNs(0), headers)

    history = DecisionHistory()
    note_record(history, record({HEADER: b"4:0"}))

    assert len(history.before(5, a_signal())) == 1
    with pytest.raises(Unreadable, match=HEADER):
        note_record(history, record({}))


async def test_a_second_signal_of_a_symbol_costs_no_call_and_the_first_again_is_as_it_was(
    provider: Provider, model: Model
) -> None:
    scans, history = ScanCache(), DecisionHistory()
    await scans.add(a_scan())
    asked_for: list[tuple[date, Segment]] = []

    def session(day: date, segment: Segment) -> Session | None:
        asked_for.append((day, segment))
        return SESSION

    service = decision_service(
        llm=LlmGateway([ModelTier(model)], SpendLedger(Paise(0))),
        scans=scans,
        store=Database(),
        publisher=Broker(),  # type: ignore[arg-type]
        options=AgentOptions(scan_timeout=0.0, session=session, **FRESH),  # type: ignore[arg-type]
        history=history,
    )

    async def handle(offset: int, signal: Signal) -> bytes:
        record = Record("ats.signals", 0, offset, b"key", encode(signal), UtcNs(0))
        value: bytes = (await service.handlers[topics.SIGNALS](record))[-1].value
        return value

    first = await handle(0, a_signal())
    asked = len(provider.requests)
    second = await handle(1, a_signal(rule="breakout"))
    late = await handle(2, a_signal(rule="late", at=UtcNs(SESSION.close - 1)))
    again = await handle(0, a_signal())

    assert decode(Decision, first).action is Action.BUY
    assert decode(Decision, second).reason_code == "cooldown"
    assert decode(Decision, late).reason_code == "entry_window"
    assert again == first
    assert len(provider.requests) == asked
    assert set(asked_for) == {(DAY, Segment.NSE_EQ)}


def test_a_decision_on_a_signal_that_was_written_again_counts_once() -> None:
    history, signal = DecisionHistory(), a_signal(rule="new")
    first, second = a_decision(rule="one"), a_decision(rule="two")

    for offset, decision in ((5, second), (3, first), (9, first), (11, second), (4, first)):
        history.note(offset, decision)

    assert history.before(20, signal) == (first, second)


def test_a_signal_that_was_written_again_finds_what_it_found_the_first_time() -> None:
    history, signal = DecisionHistory(), a_signal(rule="new")
    earlier, later = a_decision(rule="one"), a_decision(rule="two")
    own = a_decision(rule="new")
    for offset, decision in ((3, earlier), (4, own), (5, later)):
        history.note(offset, decision)

    assert history.before(4, signal) == history.before(9, signal) == (earlier,)


def test_a_muted_rules_signal_is_a_hold_of_its_own_code_and_other_rules_go_on() -> None:
    muted = Limits(muted=frozenset({"ema_cross"}))

    codes = [
        found.reason_code if (found := not_now(a_signal(rule=rule), Circumstances(), muted)) else ""
        for rule in ("ema_cross", "rsi_reversal")
    ]

    assert codes == ["muted", ""]
