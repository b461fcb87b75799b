from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from agents import llm_calls
from agents.answers import CommanderAnswer, TechnicalAnswer, is_clean, read_answer
from agents.deadline import Deadline
from agents.journal import (
    MAX_REQUEST_BYTES,
    LiveJournal,
    LlmCallCache,
    ModelTier,
    Question,
    ReplayJournal,
    Unaskable,
)
from agents.llm_calls import Failure, LlmAnswer, LlmFailure, validate
from agents.model import Model
from agents.prompts import PROMPT_VERSION, Agent, technical_message
from agents.providers import Endpoint, SchemaMode
from agents.replies import MAX_OUTPUT_TOKENS, Completion, completion_of, retry_after
from agents.spend import FREE, SpendLedger, TokenPrice
from agents.wire import open_model_client
from schemas.codec import decode, encode
from schemas.messages import CallOutcome, LlmCall
from schemas.units import Paise
from tests.agents.factories import AS_OF, DAY, Topic, a_journal, a_signal, an_entry
from tests.agents.provider import Provider, first_time, hangs, says, status, wholly
from tests.agents.quirks import twice
from tests.agents.raw_endpoint import RawEndpoint, turns

DEAR = TokenPrice(Paise.from_rupees(1_000), Paise.from_rupees(4_000))
USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")


def a_question() -> Question:
    signal = a_signal()
    return Question(Agent.TECHNICAL, signal.id, AS_OF, technical_message(signal, an_entry(), {}))


class Instant:
    """A model without a network, for what concerns the journal alone."""

    def __init__(self, name: str = "instant", tokens: int = 1_000) -> None:
        self.name = name
        self.asked = 0
        self._tokens = tokens

    async def complete(
        self,
        agent: Agent,  # noqa: ARG002
        prompt: str,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
        run_id: str,  # noqa: ARG002
        on_sent: Callable[[], None],  # noqa: ARG002
    ) -> Completion:
        self.asked += 1
        await asyncio.sleep(0)
        text = (
            '{"symbol":"RELIANCE","score":1,"confidence":1,"summary":"s",'
            '"setup":"weak","key_levels":[],"invalidation":"none"}'
        )
        return Completion(CallOutcome.OK, text, "", self.name, self._tokens, 0)


async def asked(
    journal: LiveJournal, question: Question | None = None
) -> LlmAnswer[TechnicalAnswer] | LlmFailure:
    return await llm_calls.call(
        journal, question or a_question(), TechnicalAnswer, "RELIANCE", Deadline.after(10)
    )


async def test_a_call_is_on_the_topic_before_its_answer_can_be_used(model: Model) -> None:
    order: list[str] = []

    async def publish(call: LlmCall) -> None:
        await asyncio.sleep(0.01)
        order.append("published")

    await asked(a_journal(model, Topic(), publish=publish))
    order.append("used")

    assert order == ["published", "used"]


async def test_an_answer_that_could_not_be_written_down_is_not_used(model: Model) -> None:
    async def publish(call: LlmCall) -> None:
        raise ConnectionError("no broker")

    cache = LlmCallCache()

    with pytest.raises(ConnectionError):
        await asked(a_journal(model, Topic(), publish=publish, cache=cache))
    assert cache.recall(a_question()) is None


async def test_a_recorded_call_tells_all_an_audit_needs(model: Model) -> None:
    topic, question = Topic(), a_question()

    await asked(a_journal(model, topic, tiers=[ModelTier(model, DEAR)]), question)

    (call,) = topic.calls
    assert call.id == question.id()
    assert call.request["user"] == question.prompt
    assert call.request["prompt_version"] == PROMPT_VERSION
    assert (call.model, call.outcome, call.input_tokens, call.output_tokens) == (
        "fake-1",
        CallOutcome.OK,
        400,
        60,
    )
    assert call.cost == 64  # 400 x 1000 rupees and 60 x 4000 rupees per million, in paise
    assert call.causation_id == a_signal().id
    assert decode(LlmCall, encode(call)) == call


async def test_a_cancelled_call_is_written_down_and_asked_again_the_next_time(
    provider: Provider, model: Model
) -> None:
    asked_for = asyncio.Event()

    async def hangs_once_there(request: web.Request, good: str) -> web.StreamResponse:
        asked_for.set()
        return await hangs(request, good)

    provider.misbehave["technical"] = hangs_once_there
    topic, cache = Topic(), LlmCallCache()
    journal = a_journal(model, topic, cache=cache)
    task = asyncio.create_task(asked(journal))
    await asked_for.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert [call.outcome for call in topic.calls] == [CallOutcome.CANCELLED]
    provider.misbehave.clear()
    assert isinstance(await asked(journal), LlmAnswer)


class Unanswered:
    """A model whose request leaves, or stays here for want of a connection; no answer comes."""

    name = "unanswered"

    def __init__(self, *, leaves: bool) -> None:
        self.asked = asyncio.Event()
        self._leaves = leaves

    async def complete(
        self,
        agent: Agent,  # noqa: ARG002
        prompt: str,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
        run_id: str,  # noqa: ARG002
        on_sent: Callable[[], None],
    ) -> Completion:
        if self._leaves:
            on_sent()
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("stopping", [True, False])
@pytest.mark.parametrize("leaves", [True, False])
async def test_a_cancelled_call_costs_the_most_it_could_if_its_request_left_and_else_nothing(
    leaves: bool, stopping: bool
) -> None:
    topic, model, deadline = Topic(), Unanswered(leaves=leaves), Deadline.after(10)
    ledger = SpendLedger(Paise.from_rupees(100))
    journal = a_journal(model, topic, tiers=[ModelTier(model, DEAR)], ledger=ledger)
    calling = asyncio.create_task(journal.call(a_question(), deadline))
    await model.asked.wait()

    if stopping:
        calling.cancel()
    else:
        deadline.call_off()
    await asyncio.gather(calling, return_exceptions=True)

    [call] = topic.calls
    assert (call.outcome, call.sent) == (CallOutcome.CANCELLED, leaves)
    assert (call.cost > 0) is leaves


async def test_a_call_without_a_connection_is_recorded_as_not_sent() -> None:
    topic = Topic()
    async with open_model_client() as http:
        nobody = Model(Endpoint("http://127.0.0.1:9/v1", "fake-1", "k"), http)

        await a_journal(nobody, topic).call(a_question(), Deadline.after(10))

    assert [(call.outcome, call.sent) for call in topic.calls] == [(CallOutcome.TRANSPORT, False)]


async def test_a_question_has_one_name_and_any_change_of_what_is_asked_changes_it() -> None:
    question = a_question()
    other_signal = a_signal(rule="supertrend_flip")
    others = [
        Question(Agent.SENTIMENT, question.subject, AS_OF, question.prompt),
        Question(Agent.TECHNICAL, other_signal.id, AS_OF, question.prompt),
        Question(Agent.TECHNICAL, question.subject, AS_OF, question.prompt + " "),
        Question(Agent.TECHNICAL, question.subject, AS_OF, question.prompt, attempt=2),
    ]

    assert a_question().id() == question.id()
    assert len({question.id(), *(other.id() for other in others)}) == 5


async def test_the_small_model_answers_when_the_large_one_has_used_its_share_and_then_nobody() -> (
    None
):
    large, small = Instant("large"), Instant("small")
    # a large call is reserved at 4, a small one at 2 rupees, give or take
    ledger = SpendLedger(Paise.from_rupees(30))
    topic = Topic()
    tiers = [
        ModelTier(large, DEAR, 50),
        ModelTier(small, TokenPrice(Paise(50_000), Paise(200_000))),
    ]
    journal = a_journal(large, topic, tiers=tiers, ledger=ledger)
    signals = [a_signal(rule=f"rule{n}") for n in range(80)]

    outcomes = [
        await asked(journal, Question(Agent.TECHNICAL, s.id, AS_OF, a_question().prompt))
        for s in signals
    ]

    models = [call.model for call in topic.calls]
    assert models == sorted(models, key=["large", "small", ""].index)
    assert {"large", "small", ""} == set(models)
    assert topic.calls[-1].outcome is CallOutcome.BUDGET
    assert isinstance(outcomes[-1], LlmFailure)
    assert outcomes[-1].reason is Failure.BUDGET
    assert ledger.spent(DAY) == sum(call.cost for call in topic.calls)


async def test_calls_under_way_together_cannot_overspend() -> None:
    model, ledger = Instant("large", tokens=2_000), SpendLedger(Paise.from_rupees(20))
    journal = a_journal(model, Topic(), tiers=[ModelTier(model, DEAR)], ledger=ledger)
    questions = [
        Question(Agent.TECHNICAL, a_signal(rule=f"rule{n}").id, AS_OF, a_question().prompt)
        for n in range(100)
    ]

    await asyncio.gather(*(asked(journal, question) for question in questions))

    assert 0 < ledger.spent(DAY) <= Paise.from_rupees(20)


async def test_a_new_day_has_a_new_budget() -> None:
    ledger = SpendLedger(Paise(100))
    ledger.spend(DAY, Paise(100))

    assert not ledger.reserve(DAY, Paise(1))
    assert ledger.reserve(date(2025, 6, 3), Paise(100))


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=40))
def test_what_is_spent_stays_below_the_cap_as_long_as_calls_cost_no_more_than_reserved(
    calls: list[tuple[int, int]],
) -> None:
    ledger = SpendLedger(Paise(1_000))

    for most, cost in calls:
        if ledger.reserve(DAY, Paise(most)):
            ledger.release(DAY, Paise(most))
            ledger.spend(DAY, Paise(min(cost, most)))

    assert ledger.spent(DAY) <= 1_000


def test_a_cost_is_rounded_up_to_the_paisa() -> None:
    assert TokenPrice(Paise(1), Paise(1)).cost(1, 1) == 1
    assert TokenPrice(Paise(1_000_000), Paise(0)).cost(3, 9) == 3
    assert FREE.max_cost(10**6, 10**6) == 0


async def test_a_book_forgets_the_oldest_calls_and_never_answers_another_question(
    model: Model,
) -> None:
    topic = Topic()
    for n in range(3):
        question = Question(
            Agent.TECHNICAL, a_signal(rule=f"rule{n}").id, AS_OF, a_question().prompt
        )
        await asked(a_journal(model, topic), question)

    cache = LlmCallCache(topic.calls, limit=2)
    forged = LlmCallCache([topic.calls[0].model_copy(update={"request": {"user": "other"}})])

    known = [
        cache.recall(
            Question(Agent.TECHNICAL, a_signal(rule=f"rule{n}").id, AS_OF, a_question().prompt)
        )
        for n in range(3)
    ]
    assert [call is not None for call in known] == [False, True, True]
    assert (
        forged.recall(
            Question(Agent.TECHNICAL, a_signal(rule="rule0").id, AS_OF, a_question().prompt)
        )
        is None
    )


async def test_every_outcome_of_a_call_has_a_reason(model: Model) -> None:
    topic = Topic()
    await asked(a_journal(model, topic))

    for outcome in CallOutcome:
        judged = validate(
            topic.calls[0].model_copy(update={"outcome": outcome}), TechnicalAnswer, "RELIANCE"
        )
        assert isinstance(judged, LlmAnswer) is (outcome is CallOutcome.OK)


async def test_no_line_of_agno_or_its_provider_reaches_a_log(
    provider: Provider,
    model: Model,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        for fault in (status(401), status(500), says("prose")):
            provider.misbehave["technical"] = fault
            await asked(a_journal(model, Topic()))

    printed = "".join(capfd.readouterr())
    assert not [record for record in caplog.records if record.name.startswith("agno")]
    assert "sk-secret" not in caplog.text + printed
    assert printed == ""


async def test_a_provider_without_strict_schemas_is_told_the_schema_in_words(
    provider: Provider,
) -> None:
    async with open_model_client() as http:
        plain = Model(Endpoint(provider.base_url, "fake-1", "k", SchemaMode.JSON_OBJECT), http)
        answer = await asked(a_journal(plain, Topic()))

    assert isinstance(answer, LlmAnswer)
    (request,) = provider.requests
    assert request["response_format"] == {"type": "json_object"}
    assert '"additionalProperties": false' in request["messages"][0]["content"]


async def test_a_provider_that_knows_no_formats_gets_none_and_the_schema_in_words(
    provider: Provider,
) -> None:
    async with open_model_client() as http:
        plain = Model(Endpoint(provider.base_url, "fake-1", "k", SchemaMode.PLAIN), http)
        answer = await asked(a_journal(plain, Topic()))

    assert isinstance(answer, LlmAnswer)
    (request,) = provider.requests
    assert "response_format" not in request
    assert '"additionalProperties": false' in request["messages"][0]["content"]


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("gpt-4o", {"max_tokens": 800, "temperature": 0.0, "seed": 7}),
        ("gpt-5-mini", {"max_completion_tokens": 4_800, "seed": 7}),
        ("openai/GPT-5.1", {"max_completion_tokens": 4_800, "seed": 7}),
        ("o4-mini", {"max_completion_tokens": 4_800, "seed": 7}),
        ("gemini-2.5-flash", {"max_tokens": 4_800, "temperature": 0.0}),
    ],
)
async def test_a_model_is_sent_the_parameters_it_accepts(
    provider: Provider, name: str, limits: dict[str, int]
) -> None:
    async with open_model_client() as http:
        answer = await asked(
            a_journal(Model(Endpoint(provider.base_url, name, "k"), http), Topic())
        )

    assert isinstance(answer, LlmAnswer)
    (request,) = provider.requests
    sent = {"max_tokens", "max_completion_tokens", "temperature", "seed"} & request.keys()
    assert {field: request[field] for field in sent} == limits


async def test_what_a_model_may_think_is_reserved_too() -> None:
    price, model = TokenPrice(Paise(0), Paise.from_rupees(1_000)), Instant()
    # 800 tokens of an answer cost 0.80, with 4,000 of thoughts 4.80
    ledger = SpendLedger(Paise.from_rupees(4))
    topic = Topic()

    await asked(
        a_journal(model, topic, tiers=[ModelTier(model, price, thoughts=4_000)], ledger=ledger)
    )

    assert topic.calls[0].outcome is CallOutcome.BUDGET


class Naps:
    """Sleeps in no time, and remembers how long."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)


@pytest.mark.parametrize(
    ("headers", "nap"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"Retry_After": "0"}, 0.25),
        ({}, 0.25),
    ],
)
async def test_a_busy_provider_is_asked_again_when_it_said(
    provider: Provider, model: Model, headers: dict[str, str], nap: float
) -> None:
    provider.misbehave["technical"] = first_time(status(429, **headers))
    naps = Naps()

    answer = await asked(a_journal(model, Topic(), sleep=naps))

    assert isinstance(answer, LlmAnswer)
    assert naps.taken == [nap]


async def test_a_provider_that_is_busy_beyond_the_deadline_is_not_asked_again_and_a_replay_knows(
    provider: Provider, model: Model
) -> None:
    provider.misbehave["technical"] = first_time(status(503, Retry_After="60"))
    topic, naps = Topic(), Naps()

    answer = await asked(a_journal(model, topic, sleep=naps))
    replayed = await llm_calls.call(
        ReplayJournal(LlmCallCache(topic.calls)),
        a_question(),
        TechnicalAnswer,
        "RELIANCE",
        Deadline.after(10),
    )

    assert answer == replayed == LlmFailure(Failure.TRANSPORT, topic.calls[0])
    assert (len(provider.requests), naps.taken) == (1, [])


async def test_a_used_up_account_is_asked_once(provider: Provider, model: Model) -> None:
    provider.misbehave["technical"] = status(429, '{"error": {"type": "insufficient_quota"}}')
    topic = Topic()

    await asked(a_journal(model, topic))

    assert len(provider.requests) == 1
    assert topic.calls[0].detail == "HTTP 429 insufficient_quota"


@pytest.mark.parametrize("claim", [2**70, -1, "many", True, None, 1e300, [1]])
async def test_a_call_can_be_written_down_whatever_it_claims_to_have_used(
    provider: Provider, model: Model, claim: object
) -> None:
    provider.misbehave["technical"] = wholly(
        lambda whole: whole.update(usage=dict.fromkeys(USAGE, claim))
    )
    topic, ledger = Topic(), SpendLedger(Paise.from_rupees(100_000))

    answer = await asked(a_journal(model, topic, tiers=[ModelTier(model, DEAR)], ledger=ledger))

    assert isinstance(answer, LlmAnswer)
    (call,) = topic.calls
    assert decode(LlmCall, encode(call)) == call
    assert 0 <= call.input_tokens < 10_000
    assert 0 <= call.output_tokens <= MAX_OUTPUT_TOKENS


async def test_what_comes_too_much_is_not_the_answer_to_the_next_question() -> None:
    async with (
        RawEndpoint() as endpoint,
        httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as http,
    ):
        model = Model(Endpoint(endpoint.base_url, "fake-1", "k"), http)
        endpoint.answers["RELIANCE"] = twice  # the score of this one is 40
        first = await asked(a_journal(model, Topic()))
        endpoint.answers["RELIANCE"] = turns(lambda good: good.replace(b"40", b"77"))

        second = await asked(a_journal(model, Topic()), replace(a_question(), attempt=2))

    assert isinstance(first, LlmAnswer)
    assert isinstance(second, LlmAnswer)
    assert (first.value.score, second.value.score) == (40, 77)


async def test_the_name_a_model_gives_itself_can_be_written_down(
    provider: Provider, model: Model
) -> None:
    provider.misbehave["technical"] = wholly(lambda whole: whole.update(model="m\x00\x1b" * 500))
    topic = Topic()

    assert isinstance(await asked(a_journal(model, topic)), LlmAnswer)
    assert topic.calls[0].model.isprintable()
    assert len(topic.calls[0].model) <= 100


async def test_a_stale_subject_is_asked_about_nobody_and_the_record_says_so(
    provider: Provider, model: Model
) -> None:
    topic = Topic()

    answer = await asked(
        a_journal(model, topic, tiers=[ModelTier(model, DEAR)], stale=lambda: "540 s old")
    )

    (call,) = topic.calls
    assert answer == LlmFailure(Failure.STALE, call)
    assert (call.outcome, call.detail, call.cost) == (CallOutcome.STALE, "540 s old", 0)
    assert provider.requests == []


async def test_an_answer_that_is_written_down_does_not_grow_stale(model: Model) -> None:
    cache, topic = LlmCallCache(), Topic()
    lived = await asked(a_journal(model, topic, cache=cache))

    again = await asked(a_journal(model, topic, cache=cache, stale=lambda: "540 s old"))

    assert again == lived
    assert len(topic.calls) == 1


async def test_a_question_too_long_for_its_record_is_not_asked(
    provider: Provider, model: Model
) -> None:
    long = Question(Agent.TECHNICAL, a_signal().id, AS_OF, "x" * MAX_REQUEST_BYTES)

    with pytest.raises(Unaskable):
        await asked(a_journal(model, Topic()), long)
    assert provider.requests == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        (
            {
                "retry-after": "Sun, 29 Nov 2026 03:00:30 GMT",
                "date": "Sun, 29 Nov 2026 03:00:00 GMT",
            },
            30.0,
        ),
        (
            {
                "retry-after": "Sun, 29 Nov 2026 03:00:00 GMT",
                "date": "Sun, 29 Nov 2026 03:00:30 GMT",
            },
            0.0,
        ),
        ({"retry-after": "Sun, 29 Nov 2026 03:00:30 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "9" * 5_000}, None),
        ({"retry-after": "soon", "date": "now"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_the_headers_alone(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


@given(st.integers(100, 599), st.binary(max_size=300))
def test_any_bytes_are_a_completion_that_can_be_written_down(code: int, body: bytes) -> None:
    found = completion_of(code, {}, body, asked_bytes=10, model="m")

    assert found.outcome is not CallOutcome.OK
    assert found.detail.isprintable()


def test_a_key_is_not_shown_with_its_endpoint() -> None:
    assert "sk-secret" not in repr(Endpoint("http://127.0.0.1/v1", "m", "sk-secret"))


@given(st.text())
def test_any_text_is_an_answer_or_none(text: str) -> None:
    assert read_answer(CommanderAnswer, text) is None


@given(st.text(min_size=1, max_size=20), st.integers(0, 100))
def test_an_answer_of_the_shape_is_read_as_it_stands(reason: str, confidence: int) -> None:
    answer = CommanderAnswer.model_validate_json(
        f'{{"symbol":"X","action":"SELL","confidence":{confidence},"stop":2,"target":1,'
        '"horizon_minutes":0,"citations":[],"reasoning":"r"}'
    ).model_copy(update={"reasoning": reason})

    assert read_answer(CommanderAnswer, answer.model_dump_json()) == (
        answer if is_clean(reason) and reason.strip() else None
    )
