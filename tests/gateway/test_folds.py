"""What the gateway makes of records: today's state, events, places, and its bounds. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ats.gateway import market, own
from ats.gateway.board import OWN_BYTES, OWN_EVENTS, PUBLIC_EVENTS, Board
from ats.gateway.events import Event, EventRing, Place
from ats.gateway.market import BARS
from ats.gateway.series import SeriesKey
from ats.gateway.viewer import CHUNK_BYTES, Chunk, Viewer
from ats.gateway.views import Market, json_of
from bus.records import Record
from schemas import ticks
from schemas.ids import InstrumentId, Segment
from schemas.market import Timeframe
from schemas.messages import (
    Execution,
    FanOut,
    LlmCall,
    Message,
    Outcome,
    Position,
    Report,
    Scan,
    Signal,
    Trade,
    UserSession,
)
from schemas.topics import TICKS
from schemas.units import UtcNs
from tests.executors.factories import RELIANCE as RELIANCE_ROW
from tests.executors.factories import a_decision, an_intent, some_ticks
from tests.gateway.filled import DAY, NOW, Marks, filled
from tests.gateway.gate import ASHA, BIMAL, EPOCH, a_board, record_of
from tests.schemas.factories import RELIANCE, a_candle

NOBODY = frozenset[InstrumentId]()
MARKS = Marks("x", 1)
YESTERDAY = UtcNs(NOW - UtcNs.minutes(24 * 60))


def told(*messages: Message) -> Board:
    board = a_board()
    for message in messages:
        board.apply(record_of(message))
    return board


def an_outcome(**changes: Any) -> Execution:
    intent = an_intent(ASHA)
    named = {"id": UUID(int=1), "order_id": intent.id, "evidence": None, "corrects": None}
    return filled(Execution, MARKS, user_id=str(ASHA)).model_copy(update=named | changes)


def the_order(board: Board) -> Any:
    (order,) = board.today(ASHA, NOBODY).own.orders
    return order


def ticks_record(price: int, at: int) -> Record:
    value = ticks.encode(some_ticks((RELIANCE_ROW, at, price)))
    return Record(TICKS.name, 0, 0, None, value, UtcNs(0))


# --- one user


def test_a_correction_replaces_what_it_corrects_whichever_is_read_first() -> None:
    decision = a_decision()
    intent = an_intent(ASHA, decision)
    first = an_outcome(order_id=intent.id, outcome=Outcome.NOT_FOUND)
    later = an_outcome(
        order_id=intent.id, id=UUID(int=2), corrects=first.id, outcome=Outcome.ACCEPTED
    )

    for messages in ((intent, first, later), (later, first, intent), (first, intent, later)):
        order = the_order(told(*messages, *messages))
        assert order.execution.id == later.id
        assert order.execution.evidence is None


def test_profit_is_told_at_the_last_price_after_charges_and_thinking() -> None:
    signal = uuid5(UUID(int=0), "signal")
    decision = a_decision(signal=signal)
    intent = an_intent(ASHA, decision)
    calls = [
        filled(LlmCall, MARKS, correlation_id=str(signal), cost=cost, id=str(UUID(int=cost)))
        for cost in (30, 12)
    ]
    elsewhere = filled(LlmCall, MARKS, cost=999)
    trade = filled(Trade, MARKS, user_id=str(ASHA))
    fill = trade.fill.model_copy(
        update={"instrument": RELIANCE, "quantity": 10, "price": 150_000, "product": "INTRADAY"}
    )
    position = filled(Position, MARKS, user_id=str(ASHA)).model_copy(
        update={
            "instrument": RELIANCE, "bought": 10, "bought_value": 1_500_000, "sold": 4,
            "sold_value": 602_000, "net": 6, "realised": 2_000,
        }
    )  # fmt: skip
    board = told(decision, intent, *calls, calls[0], elsewhere, position)
    before = board.today(ASHA, NOBODY).own.result
    board.apply(record_of(trade.model_copy(update={"fill": fill})))
    board.apply(ticks_record(150_500, NOW))

    result = board.today(ASHA, NOBODY).own.result

    assert (before.unrealised, before.after_charges) == (None, None), "no price is known"
    assert (result.realised, result.unrealised) == (2_000, 6 * 500)
    assert result.thinking == 42
    assert result.charges
    assert result.after_charges == 5_000 - result.charges
    assert result.after_everything == result.after_charges - 42


def test_a_new_day_begins_for_all_and_a_day_before_changes_nothing() -> None:
    old = filled(Position, MARKS, user_id=str(ASHA)).model_copy(
        update={"trading_date": date(2026, 7, 13), "event_time": YESTERDAY}
    )
    session = filled(UserSession, MARKS, user_id=str(ASHA))
    new = filled(Position, MARKS, user_id=str(BIMAL))

    board = told(old, session)
    assert board.today(ASHA, NOBODY).own.positions == (old,)
    board.apply(record_of(new))
    heard = board.apply(record_of(old))

    today = board.today(ASHA, NOBODY)
    assert today.own.positions == ()
    assert today.own.session == session, "who is active stays so over night"
    assert today.market.trading_date == DAY
    assert heard.user is None


def hours(of: Market) -> tuple[str, ...]:
    return tuple(f"{each.ist():%H:%M}" for each in (of.opens, of.closes) if each)


def test_the_day_closes_when_the_last_of_its_markets_does() -> None:
    board, contract = a_board(), InstrumentId(Segment.MCX_COMM, 7)
    board.apply(record_of(a_decision()))
    assert board.today(ASHA, NOBODY).market.closes is None, "no instrument is known"

    board.market.on_ticks(some_ticks((RELIANCE_ROW, NOW, 150_000)))
    shares = board.today(ASHA, NOBODY).market
    board.market.on_ticks(some_ticks((replace(RELIANCE_ROW, id=contract), NOW, 7_000)))
    both = board.today(ASHA, NOBODY).market

    assert hours(shares) == ("09:15", "15:30")
    assert hours(both) == ("09:00", "23:30")


def test_machine_time_begins_no_day() -> None:
    late = filled(UserSession, MARKS, user_id=str(ASHA), event_time=int(NOW) + 10**17)

    board = told(a_decision(), late)

    assert board.today(ASHA, NOBODY).market.trading_date == DAY


def test_of_a_stranger_nothing_is_kept() -> None:
    board = told(a_decision())

    assert board.today(BIMAL, NOBODY).own.orders == ()
    assert (board.users, board.person(BIMAL)) == (0, None)


def test_one_users_day_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "KEPT", 300)
    board = told(a_decision())
    for number in range(own.KEPT + 50):
        intent = an_intent(ASHA, a_decision(signal=UUID(int=number)))
        board.apply(record_of(intent))

    state = board.today(ASHA, NOBODY).own
    assert len(state.orders) == own.LISTED
    person = board.person(ASHA)
    assert person
    assert person.state._day
    assert len(person.state._day.intents) == own.KEPT
    assert person.ring.size <= OWN_BYTES


# --- everybody


def test_the_shortlist_is_in_the_scouts_order_and_without_what_was_discarded() -> None:
    scan = filled(Scan, MARKS)
    (entry,) = scan.entries
    rows = [("B", "SHORTLISTED", 2), ("A", "SHORTLISTED", 1), ("C", "DISCARDED", None)]
    entries = [
        entry.model_dump(mode="json") | {"symbol": symbol, "result": result, "rank": rank}
        for symbol, result, rank in rows
    ]
    scan = Scan.model_validate_json(filled(Scan, MARKS, entries=entries).model_dump_json())

    shortlist = told(scan).today(ASHA, NOBODY).market.shortlist

    assert shortlist
    assert [each.symbol for each in shortlist.entries] == ["A", "B"]


def test_a_decision_is_told_with_its_signal_its_reports_and_the_askers_own_order() -> None:
    signal = filled(Signal, MARKS)
    decision = a_decision(signal=signal.id)
    report = filled(Report, MARKS, signal_id=str(signal.id))
    hers = an_intent(ASHA, decision)
    board = told(signal, report, decision, hers)

    story, his = board.story(ASHA, decision.id), board.story(BIMAL, decision.id)

    assert story
    assert his
    assert (story.signal, story.reports, story.decision) == (signal, (report,), decision)
    assert (story.order and story.order.intent, his.order) == (hers, None)


def test_that_a_decision_waits_is_told_until_the_answer_is_and_never_who_got_none() -> None:
    board, decision = a_board(), a_decision()
    waits, yes = (
        filled(
            FanOut,
            Marks("f", 10**6),
            decision_id=str(decision.id),
            approval={"state": state, "until": 7},
        )
        for state in ("waiting", "yes")
    )
    states = []
    for each in (decision, waits, yes, waits):
        board.apply(record_of(each))
        states += [each.approval.state for each in board.market.view(()).approvals]
    story = board.story(ASHA, decision.id)

    assert states == ["waiting", "yes", "yes"]
    assert story
    assert story.approval == yes.approval
    assert str(waits.without[0].user_id).encode() not in json_of(board.today(ASHA, frozenset()))


def test_bars_are_kept_once_each_and_no_more_than_the_newest() -> None:
    minute = UtcNs.minutes(1)
    board = a_board()
    for number in [*range(1, BARS + 20), BARS, 5]:
        start = UtcNs(number * minute)
        bar = a_candle(start=start, event_time=UtcNs(start + minute), id=UUID(int=number))
        board.apply(record_of(bar))

    bars = board.market.candles(SeriesKey(RELIANCE, Timeframe.M1), BARS).bars
    assert [each.start // minute for each in bars] == list(range(20, BARS + 20))
    last = board.market.candles(SeriesKey(RELIANCE, Timeframe.M1), 1).bars
    assert last == bars[-1:]
    (kept,) = board.market._bars.values()
    assert len(kept) == BARS * 7


def test_the_last_price_is_that_of_the_last_trade() -> None:
    board = told(a_decision())
    for price, at in ((150_000, NOW), (151_000, NOW + 10**9), (149_000, NOW - 10**9)):
        board.apply(ticks_record(price, at))

    (last,) = board.prices(frozenset({RELIANCE}))
    assert (last.price, last.at) == (151_000, NOW + 10**9)
    assert board.market.clock == NOW + 10**9


def test_instruments_with_a_price_or_bars_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(market, "MOST_INSTRUMENTS", 3)
    monkeypatch.setattr(market, "MOST_SERIES", 3)
    board = a_board()
    for number in range(1, 9):
        instrument = InstrumentId(Segment.NSE_EQ, number)
        board.apply(record_of(a_candle(instrument=str(instrument))))

    assert len(board.market._bars) == len(board.market._prices) == 3


# --- events and places


def an_event(size: int = 10) -> Event:
    return Event(b"x" * size, None, UtcNs(0))


@given(
    st.lists(st.integers(1, 60), max_size=60), st.integers(1, 20), st.integers(1, 200),
    st.integers(-3, 70),
)  # fmt: skip
def test_a_ring_gives_all_that_follows_a_number_or_says_that_some_is_gone(
    sizes: list[int], most: int, most_bytes: int, number: int
) -> None:
    ring, all_events = EventRing(most, most_bytes), []
    for size in sizes:
        all_events.append(an_event(size))
        ring.append(all_events[-1])

    found = ring.after(number, 1_000)

    assert len(ring._events) <= most
    assert ring.size == sum(len(event.frame) for event in ring._events)
    assert ring.size <= max(most_bytes, sizes[-1] if sizes else 0)
    if found is not None:
        assert found == all_events[number:]
    else:
        assert number > len(sizes) or len(sizes) - number > len(ring._events)


@given(
    st.text("0123456789abcdef.-é\n", max_size=40) | st.from_regex(r"[0-9a-f]{8}(\.[0-9]{1,3}){2}")
)
def test_any_text_is_an_id_of_ours_or_none(text: str) -> None:
    place = Place.parse(text)

    assert place is None or str(place) == text


def viewed(board: Board, viewer: Viewer) -> list[Chunk]:
    chunks = [viewer.next(board)]
    while chunks[-1].more:
        chunks.append(viewer.next(board))
    return chunks


def test_a_viewer_who_falls_behind_gets_a_snapshot_and_costs_nothing() -> None:
    board = told(a_decision())
    viewer = Viewer(ASHA, NOBODY)
    viewed(board, viewer)
    for number in range(PUBLIC_EVENTS + 1):
        board.apply(record_of(a_decision(signal=UUID(int=number))))

    (chunk,) = viewed(board, viewer)

    assert chunk.snapshot
    assert viewer.next(board).data == b""


def test_a_viewer_who_loses_events_of_their_own_gets_a_snapshot() -> None:
    board = told(a_decision(), an_intent(ASHA))
    viewer = Viewer(ASHA, NOBODY)
    viewed(board, viewer)
    for number in range(OWN_EVENTS + 1):
        board.apply(record_of(an_intent(ASHA, a_decision(signal=UUID(int=number)))))

    assert viewed(board, viewer)[0].snapshot


def test_a_viewer_who_has_everything_is_shown_the_new_day_as_it_begins() -> None:
    board = told(a_decision(event_time=YESTERDAY))
    viewer = Viewer(ASHA, NOBODY)
    viewed(board, viewer)

    board.apply(record_of(a_decision()))

    assert [chunk.snapshot for chunk in viewed(board, viewer)] == [True]


def test_events_come_in_chunks_each_with_an_id_to_go_on_from() -> None:
    board = told(a_decision())
    reasons = "because " * 400
    viewer, other = Viewer(ASHA, NOBODY), Viewer(BIMAL, NOBODY)
    viewed(board, viewer)
    for number in range(100):
        board.apply(record_of(a_decision(signal=UUID(int=number), reasoning=reasons)))
    before = viewer.place

    chunks = viewed(board, viewer)

    assert sum(chunk.data.count(b"event: decision") for chunk in chunks) == 100
    assert len(chunks) > 3
    assert all(len(chunk.data) < CHUNK_BYTES + 5_000 for chunk in chunks)
    ids = [chunk.data.split(b"id: ")[-1].split(b"\n")[0].decode() for chunk in chunks]
    assert before
    assert Place.parse(ids[-1]) == viewer.place == Place(EPOCH, before.public + 100, 0)
    other.place = Place.parse(ids[0])
    rest = viewed(board, other)
    assert [chunk.data for chunk in rest] == [chunk.data for chunk in chunks[1:]]


def test_ids_do_not_tell_how_busy_others_are() -> None:
    def hers(*others: Message) -> list[bytes]:
        board, viewer = told(a_decision(signal=UUID(int=1))), Viewer(ASHA, NOBODY)
        chunks = viewed(board, viewer)
        for message in others:
            board.apply(record_of(message))
        board.apply(record_of(an_intent(ASHA, a_decision(signal=UUID(int=1)))))
        return [chunk.data for chunk in [*chunks, *viewed(board, viewer)]]

    his = filled(Position, MARKS, user_id=str(BIMAL))

    assert hers(his) == hers()


def test_what_was_told_once_is_not_told_again() -> None:
    messages = [
        filled(model, MARKS, user_id=str(ASHA)) for model in (Trade, Position, UserSession)
    ] + [a_candle(), filled(Scan, MARKS), filled(Signal, MARKS), filled(Report, MARKS)]
    board = told(*messages)
    last = (board.ring.last, board.person(ASHA) and board.person(ASHA).ring.last)  # type: ignore[union-attr]

    for message in messages:
        assert board.apply(record_of(message)).user is None

    assert (board.ring.last, board.person(ASHA).ring.last) == last  # type: ignore[union-attr]
