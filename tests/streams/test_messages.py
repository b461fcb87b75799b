"""The engine's own bytes are the canonical bytes of the models."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from schemas.codec import decode, encode
from schemas.ids import derive
from schemas.market import Direction, Timeframe
from schemas.messages import Candle, Indicators, Message, Signal
from schemas.strategy import Strategy, StrategyMode
from schemas.topics import CANDLES, INDICATORS, SIGNALS, Topic
from streams.columns.names import INDICATOR_COLUMNS
from streams.engine.closed_bars import END, INSTRUMENT, TIMEFRAME
from streams.engine.engine import Engine
from streams.engine.layout import AT
from streams.engine.messages import Writer, identities
from streams.engine.rule_runner import RuleHit
from streams.rules import Rule
from tests.streams.factories import batch_of, random_market, run


def test_every_message_is_written_as_the_codec_writes_its_model() -> None:
    outputs = run([batch_of(random_market(12, 4_000, instruments=5, days=2))])

    models: dict[Topic, type[Message]] = {CANDLES: Candle, INDICATORS: Indicators, SIGNALS: Signal}
    assert Counter(output.topic.name for output in outputs).keys() == {
        topic.name for topic in models
    }
    assert len(outputs) > 3_000
    for output in outputs:
        assert encode(decode(models[output.topic], output.value)) == output.value


def test_a_signal_has_the_ids_of_the_catalogue_and_leaves_out_what_is_no_finite_number() -> None:
    rule = Rule(
        'a "rule"', Timeframe.M1, lambda bars: np.zeros(len(bars["close"]), np.int8), ("close",)
    )
    engine = Engine(rules=(rule,))
    closed, _ = engine.process(batch_of(random_market(12, 400, instruments=2)))
    told = {"close": 1.5, "rsi_14": math.inf, "adx_14": math.nan}

    (output, *_) = Writer(engine).outputs(closed, [RuleHit(rule, Direction.BEARISH, 0, told)])

    signal = decode(Signal, output.value)
    bar = closed.facts[0].tolist()
    timeframe = engine.config.timeframes[bar[TIMEFRAME]]
    what = (engine.instrument(bar[INSTRUMENT]), timeframe, bar[END])
    assert encode(signal) == output.value
    assert (signal.instrument, signal.timeframe, signal.event_time) == what
    assert signal.id == signal.correlation_id == derive("signal", rule.name, *what)
    assert signal.causation_id == derive("indicators", *what)
    assert (signal.rule, signal.direction, signal.price) == (
        rule.name,
        Direction.BEARISH,
        closed.values[0, AT["close"]],
    )
    assert signal.features["close"] == 1.5
    assert not {"rsi_14", "adx_14"} & signal.features.keys()


def test_a_signal_names_its_strategy_and_no_other_byte_of_it_changes() -> None:
    rules = [
        Rule(
            "late",
            Timeframe.M1,
            lambda bars: np.ones(len(bars["close"]), np.int8),
            ("close",),
            strategy=strategy,
        )
        for strategy in (None, Strategy(name="late", mode=StrategyMode.SHADOW))
    ]
    values = []
    for rule in rules:
        engine = Engine(rules=(rule,))
        closed, hits = engine.process(batch_of(random_market(12, 400, instruments=2)))
        values.append(next(iter(Writer(engine).outputs(closed, hits))).value)

    plain, named = (decode(Signal, value) for value in values)

    assert b"strategy" not in values[0]
    assert (encode(plain), encode(named)) == tuple(values)
    assert named.strategy == rules[1].strategy
    assert named.model_copy(update={"strategy": None}) == plain


def test_ids_are_those_of_the_catalogue_and_readings_are_caused_by_their_candle() -> None:
    outputs = run([batch_of(random_market(12, 400, instruments=2))])

    candle = decode(Candle, next(o.value for o in outputs if o.topic is CANDLES))
    reading = decode(Indicators, next(o.value for o in outputs if o.topic is INDICATORS))
    what = (candle.instrument, candle.timeframe, int(candle.event_time))
    assert candle.id == derive("candle", *what)
    assert (reading.id, reading.causation_id) == (derive("indicators", *what), candle.id)
    assert set(reading.values) == set(INDICATOR_COLUMNS)
    assert [id_.decode() for id_ in identities([b"a|b", b"c"])] == [
        str(derive("a", "b")),
        str(derive("c")),
    ]
