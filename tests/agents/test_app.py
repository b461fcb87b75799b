"""The handler of a signal, with a real model call and nothing else around it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agents.app import AgentOptions, LlmGateway, decision_service
from agents.caches import ScanCache
from agents.journal import ModelTier
from agents.model import Model
from agents.spend import SpendLedger
from bus.records import Output, Record
from schemas import topics
from schemas.codec import decode, encode
from schemas.errors import TryLater, Unreadable
from schemas.market import Action
from schemas.messages import CallOutcome, Decision, LlmCall, Report, Scan, Signal
from schemas.units import Paise, UtcNs
from tests.agents.factories import a_scan, a_signal
from tests.agents.provider import Provider

NOW = UtcNs(0)


class Database:
    """Takes every row."""

    async def save_scan(self, scan: Scan) -> None: ...

    async def save_result(self, reports: Sequence[Report], decision: Decision) -> None: ...


class Broker:
    """Takes every record, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[LlmCall] = []
        self._error = error

    async def send_and_wait(self, output: Output) -> None:
        if self._error:
            raise self._error
        if output.topic is topics.LLM:
            self.calls.append(decode(LlmCall, output.value))


async def handle(model: Model, broker: Broker, signal: Signal, age: UtcNs = NOW) -> Decision:
    scans = ScanCache()
    await scans.add(a_scan())
    service = decision_service(
        llm=LlmGateway([ModelTier(model)], SpendLedger(Paise(0))),
        scans=scans,
        store=Database(),
        publisher=broker,  # type: ignore[arg-type]
        options=AgentOptions(scan_timeout=0.0, age=lambda _event_time, _published_at: age),
    )
    record = Record("ats.signals", 0, 0, b"key", encode(signal), UtcNs(0))
    outputs = await service.handlers[topics.SIGNALS](record)
    return decode(Decision, outputs[-1].value)


async def test_a_signal_as_old_as_a_decision_stays_valid_is_asked_about_nobody(
    provider: Provider, model: Model
) -> None:
    broker = Broker()

    fresh = await handle(model, Broker(), a_signal(), UtcNs(UtcNs.minutes(2) - 1))
    asked = len(provider.requests)
    stale = await handle(model, broker, a_signal(), UtcNs.minutes(2))

    assert (fresh.action, fresh.reason_code) == (Action.BUY, "decided")
    assert (stale.action, stale.reason_code) == (Action.HOLD, "stale")
    assert stale.reasoning.endswith(
        "stale (the signal is 120 s old, a decision is valid for 120 s)."
    )
    assert {call.outcome for call in broker.calls} == {CallOutcome.STALE}
    assert len(provider.requests) == asked


async def test_nothing_is_decided_when_the_broker_does_not_take_the_journal(model: Model) -> None:
    with pytest.raises(TryLater, match="was not written"):
        await handle(model, Broker(RuntimeError("NotEnoughReplicas")), a_signal())


async def test_of_two_signals_of_a_symbol_that_wait_the_older_is_dropped_with_the_reason(
    provider: Provider, model: Model
) -> None:
    broker, scans = Broker(), ScanCache()
    await scans.add(a_scan())
    service = decision_service(
        llm=LlmGateway([ModelTier(model)], SpendLedger(Paise(0))),
        scans=scans,
        store=Database(),
        publisher=broker,  # type: ignore[arg-type]
        options=AgentOptions(age=lambda _event_time, _published_at: UtcNs.minutes(1)),
    )
    older, later = a_signal(), a_signal(at=UtcNs(a_signal().event_time + UtcNs.minutes(1)))
    records = [
        Record("ats.signals", 0, offset, b"key", encode(signal), UtcNs(0))
        for offset, signal in enumerate((older, later))
    ]
    for record in records:
        service.queued(record)

    decisions = [
        decode(Decision, (await service.handlers[topics.SIGNALS](record))[-1].value)
        for record in records
    ]

    assert [each.reason_code for each in decisions] == ["stale", "decided"]
    assert "a signal of the symbol that is 60 s later waits already" in decisions[0].reasoning
    assert [call.outcome for call in broker.calls[:1]] == [CallOutcome.STALE]
    assert len(provider.requests) == len(broker.calls) - 1


def test_an_unreadable_signal_that_waits_is_left_to_its_handler(model: Model) -> None:
    service = decision_service(
        llm=LlmGateway([ModelTier(model)], SpendLedger(Paise(0))),
        scans=ScanCache(),
        store=Database(),
        publisher=Broker(),  # type: ignore[arg-type]
    )

    service.queued(Record("ats.signals", 0, 0, b"key", b"{", UtcNs(0)))


@pytest.mark.parametrize("moment", [2**64 - 1, 2**62, -1, -(2**63)])
async def test_a_signal_of_no_market_moment_is_a_dead_letter(model: Model, moment: int) -> None:
    with pytest.raises(Unreadable, match="event_time"):
        await handle(model, Broker(), a_signal().model_copy(update={"event_time": UtcNs(moment)}))
