"""Valid wholes for the agents' tests; each test breaks one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from agents.journal import ChatModel, LiveJournal, LlmCallCache, ModelTier
from agents.news import Headline
from agents.spend import SpendLedger
from schemas.ids import InstrumentId, Segment, SignalId, derive, scan_id
from schemas.market import Direction, Instrument, ScanResult, Timeframe
from schemas.messages import LlmCall, Scan, ScanEntry, Signal
from schemas.units import Paise, Price, Quantity, UtcNs
from simulator.market.session import market_session

DAY = date(2025, 6, 2)
RELIANCE = InstrumentId(Segment.NSE_EQ, 2885)
OPENS = market_session(DAY).open
AS_OF = UtcNs(OPENS + UtcNs.minutes(30))
EARLIER = UtcNs(AS_OF - UtcNs.minutes(5))


def an_instrument(
    number: int = 2885, symbol: str = "RELIANCE", segment: Segment = Segment.NSE_EQ
) -> Instrument:
    return Instrument(
        InstrumentId(segment, number), symbol, symbol.title(), "EQUITY", Quantity(1), Paise(5)
    )


def a_signal(
    instrument: InstrumentId = RELIANCE, rule: str = "ema_cross", at: UtcNs = AS_OF
) -> Signal:
    return Signal(
        id=SignalId(derive("signal", instrument, rule, at)),
        event_time=at,
        instrument=instrument,
        timeframe=Timeframe.M1,
        rule=rule,
        direction=Direction.BULLISH,
        price=Price(285_000),
        features={"ema_9": 284_900.25, "ema_21": 284_500.5, "rsi_14": 61.5},
    )


def an_entry(
    instrument: InstrumentId = RELIANCE,
    symbol: str = "RELIANCE",
    result: ScanResult = ScanResult.SHORTLISTED,
) -> ScanEntry:
    return ScanEntry(
        scan_id=scan_id(DAY, instrument),
        instrument=instrument,
        symbol=symbol,
        result=result,
        initial_signal=Direction.BULLISH,
        rank=1 if result is ScanResult.SHORTLISTED else None,
        features={"return_5d": 0.03},
    )


def a_scan(*entries: ScanEntry) -> Scan:
    return Scan(
        id=derive("scans", DAY.isoformat()),
        event_time=OPENS,
        trading_date=DAY,
        origin="model",
        entries=entries or (an_entry(),),
    )


@dataclass(frozen=True)
class FixedNews:
    """The same headlines for everyone."""

    texts: tuple[str, ...] = ("Reliance wins a large order",)
    at: UtcNs = EARLIER

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:  # noqa: ARG002
        return [Headline(published_at=self.at, source="wire", text=text) for text in self.texts]


@dataclass(frozen=True)
class DailyBar:
    day: date
    open: Paise
    high: Paise
    low: Paise
    close: Paise
    volume: Quantity


def bars(
    count: int, *, drift: int = 50, until: date = DAY, first_close: int = 100_000
) -> list[DailyBar]:
    """`count` bars up to the day before `until`, drifting, with a wobble of its own."""
    made = []
    for n in range(count):
        close = first_close + drift * n + (n * 7_919 % 600) - 300
        spread = 200 + n * 31 % 300
        made.append(
            DailyBar(
                until - timedelta(days=count - n),
                Paise(close - 60),
                Paise(close + spread),
                Paise(close - spread),
                Paise(close),
                Quantity(10_000 + n * 6_007 % 5_000),
            )
        )
    return made


class Topic:
    """Stands where `ats.llm` stands: keeps what was published, in order."""

    def __init__(self) -> None:
        self.calls: list[LlmCall] = []

    async def publish(self, call: LlmCall) -> None:
        self.calls.append(call)


def a_journal(model: ChatModel, topic: Topic, **changes: Any) -> LiveJournal:
    whole: dict[str, Any] = {
        "tiers": [ModelTier(model)],
        "ledger": SpendLedger(Paise.from_rupees(100)),
        "cache": LlmCallCache(),
        "publish": topic.publish,
        "clock": lambda: 0.0,
    }
    return LiveJournal(**whole | changes)
