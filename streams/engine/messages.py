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
from streams.engine.named_values import NamedValues
from streams.engine.rule_runner import RuleHit
from streams.rules.rule import Rule

# Fields in the order of the alphabet, as canonical bytes have them.
_SIGNAL: Final = (
    b'{"causation_id":"%b","correlation_id":"%b","direction":"%b","event_time":%d,'
    b'"features":%b,"id":"%b",'
    b'"instrument":"%b","price":%d,"rule":%b,"schema_version":1,%b"timeframe":"%b"}'
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
_HEX: Final = np.setdiff1d(np.arange(36), (8, 13, 18, 23))  # places between the dashes
_CHUNK: Final = 128  # bars whose messages are made at once


class Writer:
    """Writes the messages of one engine.

    Holds the names of its instruments and timeframes as bytes.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timeframes = [timeframe.encode() for timeframe in engine.config.timeframes]
        columns = [
            (name, AT[name])
            for indicator in engine.config.indicators
            for name in COLUMNS_OF[indicator]
        ]
        known = {*PRICES, *(name for name, _ in columns)}
        self._context = [name for name in CONTEXT if name in known]
        self._context_places = [AT[name] for name in self._context]
        self._rules = {
            rule.key: (rule.name.encode(), orjson.dumps(rule.name), _strategy(rule))
            for rule in engine.rules
        }
        self._instruments: list[bytes] = []
        # of each timeframe, once where all have the same
        places = range(len(engine.config.timeframes)) if engine.talib.windows else ()
        talib = [engine.talib.published(place, engine.kept) for place in places]
        self._named = [NamedValues([*columns, *more]) for more in (talib if any(talib) else [[]])]

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
        about = [self._about(fact) for fact in facts]
        names = [self._rules[hit.rule.key] for hit in hits]
        ids = identities(
            [b"signal|%b|%b" % (name, what) for (name, *_), what in zip(names, about, strict=True)]
        )
        causes = identities([b"indicators|" + what for what in about])
        outputs = []
        for nth, (hit, fact, values) in enumerate(zip(hits, facts, around, strict=True)):
            instrument, timeframe = (
                self._instruments[fact[INSTRUMENT]],
                self._timeframes[fact[TIMEFRAME]],
            )
            features = dict(zip(self._context, values, strict=True)) | hit.features
            finite = {feature: value for feature, value in features.items() if math.isfinite(value)}
            value = _SIGNAL % (
                causes[nth], ids[nth], hit.direction.encode(), fact[END],
                orjson.dumps(finite, option=orjson.OPT_SORT_KEYS), ids[nth], instrument, close[nth],
                names[nth][1], names[nth][2], timeframe,
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
        rows = facts.tolist()
        about = [self._about(fact) for fact in rows]
        ids = identities([b"candle|" + what for what in about])
        others = identities([b"indicators|" + what for what in about])
        published = self._published(facts, values)
        for fact, price, id_, other, named in zip(
            rows, prices, ids, others, published, strict=True
        ):
            number, place, start, end, ticks, complete = fact
            open_, high, low, close, volume = price
            instrument, timeframe = self._instruments[number], self._timeframes[place]
            candle = _CANDLE % (
                close, b"true" if complete else b"false", end, high, id_, instrument, low, open_,
                start, ticks, timeframe, volume,
            )  # fmt: skip
            yield Output(CANDLES, instrument, candle)
            indicators = _INDICATORS % (
                id_, close, end, other, instrument, start, timeframe, named,
            )  # fmt: skip
            yield Output(INDICATORS, instrument, indicators)

    def _published(self, facts: IntArray, values: FloatArray) -> Sequence[bytes]:
        """The values of each bar with their names."""
        if len(self._named) == 1:
            return self._named[0].written(values)
        written = [b""] * len(facts)
        for place in np.unique(facts[:, TIMEFRAME]):
            (chosen,) = np.nonzero(facts[:, TIMEFRAME] == place)
            for nth, text in zip(chosen, self._named[place].written(values[chosen]), strict=True):
                written[nth] = text
        return written

    def _about(self, fact: Sequence[int]) -> bytes:
        """What the ids of a bar's messages are made of."""
        instrument = self._instrument(fact[INSTRUMENT])
        return b"%b|%b|%d" % (instrument, self._timeframes[fact[TIMEFRAME]], fact[END])

    def _instrument(self, number: int) -> bytes:
        while len(self._instruments) <= number:
            self._instruments.append(str(self._engine.instrument(len(self._instruments))).encode())
        return self._instruments[number]


def _strategy(rule: Rule) -> bytes:
    """The signal's field of that name with its comma; nothing where the rules file says nothing."""
    if rule.strategy is None:
        return b""
    fields = rule.strategy.model_dump(mode="json")
    return b'"strategy":%b,' % orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)


def identities(names: Sequence[bytes]) -> list[bytes]:
    """`schemas.ids.derive` of each name's parts as text.

    UUIDs of version 5 (RFC 9562, section 5.5).
    """
    digests = []
    for name in names:
        digest = _SEED.copy()
        digest.update(name)
        digests.append(digest.digest())
    raw = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _SEED.digest_size)[:, :16].copy()
    raw[:, 6] = raw[:, 6] & 0x0F | 0x50
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = np.full((len(names), 36), ord("-"), np.uint8)
    text[:, _HEX] = np.frombuffer(raw.tobytes().hex().encode(), np.uint8).reshape(-1, 32)
    whole = text.tobytes()
    return [whole[at : at + 36] for at in range(0, len(whole), 36)]
