"""A recorded morning of three shares and two users: what each topic holds, made by the cores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from uuid import UUID

import orjson

from agents.app import AgentOptions
from agents.deadline import Deadline
from agents.journal import LlmCallCache, Question, call_of
from agents.news import NoNews
from agents.prompts import SHIPPED, Agent, PromptSet
from agents.recorded_news import NewsCache
from agents.replies import Completion
from ats.services.llm import endpoints_of, options_of, prices_of, scout_options_of
from ats.services.manifests.committee import agent_inputs
from ats.services.manifests.market import engine_inputs
from ats.services.manifests.orders import order_inputs
from ats.services.streams import computed_under
from ats.settings import Settings
from audit.replay.answers import AgentsAsSet
from audit.replay.orders import PLATFORM
from audit.replay.recorded import span_of
from audit.replay.scans import Scans
from audit.whatif.decisions import Judged, Told, judge_all, scans_under
from audit.whatif.kept import KnownAnswers
from audit.whatif.setup import Setup
from bus.records import Output, message_output
from dhan.instruments import Master
from executors.fanout import fan_out_of
from executors.modes import Mode, validate_mode
from executors.risk.sizing import plan
from executors.risk.square_off import SquareOff
from schemas.calendar import EVERY_DAY
from schemas.codec import decode
from schemas.ids import InstrumentId, Segment, UserId, derive, scan_id
from schemas.manifest import Inputs, contents_of, manifest_of
from schemas.market import Action, Direction, Instrument, ScanResult
from schemas.messages import (
    CallOutcome,
    LlmCall,
    OrderIntent,
    Scan,
    ScanEntry,
    Signal,
)
from schemas.topics import (
    DECISIONS,
    EXECUTIONS,
    FANOUTS,
    LLM,
    MANIFEST,
    MANIFEST_CONTENTS,
    ORDERS,
    SCANS,
    SIGNALS,
)
from schemas.units import Paise, Quantity, UtcNs
from simulator.llm.answers import answer
from streams.service import engine_service
from tests.audit.test_rejudge import told as outcome_told
from tests.audit.test_replay_command import DAY, Tape
from tests.executors.factories import the_situation_for

MODEL = "scripted-1"
SHARES = {2885: "RELIANCE", 1594: "INFY", 1333: "HDFCBANK"}
INSTRUMENTS = {
    InstrumentId(Segment.NSE_EQ, number): Instrument(
        InstrumentId(Segment.NSE_EQ, number), name, name, "EQUITY", Quantity(1), Paise(5)
    )
    for number, name in SHARES.items()
}
USERS = tuple(UserId(UUID(int=n)) for n in (1, 2))
SETTINGS = Settings(
    _env_file=None, ats_model=MODEL, ats_small_model=MODEL, openai_api_key="k",
    ats_clock="market", ats_calendar="every-day", ats_trading_date=DAY,
    ats_model_price_rupees="100,400", ats_small_model_price_rupees="100,400",
)  # fmt: skip


FEATURES = {
    "return_5d": 0.01, "return_20d": 0.05, "rsi_14": 55.0, "atr_14": 0.02, "volume_ratio": 1.1,
    "from_high_20d": -0.01, "from_low_20d": 0.06, "ema_trend": 0.02,
}  # fmt: skip


class ScriptedModel:
    """Thinks as the demo's model does; the Commander of a changed prompt holds.

    Attributes:
        asked: Questions in the order asked.
    """

    name = MODEL

    def __init__(self, prompts: PromptSet = SHIPPED) -> None:
        self.asked: list[str] = []
        self.prompts = prompts

    async def complete(
        self,
        agent: Agent,
        prompt: str,
        deadline: Deadline,  # noqa: ARG002
        run_id: str,  # noqa: ARG002
        on_sent: Callable[[], None],  # noqa: ARG002
    ) -> Completion:
        self.asked.append(prompt)
        spec = self.prompts.specs[agent]
        thought = answer(orjson.loads(prompt), spec.answer.model_json_schema())
        if "hold" in spec.instructions.lower()[:5]:
            thought |= {"action": "HOLD", "stop": 0, "target": 0, "citations": []}
        text = orjson.dumps(thought).decode()
        return Completion(CallOutcome.OK, text, model=MODEL, input_tokens=900, output_tokens=90)


@dataclass
class Recorder:
    """Asks the scripted model; `calls` are what would stand on `ats.llm`."""

    model: ScriptedModel = field(default_factory=ScriptedModel)
    calls: list[LlmCall] = field(default_factory=list)

    async def ask(self, question: Question) -> LlmCall:
        made = await self.model.complete(
            question.agent, question.prompt, Deadline(1), "", lambda: None
        )
        call = call_of(question, made, Paise(1), 0.0)
        self.calls.append(call)
        return call


def a_setup() -> Setup:
    computed = computed_under(SETTINGS, EVERY_DAY)
    engine = engine_service(computed.rule_set.rules, None, computed.config)
    options = AgentOptions(session=EVERY_DAY.session)
    return Setup(engine, AgentsAsSet(options), instruments=INSTRUMENTS)


def a_scan() -> Scan:
    """All three on the list, leaning upwards."""
    entries = tuple(
        ScanEntry(
            scan_id=scan_id(DAY, each), instrument=each, symbol=one.symbol, rank=rank,
            result=ScanResult.SHORTLISTED, initial_signal=Direction.BULLISH,
            features=dict(FEATURES),
        )
        for rank, (each, one) in enumerate(INSTRUMENTS.items(), 1)
    )  # fmt: skip
    opens = span_of(DAY, DAY).start
    return Scan(
        id=derive("scans", DAY.isoformat()), event_time=opens, trading_date=DAY,
        origin="rules", entries=entries,
    )  # fmt: skip


async def judged_day(signals: Iterable[Signal], recorder: Recorder) -> tuple[Scan, list[Judged]]:
    """The Scout's list, and what is decided."""
    listed, setup, known = Scans(), a_setup(), KnownAnswers(LlmCallCache())
    listed.add(a_scan(), UtcNs(0))
    told = Told(known, NewsCache(limit=None), asking=recorder)
    scans, _ = await scans_under(listed, setup, told)
    judged = await judge_all(list(signals), setup, replace(told, scans=scans), {})
    return scans.by_day[DAY][1], judged


def a_recorded_day(tape: Tape) -> list[Output]:
    """Ticks, signals, scan, answers, decisions, orders with outcomes, and the manifests."""
    signals = [decode(Signal, each.value) for each in tape.made if each.topic is SIGNALS]
    recorder = Recorder()
    scan, judged = asyncio.run(judged_day(signals, recorder))
    outputs = [*tape.ticks, *(each for each in tape.made if each.topic is SIGNALS)]
    outputs += [message_output(SCANS, scan, DAY.isoformat(), 0)]
    outputs += [message_output(LLM, each, str(each.id), 0) for each in recorder.calls]
    for each in judged:
        decision = each.decision
        outputs.append(message_output(DECISIONS, decision, str(decision.instrument), 0))
        if decision.action is Action.HOLD:
            continue
        key = str(decision.instrument)
        outputs.append(message_output(FANOUTS, fan_out_of(decision, len(USERS), ()), key, 0))
        for user in USERS:
            intent = plan(decision, user, INSTRUMENTS[decision.instrument], PLATFORM)
            assert isinstance(intent, OrderIntent)
            situation = the_situation_for(intent, limits=PLATFORM)
            outputs.append(message_output(ORDERS, intent, str(user), 0))
            outputs.append(
                message_output(EXECUTIONS, outcome_told(intent, situation), str(user), 0)
            )
    return [*outputs, *manifests()]


def manifests() -> list[Output]:
    """Of the engine, the agents and the order workers."""
    endpoints = endpoints_of(SETTINGS)
    agents = agent_inputs(
        SETTINGS, endpoints=endpoints, prices=prices_of(SETTINGS, endpoints), news=NoNews(),
        options=options_of(SETTINGS), scout=scout_options_of(SETTINGS), calendar=EVERY_DAY,
        symbols=(),
    )  # fmt: skip
    master = Master(INSTRUMENTS, {}, ())
    orders = order_inputs(
        SETTINGS, rules=validate_mode(Mode.PAPER, SETTINGS.dhan_order_url, "", ()),
        limits=PLATFORM, square_off=SquareOff(), calendar=EVERY_DAY, master=master,
    )  # fmt: skip
    inputs: dict[str, Inputs] = {
        "streams": engine_inputs(*computed_under(SETTINGS, EVERY_DAY)),
        "agents": agents,
        "executors": orders,
    }
    found = list[Output]()
    for service, given in inputs.items():
        manifest = manifest_of(service, given, span_of(DAY, DAY).start)
        found.append(message_output(MANIFEST, manifest, service, 0))
        found += [
            message_output(MANIFEST_CONTENTS, each, each.digest, 0)
            for each in contents_of(manifest, given)
        ]
    return found
