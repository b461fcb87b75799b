"""A day of signals with odd answers among the good ones, replayed with the endpoint off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
import pytest_asyncio

from agents.app import outputs_of
from agents.committee import run_committee
from agents.deadline import Deadline
from agents.entries import Circumstances
from agents.journal import LlmCallCache, ModelTier
from agents.market import LiveMarket
from agents.model import Model
from agents.past import DecisionHistory
from agents.prompts import PROMPTS, Agent
from agents.providers import Endpoint
from agents.recorded_market import ContextCache, RecordedMarket
from agents.recorded_news import NewsCache, RecordedNews
from agents.wire import open_model_client
from audit.replay.answers import AgentsAsSet, Answered, Recorded, decide_again
from schemas.codec import decode, encode
from schemas.ids import InstrumentId, Segment
from schemas.inputs import NewsAnswer
from schemas.market import Action
from schemas.market_context import MarketContext
from schemas.messages import Decision, Scan, Signal
from schemas.units import Price, UtcNs
from tests.agents.bars import a_bar, values_of
from tests.agents.factories import AS_OF, FixedNews, Topic, a_journal, a_scan, a_signal, an_entry
from tests.agents.quirks import ODD
from tests.agents.raw_endpoint import RawEndpoint

NAMES = [name for at, name in enumerate(ODD) if at % 6 == 0]
INSTRUMENTS = {f"SYM{n:03}": InstrumentId(Segment.NSE_EQ, 9_000 + n) for n in range(len(NAMES))}


@dataclass
class Day:
    """What was decided, and all that is written down of it."""

    signals: list[Signal]
    scan: Scan
    topic: Topic
    news: list[NewsAnswer]
    outputs: dict[int, tuple[bytes, ...]]
    markets: list[MarketContext] = field(default_factory=list)

    async def again(self) -> list[tuple[Answered, Decision]]:
        told, past, found = (
            Recorded(LlmCallCache(self.topic.calls), NewsCache()),
            DecisionHistory(),
            [],
        )
        for answer in self.news:
            told.news.add(answer)
        for context in self.markets:
            told.market.add(context)
        for at, signal in enumerate(self.signals):
            made = await decide_again(
                signal, self.scan, past.before(at, signal), told, AgentsAsSet()
            )
            past.note(at, made[1])
            found.append(made)
        return found


def the_signals() -> Iterator[Signal]:
    for minute in range(2):
        for instrument in INSTRUMENTS.values():
            yield a_signal(instrument, at=UtcNs(AS_OF + UtcNs.minutes(minute)))


def the_market() -> LiveMarket:
    market = LiveMarket(lambda _day, _segment: None)
    for instrument in INSTRUMENTS.values():
        for minute in range(25, 33):
            bar = a_bar(minute, 280_000 + minute * instrument.security_id, instrument=instrument)
            market.note_candle(bar)
            market.note_indicators(values_of(bar, atr_14=500.0))
    return market


@pytest_asyncio.fixture
async def day() -> Day:
    scan = a_scan(*(an_entry(instrument, symbol) for symbol, instrument in INSTRUMENTS.items()))
    lived = Day(list(the_signals()), scan, Topic(), [], {})
    past, cache = DecisionHistory(), LlmCallCache()

    async def note(answer: NewsAnswer) -> None:
        lived.news.append(answer)

    async def written(context: MarketContext) -> None:
        lived.markets.append(decode(MarketContext, encode(context)))

    async with RawEndpoint() as endpoint, open_model_client() as http:
        endpoint.answers = dict(zip(INSTRUMENTS, (ODD[name][0] for name in NAMES), strict=True))
        tiers = [
            ModelTier(Model(Endpoint(endpoint.base_url, name, "k"), http))
            for name in ("large", "small")
        ]

        async def decided(at: int, signal: Signal) -> Decision:
            result = await run_committee(
                signal,
                scan,
                news=RecordedNews(FixedNews(), NewsCache(), signal, note),
                market=RecordedMarket(the_market(), ContextCache(), written),
                journal=a_journal(tiers[0].model, lived.topic, tiers=tiers, cache=cache),
                deadline=Deadline.after(60),
                around=Circumstances(earlier=past.before(at, signal)),
            )
            lived.outputs[at] = tuple(each.value for each in outputs_of(result))
            return result.decision

        half = len(INSTRUMENTS)
        for start in (0, half):
            batch = list(enumerate(lived.signals))[start : start + half]
            made = await asyncio.gather(*(decided(at, signal) for at, signal in batch))
            for (at, _), decision in zip(batch, made, strict=True):
                past.note(at, decision)
    return lived


async def test_a_day_replays_byte_for_byte_with_the_endpoint_off(day: Day) -> None:
    again = await day.again()

    codes = {decision.reason_code for _, decision in again}
    assert {
        at: tuple(each.value for each in made.outputs) for at, (made, _) in enumerate(again)
    } == (day.outputs)
    assert codes >= {"decided", "cooldown", "transport", "rejected", "unclean", "schema"}


async def test_a_market_that_is_not_the_recorded_one_is_a_mismatch(day: Day) -> None:
    context = day.markets[0]
    changed = tuple(
        frame.model_copy(update={"close": tuple(Price(each + 100) for each in frame.close)})
        for frame in context.frames
    )
    day.markets[0] = context.model_copy(update={"frames": changed})

    again = await day.again()

    other = next(decision for _, decision in again if decision.signal_id == context.signal_id)
    assert (other.action, other.reason_code) == (Action.HOLD, "replay_mismatch")


async def test_one_changed_word_of_a_prompt_is_a_mismatch_that_names_its_agent_and_a_hold(
    day: Day,
) -> None:
    before = await day.again()

    for agent in (Agent.TECHNICAL, Agent.SENTIMENT, Agent.COMMANDER):
        spec = PROMPTS[agent]
        changed = spec.instructions.replace("Repeat `symbol` exactly", "Repeat `symbol` precisely")
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(PROMPTS, agent, replace(spec, instructions=changed))
            after = await day.again()

        pairs = zip(before, after, strict=True)
        were = [now for (_, then), now in pairs if then.reason_code == "decided"]
        assert changed != spec.instructions
        assert len(were) >= 5
        assert {decision.reason_code for _, decision in were} == {"replay_mismatch"}
        assert {decision.action for _, decision in were} == {Action.HOLD}
        assert {made.note for made, _ in were} == {
            f"no recorded answer to the question for {agent.value}, attempt 1"
        }
