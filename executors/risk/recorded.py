"""What the gate looked at as a record, and back, so that the same verdict can be had again. Pure.

Where the guarantee stops: the verdict is of the gate that judges now. Its own constants (how old a
quote may be, how many orders a second, when the broker squares off) are of the version that runs,
not of the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, time
from functools import lru_cache

from executors.risk.crowd import Crowd
from executors.risk.exposure import Exposure, Reach
from executors.risk.listed import Ban, Listed
from executors.risk.situation import (
    Account,
    Address,
    Approval,
    Funds,
    OrderCounts,
    PreTradeContext,
    Quote,
)
from executors.risk.sizing import UserLimits
from executors.risk.square_off import SquareOff
from executors.risk.strategy import StrategyContext
from schemas.calendar import Calendar, Coverage, Special
from schemas.evidence import SeenContext, SeenExposure, SeenLimits, SeenStrategy, Written
from schemas.ids import InstrumentId, Segment
from schemas.market import PriceBand, Session, Side, trading_day
from schemas.units import Price, Quantity, UtcNs


@dataclass(frozen=True, slots=True)
class RecordedOrder:
    """As much of an intent as the gate looks at."""

    instrument: InstrumentId
    side: Side
    quantity: Quantity
    price: Price
    valid_until: UtcNs
    stop: Price | None = None


def record_of(context: PreTradeContext, instrument: InstrumentId) -> Written:
    """All that the gate looks at of an order of `instrument`, of the calendar the day's sessions.

    A `SeenContext` as it is written; `context_of` makes a context of it in which such an order gets
    the same verdict.
    """
    day, calendar, sent = trading_day(context.now), context.calendar, context.sent
    return {
        "now": context.now,
        "halted": context.halted,
        "stopped": context.stopped,
        "mode_allows": context.mode_allows,
        "user_active": context.user_active,
        "token_refused": context.token_refused,
        "account": context.account.value,
        "account_answers": context.account_answers,
        "day_known": calendar.covers(day, instrument.segment),
        "sessions": _sessions(tuple(calendar.sessions(day, instrument))),
        **_square_off(context.square_off),
        "feed_clock": context.feed_clock,
        "quote": _quote(context.quote),
        "sent": {
            "today": sent.today,
            "this_second": sent.this_second,
            "last_second": sent.last_second,
            "last_minute": sent.last_minute,
            "last_hour": sent.last_hour,
            "last_day": sent.last_day,
        },
        "limits": _limits(context.limits),
        "position": context.position,
        "filled": context.filled,
        "exposure": _exposure(context.exposure),
        "day_result": context.day_result,
        "member": context.member,
        "address": context.address.value,
        "preflight": context.preflight,
        "listed": _listed(context.listed),
        "stop_outs": context.stop_outs,
        "stopped_out_at": context.stopped_out_at,
        "reconciled": context.reconciled,
        "crowd": asdict(context.crowd) if context.crowd else None,
        "funds_known": context.funds.known,
        "funds": context.funds.free,
        "lot": context.lot,
        "logged": context.logged,
        **_approval(context.approval),
        **({"strategy": _strategy(context.strategy)} if context.strategy else {}),
    }


def context_of(seen: SeenContext, instrument: InstrumentId) -> PreTradeContext:
    """What the gate saw, as it was recorded.

    Raises:
        ValueError: the record names something that this version does not know.
        Misconfigured: its square-off is later than a broker's.
    """
    quote = seen.quote
    return PreTradeContext(
        now=seen.now,
        mode_allows=seen.mode_allows,
        user_active=seen.user_active,
        calendar=_calendar(seen, trading_day(seen.now), instrument),
        feed_clock=seen.feed_clock,
        quote=Quote(quote.price, quote.traded_at) if quote else None,
        sent=OrderCounts(**seen.sent.model_dump()),
        limits=_limits_of(seen.limits),
        position=seen.position,
        token_refused=seen.token_refused,
        account=Account(seen.account),
        account_answers=seen.account_answers,
        square_off=SquareOff(
            cash=time.fromisoformat(seen.square_off_cash),
            fno=time.fromisoformat(seen.square_off_fno),
        ),
        halted=seen.halted,
        stopped=seen.stopped,
        filled=seen.filled,
        exposure=_exposure_of(seen.exposure),
        day_result=seen.day_result,
        member=seen.member,
        address=Address(seen.address),
        preflight=seen.preflight,
        funds=Funds(seen.funds_known, seen.funds),
        lot=seen.lot,
        logged=seen.logged,
        approval=Approval(seen.approval),
        listed=Listed(
            band=None
            if seen.listed.lower is None or seen.listed.upper is None
            else PriceBand(seen.listed.lower, seen.listed.upper),
            band_needed=seen.listed.band_needed,
            freeze_quantity=seen.listed.freeze_quantity,
            ban=Ban(seen.listed.ban),
        ),
        stop_outs=seen.stop_outs,
        stopped_out_at=seen.stopped_out_at,
        reconciled=seen.reconciled,
        crowd=Crowd(**seen.crowd.model_dump()) if seen.crowd else None,
        strategy=_strategy_of(seen.strategy) if seen.strategy else None,
    )


# What thousands of orders of one decision share is made once: nobody changes what is written.
@lru_cache(maxsize=1_024)
def _limits(limits: UserLimits) -> Written:
    names = {"segments": _sorted(limits.segments), "products": _sorted(limits.products)}
    return {name: getattr(limits, name) for name in SeenLimits.model_fields} | names


def _limits_of(seen: SeenLimits) -> UserLimits:
    segments, products = seen.segments, seen.products
    names = {
        "segments": None if segments is None else frozenset(map(Segment, segments)),
        "products": None if products is None else frozenset(products),
    }
    return UserLimits(**seen.model_dump() | names)


@lru_cache(maxsize=1_024)
def _quote(quote: Quote | None) -> Written | None:
    return {"price": quote.price, "traded_at": quote.traded_at} if quote else None


@lru_cache(maxsize=1_024)
def _sessions(sessions: tuple[Session, ...]) -> Sequence[Written]:
    return [{"open": each.open, "close": each.close} for each in sessions]


@lru_cache(maxsize=16)
def _square_off(square_off: SquareOff) -> Written:
    return {
        "square_off_cash": square_off.cash.isoformat(),
        "square_off_fno": square_off.fno.isoformat(),
    }


@lru_cache(maxsize=1_024)
def _listed(listed: Listed) -> Written:
    band = listed.band
    return {
        "lower": band.lower if band else None,
        "upper": band.upper if band else None,
        "band_needed": listed.band_needed,
        "freeze_quantity": listed.freeze_quantity,
        "ban": listed.ban.value,
    }


def _approval(approval: Approval) -> Written:
    """Nothing where none is needed: the record is as it was before approvals were."""
    return {} if approval is Approval.NOT_NEEDED else {"approval": approval.value}


def _strategy(context: StrategyContext) -> Written:
    return {
        "strategy": context.strategy.model_dump(mode="json"),
        "platform": context.platform.value,
        "orders": context.orders,
        "exposure": _exposure(context.exposure),
        "day_result": context.day_result,
        "lost": context.lost,
    }


def _strategy_of(seen: SeenStrategy) -> StrategyContext:
    return StrategyContext(
        seen.strategy,
        seen.platform,
        seen.orders,
        _exposure_of(seen.exposure),
        seen.day_result,
        seen.lost,
    )


def _exposure(exposure: Exposure) -> Written:
    return {
        "most": exposure.here.most,
        "least": exposure.here.least,
        "elsewhere": exposure.elsewhere,
        "positions": exposure.positions,
    }


def _exposure_of(seen: SeenExposure) -> Exposure:
    return Exposure(Reach(seen.most, seen.least), seen.elsewhere, seen.positions)


def _sorted(names: Iterable[str] | None) -> list[str] | None:
    return None if names is None else sorted(str(name) for name in names)


def _calendar(seen: SeenContext, day: date, instrument: InstrumentId) -> Calendar:
    """One that knows a single day of a single segment, or no day."""
    segments = frozenset({instrument.segment})
    return Calendar(
        coverage=(Coverage(segments=segments, first=day, last=day),) if seen.day_known else (),
        regular=(),
        special=tuple(
            Special(
                day=day,
                segments=segments,
                open=session.open.ist().time(),
                close=session.close.ist().time(),
            )
            for session in seen.sessions
        ),
    )
