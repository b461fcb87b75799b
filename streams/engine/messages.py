"""Closed bars and rule hits as the bytes other rooms read.

Ids come from what the message is about, so repeats match. At the turn of a minute thousands of bars
close at once, so messages are written here directly: the same bytes as `schemas.codec.encode` of
the models in `schemas.messages` (a test compares), in a tenth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha1
from itertools import chain
from typing import Final

import numpy as np
import orjson

from bus.records import Output
from schemas.ids import NAMESPACE
from schemas.topics import CANDLES, INDICATORS, SIGNALS
from streams.columns.names import COLUMNS_OF, PRICES
from streams.engine.closed_bars import END, INSTRUMENT, TIMEFRAME, ClosedBars
from streams.engine.compiled import FloatArray, IntArray
from streams.engine.engine import Engine
from streams.engine.layout import AT
from streams.engine.rule_runner import RuleHit

# Fields in the order of the alphabet, as canonical bytes have them.
_SIGNAL: Final = (
    b'{"causation_id":"%b","correlation_id":"%b","direction":"%b","event_time":%d,'
    b'"features":%b,"id":"%b",'
    b'"instrument":"%b","price":%d,"rule":%b,"schema_version":1,"timeframe":"%b"}'
)
_CANDLE: Final = (
    b'{"causation_id":null,"close":%d,"complete":%b,"correlation_id":null,"event_time":%d,'
    b'"high":%d,"id":"%b","instrument":"%b","low":%d,"open":%d,"schema_version":1,"start":%d,'
    b'"ticks":%d,"timeframe":"%b","volume":%d}'
)
_INDICATORS: Final = (
    b'{"causation_id":"%b","close":%d,"correlation_id":null,"event_time":%d,"id":"%b",'
    b'"instrument":"%b","schema_version":1,"start":%d,"timeframe":"%b","values":%b}'
)
# What an analyst looks at first, whatever the rule looked at.
CONTEXT: Final = (
    "volume", "ema_21", "ema_50", "ema_200", "rsi_14", "macd_histogram", "atr_14",
    "adx_14", "plus_di_14", "minus_di_14", "bollinger_upper", "bollinger_lower",
    "supertrend_direction", "vwap", "opening_range_high", "opening_range_low", "pivot",
)  # fmt: skip
_SEED: Final = sha1(NAMESPACE.bytes, usedforsecurity=False)
_CHUNK: Final = 128  # bars whose messages are made at once


class Writer:
    """Writes the messages of one engine.

    Holds the names of its instruments and timeframes as bytes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timeframes = [timeframe.encode() for timeframe in engine.config.timeframes]
        self._columns = sorted(
            name for indicator in engine.config.indicators for name in COLUMNS_OF[indicator]
        )
        self._places = [AT[name] for name in self._columns]
        self._context = [name for name in CONTEXT if name in PRICES or name in self._columns]
        self._context_places = [AT[name] for name in self._context]
        self._rules = {
            rule.key: (rule.name.encode(), orjson.dumps(rule.name)) for rule in engine.rules
        }
        self._instruments: list[bytes] = []
        places = range(len(engine.config.timeframes)) if engine.talib.windows else ()
        self._talib = [engine.talib.published(place, engine.kept) for place in places]

    def outputs(self, closed: ClosedBars, hits: Sequence[RuleHit]) -> Iterable[Output]:
        """Everything one record caused.

        Signals first, because someone waits for them, then candles and indicators. Those two are
        written when somebody iterates, from copies of the bars that no later record changes.
        """
        if not len(closed):
            return ()
        return chain(self._signals(closed, hits), self._candles_and_indicators(closed))

    def _signals(self, closed: ClosedBars, hits: Sequence[RuleHit]) -> list[Output]:
        """The heads of chains: each one's id is the correlation id of all that follows.

        What is not finite is left out.
        """
        if not hits:
            return []
        places = [hit.at for hit in hits]
        facts, close = (
            closed.facts[places].tolist(),
            closed.values[places, AT["close"]].astype("i8").tolist(),
        )
        around = closed.values[np.ix_(places, self._context_places)].tolist()
        outputs = []
        for hit, fact, price, values in zip(hits, facts, close, around, strict=True):
            instrument, timeframe = (
                self._instrument(fact[INSTRUMENT]),
                self._timeframes[fact[TIMEFRAME]],
            )
            end = fact[END]
            about = b"%b|%b|%d" % (instrument, timeframe, end)
            name, quoted = self._rules[hit.rule.key]
            features = dict(zip(self._context, values, strict=True)) | hit.features
            finite = {feature: value for feature, value in features.items() if math.isfinite(value)}
            id_ = identity(b"signal|%b|%b" % (name, about))
            value = _SIGNAL % (
                identity(b"indicators|" + about), id_, hit.direction.encode(), end,
                orjson.dumps(finite, option=orjson.OPT_SORT_KEYS), id_, instrument, price, quoted,
                timeframe,
            )  # fmt: skip
            outputs.append(Output(SIGNALS, instrument, value))
        return outputs

    def _candles_and_indicators(self, closed: ClosedBars) -> Iterator[Output]:
        for first in range(0, len(closed), _CHUNK):
            yield from self._chunk(
                closed.facts[first : first + _CHUNK], closed.values[first : first + _CHUNK]
            )

    def _chunk(self, facts: IntArray, values: FloatArray) -> Iterator[Output]:
        prices = values[:, : len(PRICES)].astype("i8").tolist()
        columns = values[:, self._places].tolist()
        for nth, (fact, price, row) in enumerate(zip(facts.tolist(), prices, columns, strict=True)):
            number, place, start, end, ticks, complete = fact
            open_, high, low, close, volume = price
            instrument, timeframe = self._instrument(number), self._timeframes[place]
            about = b"%b|%b|%d" % (instrument, timeframe, end)
            id_, whole = identity(b"candle|" + about), b"true" if complete else b"false"
            candle = _CANDLE % (
                close, whole, end, high, id_, instrument, low, open_, start, ticks, timeframe,
                volume,
            )  # fmt: skip
            yield Output(CANDLES, instrument, candle)
            published = dict(zip(self._columns, row, strict=True))
            if self._talib and self._talib[place]:
                published |= {name: float(values[nth, at]) for name, at in self._talib[place]}
                published = dict(sorted(published.items()))
            named = orjson.dumps(published)  # writes NaN as null
            indicators = _INDICATORS % (
                id_, close, end, identity(b"indicators|" + about), instrument, start, timeframe,
                named,
            )  # fmt: skip
            yield Output(INDICATORS, instrument, indicators)

    def _instrument(self, number: int) -> bytes:
        while len(self._instruments) <= number:
            self._instruments.append(str(self._engine.instrument(len(self._instruments))).encode())
        return self._instruments[number]


def identity(name: bytes) -> bytes:
    """`schemas.ids.derive` of `name`'s parts as text.

    A UUID of version 5 (RFC 9562, section 5.5).
    """
    digest = _SEED.copy()
    digest.update(name)
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}".encode()
