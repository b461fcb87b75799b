"""The committee: from a signal to a decision.

Analysts side by side, then the Commander, all under one deadline. Models propose an action, a
confidence and words. Symbol, price, validity and ids come from the signal and the scan alone, and
an action that its own evidence speaks against becomes a HOLD (`agents.limits`). The bytes of
reports and decision are a function of signal, circumstances, scan, news, answers and limits: no
clock, no latency stands in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import orjson
import structlog

from agents import llm_calls
from agents.answers import (
    AnalystAnswer,
    CommanderAnswer,
    SentimentAnswer,
    TechnicalAnswer,
)
from agents.deadline import Deadline
from agents.decided import decision_of
from agents.entries import Circumstances, not_now, risk_budget
from agents.evidence import evidence_of, minutes_to_close, told_decisions
from agents.journal import Journal, Question
from agents.limits import Case, Limits, Objection, objection
from agents.llm_calls import Failure, LlmAnswer, LlmFailure
from agents.market import MarketSource, NoMarket
from agents.news import Headline, NewsSource, NotRecorded, bounded
from agents.opinions import report_data, unknown_headline, wrong_invalidation
from agents.prompts import (
    PROMPT_VERSION,
    Agent,
    Evidence,
    commander_message,
    sentiment_message,
    technical_message,
)
from agents.remedies import remedy_of
from schemas.errors import Misconfigured, TryLater
from schemas.ids import SignalId, report_id
from schemas.market import Action, AgentType, ScanResult
from schemas.messages import Decision, Origin, Report, Scan, ScanEntry, Signal
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

VALIDITY: Final = UtcNs.minutes(2)  # two 1-minute bars: after that the next signal knows better
NO_SCAN: Final = "no_scan"
NOT_SHORTLISTED: Final = "not_shortlisted"
UNSCANNED: Final = Objection(NO_SCAN, "No scan for this trading day.")
UNLISTED: Final = Objection(NOT_SHORTLISTED, "Not on today's short list.")
DECIDED: Final = "decided"
LIMITS: Final = Limits()
ALONE: Final = Circumstances()
NO_MARKET: Final = NoMarket()

T = TypeVar("T")
OpinionAnswer = TypeVar("OpinionAnswer", bound=AnalystAnswer)


@dataclass(frozen=True, slots=True)
class CommitteeResult:
    """What one signal came to: the reports of the analysts that answered, and always a decision."""

    reports: tuple[Report, ...]
    decision: Decision


@dataclass(frozen=True, slots=True)
class _Opinion(Generic[OpinionAnswer]):
    answer: OpinionAnswer
    model: str


async def run_committee(
    signal: Signal,
    scan: Scan | None,
    *,
    news: NewsSource,
    journal: Journal,
    deadline: Deadline,
    market: MarketSource = NO_MARKET,
    validity: UtcNs = VALIDITY,
    limits: Limits = LIMITS,
    around: Circumstances = ALONE,
) -> CommitteeResult:
    """Decide on `signal`; `scan` is the list of its trading day, if there is one.

    What speaks against any decision now (`agents.entries`) is a HOLD without a question. Whatever
    fails within is a HOLD.

    Raises:
        TryLater, Misconfigured: the journal could not be written, so nothing may be decided.
    """
    entry = _entry_of(signal, scan)
    if entry is None or entry.result is not ScanResult.SHORTLISTED:
        why = UNLISTED if scan else UNSCANNED
        return CommitteeResult((), _refused(signal, entry, why, validity))
    if now := not_now(signal, around, limits):
        return CommitteeResult((), _refused(signal, entry, now, validity))
    evidence = await _contained(signal, _evidence(signal, around, market))
    if isinstance(evidence, LlmFailure):
        failed = _failsafe(signal, entry, Agent.TECHNICAL, evidence, validity)
        return CommitteeResult((), failed)
    return await _consulted(
        signal,
        entry,
        evidence,
        risk_budget(signal, around, limits),
        news=news,
        journal=journal,
        deadline=deadline,
        validity=validity,
        limits=limits,
    )


async def _evidence(signal: Signal, around: Circumstances, market: MarketSource) -> Evidence:
    since = [each.event_time for each in told_decisions(signal, around)]
    return evidence_of(signal, around, await market.context(signal, since))


async def _consulted(
    signal: Signal,
    entry: ScanEntry,
    evidence: Evidence,
    risk: Evidence,
    *,
    news: NewsSource,
    journal: Journal,
    deadline: Deadline,
    validity: UtcNs,
    limits: Limits,
) -> CommitteeResult:
    both = deadline.apart()
    technical, sentiment = await asyncio.gather(
        _or_call_off(both, _contained(signal, _technical(signal, entry, evidence, journal, both))),
        _or_call_off(both, _contained(signal, _sentiment(signal, entry, news, journal, both))),
    )
    reports = tuple(
        _report(signal, entry, agent, opinion)
        for agent, opinion in ((AgentType.TECHNICAL, technical), (AgentType.SENTIMENT, sentiment))
        if isinstance(opinion, _Opinion)
    )
    if isinstance(technical, LlmFailure) or isinstance(sentiment, LlmFailure):
        agent, failed = _blamed(technical, sentiment)
        return CommitteeResult(reports, _failsafe(signal, entry, agent, failed, validity))
    answers = technical.answer, sentiment.answer
    message = commander_message(
        signal, entry, evidence, risk, technical=technical.answer, sentiment=sentiment.answer
    )
    command = await _contained(signal, _command(signal, entry, message, journal, deadline))
    if isinstance(command, LlmFailure):
        return CommitteeResult(
            reports, _failsafe(signal, entry, Agent.COMMANDER, command, validity)
        )
    left = minutes_to_close(evidence)
    case = Case(signal.direction, signal.price, answers, orjson.loads(message), left)
    if against := objection(command.value, case, limits):
        return CommitteeResult(reports, _overruled(signal, entry, command, against, validity))
    return CommitteeResult(reports, _decided(signal, entry, command, validity))


async def _or_call_off(both: Deadline, job: Awaitable[T | LlmFailure]) -> T | LlmFailure:
    """`job`; its failure calls the other one off, whose answer cannot matter any more."""
    done = await job
    if isinstance(done, LlmFailure):
        both.call_off()
    return done


def _blamed(
    technical: _Opinion[TechnicalAnswer] | LlmFailure,
    sentiment: _Opinion[SentimentAnswer] | LlmFailure,
) -> tuple[Agent, LlmFailure]:
    """Whose failure the decision names: one that is recorded, as a replay finds no other.

    Who was called off has no recorded answer.
    """
    failures = [
        (agent, each)
        for agent, each in ((Agent.TECHNICAL, technical), (Agent.SENTIMENT, sentiment))
        if isinstance(each, LlmFailure)
    ]
    real = [each for each in failures if each[1].reason is not Failure.REPLAY_MISMATCH]
    return (real or failures)[0]


async def _contained(signal: Signal, job: Awaitable[T]) -> T | LlmFailure:
    """`job`, whose failure must not stop what else this process does.

    Only a journal that is away passes through.
    """
    try:
        return await job
    except (TryLater, Misconfigured):
        raise
    except Exception as error:
        log.exception("committee_failed", signal=str(signal.id))
        return LlmFailure(Failure.INTERNAL, error=type(error).__name__)


async def _command(
    signal: Signal,
    entry: ScanEntry,
    message: str,
    journal: Journal,
    deadline: Deadline,
) -> LlmAnswer[CommanderAnswer] | LlmFailure:
    return await llm_calls.call(
        journal,
        _question(Agent.COMMANDER, signal, message),
        CommanderAnswer,
        entry.symbol,
        deadline,
    )


async def _technical(
    signal: Signal, entry: ScanEntry, evidence: Evidence, journal: Journal, deadline: Deadline
) -> _Opinion[TechnicalAnswer] | LlmFailure:
    question = _question(Agent.TECHNICAL, signal, technical_message(signal, entry, evidence))
    answer = await llm_calls.call(journal, question, TechnicalAnswer, entry.symbol, deadline)
    if isinstance(answer, LlmFailure):
        return answer
    if wrong_invalidation(answer.value, evidence):
        return LlmFailure(Failure.WRONG_INVALIDATION, answer.call)
    return _Opinion(answer.value, answer.call.model)


async def _sentiment(
    signal: Signal, entry: ScanEntry, news: NewsSource, journal: Journal, deadline: Deadline
) -> _Opinion[SentimentAnswer] | LlmFailure:
    headlines = await _headlines(signal, entry, news, deadline)
    if headlines is None:
        return LlmFailure(Failure.NEWS)
    if not headlines:
        return _Opinion(
            SentimentAnswer(
                symbol=entry.symbol, score=0, confidence=0, summary="No headlines.", counted=()
            ),
            "rules",
        )
    question = _question(Agent.SENTIMENT, signal, sentiment_message(signal, entry, headlines))
    answer = await llm_calls.call(journal, question, SentimentAnswer, entry.symbol, deadline)
    if isinstance(answer, LlmFailure):
        return answer
    if unknown_headline(answer.value, len(headlines)):
        return LlmFailure(Failure.UNKNOWN_HEADLINE, answer.call)
    return _Opinion(answer.value, answer.call.model)


async def _headlines(
    signal: Signal, entry: ScanEntry, news: NewsSource, deadline: Deadline
) -> tuple[Headline, ...] | None:
    try:
        async with asyncio.timeout(deadline.remaining()):
            return bounded(await news.headlines(entry.symbol, signal.event_time), signal.event_time)
    except NotRecorded:
        raise
    except (TimeoutError, TryLater, Misconfigured):  # the source's, not the journal's
        return None


def _entry_of(signal: Signal, scan: Scan | None) -> ScanEntry | None:
    entries = scan.entries if scan else ()
    return next((entry for entry in entries if entry.instrument == signal.instrument), None)


def _question(agent: Agent, signal: Signal, prompt: str) -> Question:
    return Question(agent, signal.id, signal.event_time, prompt)


def _report(
    signal: Signal,
    entry: ScanEntry,
    agent: AgentType,
    opinion: _Opinion[TechnicalAnswer] | _Opinion[SentimentAnswer],
) -> Report:
    return Report(
        id=report_id(SignalId(signal.id), agent),
        event_time=signal.event_time,
        causation_id=signal.id,
        correlation_id=signal.correlation_id or signal.id,
        signal_id=SignalId(signal.id),
        scan_id=entry.scan_id,
        instrument=signal.instrument,
        symbol=entry.symbol,
        agent_type=agent,
        score=opinion.answer.score,
        confidence=opinion.answer.confidence,
        summary=opinion.answer.summary,
        data=report_data(opinion.answer)
        | {"model": opinion.model, "prompt_version": PROMPT_VERSION},
    )


def _refused(signal: Signal, entry: ScanEntry | None, why: Objection, validity: UtcNs) -> Decision:
    """A HOLD nobody was asked about.

    Without an entry the symbol is unknown here; the instrument stands in its place.
    """
    return decision_of(
        signal,
        symbol=entry.symbol if entry else str(signal.instrument),
        scan_id=entry.scan_id if entry else None,
        action=Action.HOLD,
        reasoning=why.words,
        confidence=100,
        origin=Origin.RULES,
        reason_code=why.reason_code,
        validity=validity,
    )


def _failsafe(
    signal: Signal, entry: ScanEntry, agent: Agent, failed: LlmFailure, validity: UtcNs
) -> Decision:
    detail = failed.error
    if failed.call:
        stale = failed.reason is Failure.STALE
        detail = failed.call.detail if stale else remedy_of(failed.call)
    why = f" ({detail})" if detail else ""
    return decision_of(
        signal,
        symbol=entry.symbol,
        scan_id=entry.scan_id,
        action=Action.HOLD,
        reasoning=f"No usable answer from {agent.value}: {failed.reason.value}{why}.",
        confidence=0,
        origin=Origin.FAILSAFE,
        reason_code=failed.reason.value,
        validity=validity,
        call=failed.call,
    )


def _overruled(
    signal: Signal,
    entry: ScanEntry,
    command: LlmAnswer[CommanderAnswer],
    against: Objection,
    validity: UtcNs,
) -> Decision:
    return decision_of(
        signal,
        symbol=entry.symbol,
        scan_id=entry.scan_id,
        action=Action.HOLD,
        reasoning=f"{against.words} The Commander said: {command.value.reasoning}",
        confidence=command.value.confidence,
        origin=Origin.RULES,
        reason_code=against.reason_code,
        validity=validity,
        call=command.call,
    )


def _decided(
    signal: Signal, entry: ScanEntry, command: LlmAnswer[CommanderAnswer], validity: UtcNs
) -> Decision:
    return decision_of(
        signal,
        symbol=entry.symbol,
        scan_id=entry.scan_id,
        action=command.value.action,
        reasoning=command.value.reasoning,
        confidence=command.value.confidence,
        origin=Origin.COMMITTEE,
        reason_code=DECIDED,
        validity=validity,
        call=command.call,
    )
