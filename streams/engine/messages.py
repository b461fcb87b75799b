"""Closed bars and fired rules as the bytes other rooms read. Ids come from what the message is about, so repeats match.

At the turn of a minute thousands of bars close at once, so candles and indicators are written here directly: the same bytes
as `schemas.codec.encode` of the models in `schemas.messages` (a test compares), in a tenth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha1
from itertools import chain
from typing import Final

import orjson

from bus.records import Output, message_output
from schemas.ids import NAMESPACE, InstrumentId, derive
from schemas.market import Timeframe
from schemas.messages import Signal
from schemas.topics import CANDLES, INDICATORS, SIGNALS
from schemas.units import Price, UtcNs
from streams.engine.closed import END, INSTRUMENT, TIMEFRAME, Closed
from streams.engine.columns import COLUMNS_OF, PRICES
from streams.engine.engine import Engine
from streams.engine.layout import AT
from streams.engine.questions import Fired

# Fields in the order of the alphabet, as canonical bytes have them.
_CANDLE: Final = (
    b'{"causation_id":null,"close":%d,"complete":%b,"correlation_id":null,"event_time":%d,"high":%d,"id":"%b",'
    b'"instrument":"%b","low":%d,"open":%d,"schema_version":1,"start":%d,"ticks":%d,"timeframe":"%b","volume":%d}'
)
_INDICATORS: Final = (
    b'{"causation_id":"%b","close":%d,"correlation_id":null,"event_time":%d,"id":"%b","instrument":"%b",'
    b'"schema_version":1,"start":%d,"timeframe":"%b","values":%b}'
)
# What an analyst asks of a bar first, whatever the rule looked at.
CONTEXT: Final = (
    "volume", "ema_21", "ema_50", "ema_200", "rsi_14", "macd_histogram", "atr_14", "adx_14", "plus_di_14", "minus_di_14",
    "bollinger_upper", "bollinger_lower", "supertrend_direction", "vwap", "opening_range_high", "opening_range_low", "pivot",
)  # fmt: skip
_SEED: Final = sha1(NAMESPACE.bytes, usedforsecurity=False)


class Writer:
    """Writes the messages of one engine. Holds the names of its instruments and timeframes as bytes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timeframes = [timeframe.encode() for timeframe in engine.config.timeframes]
        self._columns = sorted(name for study in engine.config.studies for name in COLUMNS_OF[study])
        self._places = [AT[name] for name in self._columns]
        self._context = {name: AT[name] for name in CONTEXT if name in PRICES or name in self._columns}
        self._instruments: list[bytes] = []
        places = range(len(engine.config.timeframes)) if engine.extras.frames else ()
        self._extras = [engine.extras.told(place, engine.kept) for place in places]

    def outputs(self, closed: Closed, fired: Sequence[Fired]) -> Iterable[Output]:
        """Everything one record caused: signals first, because someone waits for them, then candles, then indicators.

        Those two are written when they are asked for, from copies of the bars that no later record changes.
        """
        if not len(closed):
            return ()
        signals = [message_output(SIGNALS, each, str(each.instrument)) for each in self._signals(closed, fired)]
        return chain(signals, self._candles_and_readings(closed))

    def _candles_and_readings(self, closed: Closed) -> Iterator[Output]:
        candles: list[Output] = []
        readings: list[Output] = []
        facts, prices = closed.facts.tolist(), closed.values[:, : len(PRICES)].astype("i8").tolist()
        values = closed.values[:, self._places].tolist()
        for fact, price, row in zip(facts, prices, values, strict=True):
            number, place, start, end, ticks, complete = fact
            open_, high, low, close, volume = price
            instrument, timeframe = self._instrument(number), self._timeframes[place]
            about = b"%b|%b|%d" % (instrument, timeframe, end)
            id_, whole = identity(b"candle|" + about), b"true" if complete else b"false"
            candle = _CANDLE % (
                close, whole, end, high, id_, instrument, low, open_, start, ticks, timeframe, volume,
            )  # fmt: skip
            candles.append(Output(CANDLES, instrument, candle))
            told = dict(zip(self._columns, row, strict=True))
            if self._extras and self._extras[place]:
                told |= {name: float(closed.values[len(readings), at]) for name, at in self._extras[place]}
                told = dict(sorted(told.items()))
            named = orjson.dumps(told)  # writes NaN as null
            reading = _INDICATORS % (
                id_, close, end, identity(b"indicators|" + about), instrument, start, timeframe, named,
            )  # fmt: skip
            readings.append(Output(INDICATORS, instrument, reading))
        yield from candles
        yield from readings

    def _instrument(self, number: int) -> bytes:
        while len(self._instruments) <= number:
            self._instruments.append(str(self._engine.instrument(len(self._instruments))).encode())
        return self._instruments[number]

    def _signals(self, closed: Closed, fired: Sequence[Fired]) -> list[Signal]:
        found = []
        for each in fired:
            facts, close = closed.facts[each.at], int(closed.values[each.at, AT["close"]])
            timeframe = self._engine.config.timeframes[int(facts[TIMEFRAME])]
            around = {name: float(closed.values[each.at, place]) for name, place in self._context.items()}
            told = replace(each, features=around | each.features)
            found.append(
                signal(told, self._engine.instrument(int(facts[INSTRUMENT])), timeframe, int(facts[END]), close)
            )
        return found


def signal(fired: Fired, instrument: InstrumentId, timeframe: Timeframe, end: int, close: int) -> Signal:
    """The head of a chain: its own id is the correlation id of all that follows. Features that warm up are left out."""
    id_ = derive("signal", fired.rule.name, instrument, timeframe, end)
    return Signal(
        id=id_,
        correlation_id=id_,
        causation_id=derive("indicators", instrument, timeframe, end),
        event_time=UtcNs(end),
        instrument=instrument,
        timeframe=timeframe,
        rule=fired.rule.name,
        direction=fired.direction,
        price=Price(close),
        features={name: value for name, value in fired.features.items() if not math.isnan(value)},
    )


def identity(name: bytes) -> bytes:
    """`schemas.ids.derive` of `name`'s parts as text: a UUID of version 5 (RFC 9562, section 5.5)."""
    digest = _SEED.copy()
    digest.update(name)
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}".encode()
