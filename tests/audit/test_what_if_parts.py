"""The pure parts of a what-if: settings by name, prices, pairing, the bill and the kept answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.journal import LlmCallCache, Question, call_of
from agents.prompts import SHIPPED, Agent
from agents.replies import Completion
from agents.spend import TokenPrice
from ats.replay.changes import Changes, changed
from ats.replay.day_settings import DaySettings
from ats.services.llm import AskedModel
from ats.settings import Settings
from audit.whatif.asking import Asker, Bill, bill_of
from audit.whatif.books import OrderName
from audit.whatif.decisions import Judged
from audit.whatif.kept import KeptAnswers, KnownAnswers, is_of
from audit.whatif.limits import changed_limits
from audit.whatif.orders import Placed, Standing
from audit.whatif.pairing import Change, Difference, Outcome, Result, SignalName, differ
from audit.whatif.paths import LAST_TICK, SQUARE_OFF, STOP, TARGET, Path, Step, Trade
from audit.whatif.sentences import bill_sentence
from executors.charges.rates import shipped_rates
from schemas.errors import Misconfigured
from schemas.market import Action, Direction, Side
from schemas.messages import CallOutcome
from schemas.units import Paise, Price, Quantity, UtcNs
from tests.agents.factories import a_signal
from tests.executors.factories import LIMITS, RELIANCE, TEN_O_CLOCK, USER, a_decision

MOMENT = UtcNs(TEN_O_CLOCK)


def changes(*sets: str, **more: object) -> Changes:
    given_: dict[str, object] = {"rules": None, "prompts": None, "model": ""}
    limits: Sequence[str] = more.pop("limits", ())  # type: ignore[assignment]
    return Changes.of(sets, limits, **(given_ | more))  # type: ignore[arg-type]


# Settings by name


def test_settings_are_changed_by_name_each_in_its_unit() -> None:
    day = changed(
        DaySettings(),
        changes(
            "rules.rsi_reversal.low=25", "decisions.min_reward=1.5", "scout.shortlist=3",
            "decisions.stop_band_percent=0.2,2",
            limits=["max_order_value_rupees=20000", "limits.risk_per_trade_rupees=none"],
        ),
    )  # fmt: skip

    assert day.document is not None
    assert day.document["rules"]["rsi_reversal"]["low"] == 25
    assert day.document["rules"].keys() == {"ema_cross", "rsi_reversal"}
    assert [str(each) for each in (day.decisions.min_reward, *day.decisions.stop_band)] == [
        "1.5", "0.2", "2",
    ]  # fmt: skip
    assert day.scout.shortlist == 3
    assert day.platform.max_order_value == Paise.from_rupees(20_000)
    assert day.platform.risk_per_trade is None


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("rules.rsi_reversal.lo=25", "rules.rsi_reversal.low"),
        ("limits.max_order_per_day=5", "limits.max_orders_per_day"),
        ("decisions.confidence=5", "decisions.min_confidence"),
        ("rules.no_such_rule.low=5", "rules."),
        ("rules.macd_cross.timeframe=5m", "rules.macd_cross.enabled"),
    ],
)
def test_a_setting_that_does_not_exist_is_named_with_those_near_it(word: str, near: str) -> None:
    name = word.partition("=")[0]

    with pytest.raises(Misconfigured, match=f"there is no setting '{name}'; near it: .*{near}"):
        changed(DaySettings(), changes(word))


@pytest.mark.parametrize(
    "word",
    [
        "limits.max_order_value_rupees=0", "limits.max_orders_per_day=-1",
        "limits.max_orders_per_day=many", "decisions.min_confidence=101",
        "decisions.stop_band_percent=3,1", "rules.rsi_reversal.low=200", "scout.shortlist=1.5",
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused(word: str) -> None:
    with pytest.raises(Misconfigured):
        changed(DaySettings(), changes(word))


@pytest.mark.parametrize("word", ["limits", "=5", "limits.max_orders_per_day="])
def test_a_word_that_sets_nothing_is_refused(word: str) -> None:
    with pytest.raises(Misconfigured, match="NAME=VALUE"):
        changes(word)


def test_a_prompt_file_changes_the_instructions_it_names_and_their_version(
    tmp_path: FilePath,
) -> None:
    path = tmp_path / "prompts.toml"
    path.write_text('commander = "Always hold."')

    day = changed(DaySettings(), changes(prompts=path))

    assert day.prompts.specs[Agent.COMMANDER].instructions == "Always hold."
    assert day.prompts.specs[Agent.TECHNICAL] == SHIPPED.specs[Agent.TECHNICAL]
    assert day.prompts.version != SHIPPED.version
    path.write_text('comander = "Always hold."')
    with pytest.raises(Misconfigured, match="near it: commander"):
        changed(DaySettings(), changes(prompts=path))


def test_a_users_own_tighter_limit_stays_when_the_platforms_is_loosened() -> None:
    own = replace(LIMITS, max_order_value=Paise(1_000_000))
    looser = replace(LIMITS, max_order_value=Paise(9_000_000), max_orders_per_day=5)

    held = changed_limits(own, LIMITS, looser)

    assert held == replace(own, max_orders_per_day=5)
    assert changed_limits(LIMITS, LIMITS, looser) == looser


# How a trade would have ended


def a_path(*prices: int) -> Path:
    times = MOMENT + np.arange(len(prices), dtype=np.int64) * 1_000_000_000
    return Path(times, np.array(prices, np.int64))


@pytest.mark.parametrize(
    ("side", "prices", "due", "left"),
    [
        (Side.BUY, (100, 101, 94, 110), None, (2, 94, STOP)),
        (Side.BUY, (100, 104, 112, 90), None, (2, 110, TARGET)),
        (Side.SELL, (100, 99, 106, 80), None, (2, 106, STOP)),
        (Side.SELL, (100, 99, 88, 120), None, (2, 90, TARGET)),
        (Side.BUY, (100, 101, 102, 120), 2, (2, 102, SQUARE_OFF)),
        (Side.BUY, (100, 101, 102), None, (2, 102, LAST_TICK)),
    ],
)
def test_a_position_ends_where_the_ticks_reach_first(
    side: Side, prices: tuple[int, ...], due: int | None, left: tuple[int, int, str]
) -> None:
    stop, target = (Price(95), Price(110)) if side is Side.BUY else (Price(105), Price(90))
    at = None if due is None else UtcNs(MOMENT + due * 1_000_000_000)

    found = a_path(*prices).exit(side, 0, stop, target, at)

    assert found == (Step(left[0], Price(left[1])), left[2])


def test_an_order_fills_at_the_first_price_its_limit_allows_before_it_expires() -> None:
    path, until = a_path(102, 103, 100, 99), UtcNs(MOMENT + 3_000_000_000)

    assert path.entry(Side.BUY, Price(101), MOMENT, until) == Step(2, Price(100))
    assert path.entry(Side.SELL, Price(103), MOMENT, until) == Step(1, Price(103))
    assert path.entry(Side.BUY, Price(99), MOMENT, until) is None


@given(st.integers(1, 500), st.integers(90_000, 110_000), st.sampled_from(Side))
def test_charges_make_every_trade_worth_less_than_it_earned(
    quantity: int, left: int, side: Side
) -> None:
    steps = Step(0, Price(100_000)), Step(1, Price(left))
    trade = Trade(RELIANCE.id, side, Quantity(quantity), *steps, TARGET)

    charges = trade.charges(MOMENT.ist().date(), "EQUITY", shipped_rates())

    assert trade.gross == (left - 100_000) * quantity * (1 if side is Side.BUY else -1)
    assert charges is not None
    assert charges > 0


# Pairing


@st.composite
def sides(draw: st.DrawFn) -> dict[SignalName, Outcome]:
    """One side: some signals at different moments, each with a decision or none."""
    made = {}
    for minute in draw(st.sets(st.integers(1, 6), max_size=5)):
        signal = a_signal().model_copy(
            update={
                "event_time": UtcNs(MOMENT + UtcNs.minutes(minute)),
                "direction": draw(st.sampled_from(Direction)),
            }
        )
        action = draw(st.sampled_from(Action))
        decision = a_decision(action=action, reason_code="decided")
        quantity, net = Quantity(draw(st.integers(0, 3))), Paise(draw(st.integers(-5, 5)))
        placed = Placed(OrderName(decision.id, USER), decision, Standing.LEFT, quantity)
        made[SignalName.of(signal)] = Outcome(
            signal, decision, {USER: placed}, {USER: Result(net, Paise(0))}
        )
    return made


@given(sides())
def test_a_side_does_not_differ_from_itself(side: dict[SignalName, Outcome]) -> None:
    found = differ(side, side, {})

    assert found.none
    assert found.same == len(side)
    assert found.before == found.after


@given(sides(), sides())
def test_what_is_new_one_way_is_gone_the_other_and_rupees_turn_round(
    one: dict[SignalName, Outcome], other: dict[SignalName, Outcome]
) -> None:
    there, back = differ(one, other, {}), differ(other, one, {})

    assert [each.name for each in there.pairs] == [each.name for each in back.pairs]
    assert there.count(Change.SIGNAL_NEW) == back.count(Change.SIGNAL_GONE)
    assert there.after.net - there.before.net == back.before.net - back.after.net
    assert there.same + len(there.pairs) == len(one.keys() | other.keys())


@given(sides(), sides(), st.data())
def test_what_nobody_was_asked_counts_on_neither_side(
    one: dict[SignalName, Outcome], other: dict[SignalName, Outcome], data: st.DataObject
) -> None:
    silent = data.draw(st.sets(st.sampled_from(sorted(other)), max_size=3)) if other else set()
    unknown = {
        name: Outcome(each.signal, None, {}, {}) if name in silent else each
        for name, each in other.items()
    }

    found: Difference = differ(one, unknown, {})

    assert found.unasked == found.count(Change.NOT_ASKED) == len(silent)
    assert found.before.signals == len(one.keys() - silent)
    assert found.after.signals == len(other.keys() - silent)


# What must be asked anew

PRICE = TokenPrice(Paise(1_000_000), Paise(4_000_000))


def a_question(agent: Agent = Agent.TECHNICAL, rule: str = "ema_cross") -> Question:
    return Question(agent, a_signal(rule=rule).id, MOMENT, "{}")


def judged(*unanswered: Question) -> Judged:
    return Judged(a_signal(), a_decision(), unanswered)


def test_the_bill_counts_what_is_known_and_bounds_what_follows() -> None:
    open_ = judged(a_question(), a_question(Agent.SENTIMENT))

    bill = bill_of([judged(), open_, judged()], (), model="m", price=PRICE, thoughts=0)
    free = bill_of([open_], (), model="m", price=None, thoughts=0)

    assert (bill.now, bill.later) == (2, 1 + 3)
    assert bill.most is not None
    assert bill.most > 0
    assert bill_sentence(free).endswith("price unknown")
    assert bill_of([judged()], (), model="m", price=PRICE, thoughts=0).questions == 0


def test_the_price_of_a_model_is_known_where_it_is_set() -> None:
    settings = Settings(
        _env_file=None,
        ats_small_model="gpt-4o-mini",
        ats_model="http://10.0.0.1/v1#mine",
        ats_model_price_rupees="1,2",
    )

    def price(line: str) -> TokenPrice | None:
        return AskedModel.of(settings, line).price(settings)

    assert price("mine") == TokenPrice(Paise(100), Paise(200))
    assert price("gpt-4o-mini") == price("openai:gpt-4o-mini") is not None
    assert price("https://elsewhere.example/v1#unheard-of") is None
    with pytest.raises(Misconfigured, match="did you mean groq"):
        price("grok:llama")


class Model:
    """Answers as told, one outcome after another."""

    name = "m"

    def __init__(self, *made: Completion) -> None:
        self.made = list(made)

    async def complete(self, *_: object) -> Completion:
        return self.made.pop(0)


def answered(tokens: int = 100) -> Completion:
    return Completion(CallOutcome.OK, "{}", model="m", input_tokens=tokens, output_tokens=tokens)


async def no_sleep(_: float) -> None: ...


def an_asker(path: FilePath, bill: Bill, *made: Completion) -> Asker:
    kept = KeptAnswers.read(path, "m")
    return Asker(Model(*made), bill, kept, PRICE, 0, lambda: 0.0, no_sleep)


async def test_asking_ends_at_the_number_and_at_the_price_that_were_agreed_to(
    tmp_path: FilePath,
) -> None:
    one, two = a_question(), a_question(rule="other")
    counted = an_asker(tmp_path / "a", Bill("m", 1, 0, Paise(10**6)), answered(), answered())
    priced = an_asker(tmp_path / "b", Bill("m", 2, 0, Paise(1)), answered())

    assert await counted.ask(one) is not None
    assert await counted.ask(two) is None
    assert await priced.ask(one) is None
    assert (counted.asked, priced.asked) == (1, 0)
    assert counted.ended
    assert priced.ended


async def test_a_dropped_connection_is_tried_again_and_a_refused_request_ends_it(
    tmp_path: FilePath,
) -> None:
    dropped = Completion(CallOutcome.TRANSPORT, model="m")
    refused = Completion(CallOutcome.REJECTED, detail="no such model", model="m")
    asker = an_asker(tmp_path / "a", Bill("m", 5, 0, Paise(10**6)), dropped, answered(), refused)

    assert await asker.ask(a_question()) is not None
    assert await asker.ask(a_question(rule="other")) is None
    assert "no such model" in asker.ended
    assert await asker.ask(a_question(rule="third")) is None


def test_kept_answers_survive_a_line_that_a_crash_cut_off(tmp_path: FilePath) -> None:
    path, questions = tmp_path / "answers.jsonl", [a_question(), a_question(rule="other")]
    calls = [call_of(each, answered(), Paise(1), 0.0) for each in questions]
    kept = KeptAnswers.read(path, "m")
    kept.keep(calls[0])
    with path.open("ab") as file:
        file.write(b'{"asked": "m", "call": {')

    KeptAnswers.read(path, "m").keep(calls[1])

    read = KeptAnswers.read(path, "m")
    assert [read.calls.recall(each) for each in questions] == calls
    assert KeptAnswers.read(path, "another").calls.recall(questions[0]) is None
    assert path.stat().st_mode & 0o077 == 0


def test_another_models_recorded_answer_does_not_count_for_the_one_asked() -> None:
    question = a_question()
    call = call_of(question, answered(), Paise(0), 0.0)
    recorded = LlmCallCache([call.model_copy(update={"model": "m-2026-01-01"})])

    assert KnownAnswers(recorded).recall(question)
    assert KnownAnswers(recorded, model="m").recall(question)
    assert KnownAnswers(recorded, model="n").recall(question) is None
    assert not is_of("m", call.model_copy(update={"model": "m-mini"}))


def test_a_changed_prompt_is_another_question() -> None:
    spec = replace(SHIPPED.specs[Agent.TECHNICAL], instructions="Other.")
    told = type(SHIPPED).of({**SHIPPED.specs, Agent.TECHNICAL: spec})

    assert replace(a_question(), told=told).id() != a_question().id()
