"""The engine's own bytes are the canonical bytes of the models."""

from __future__ import annotations

from schemas.codec import decode, encode
from schemas.ids import derive
from schemas.messages import Candle, Indicators
from schemas.topics import CANDLES, INDICATORS
from streams.engine.columns import READINGS
from streams.engine.messages import identity
from tests.streams.factories import batch_of, random_market, run


def test_every_candle_and_every_reading_is_written_as_the_codec_writes_its_model() -> None:
    outputs = run([batch_of(random_market(12, 4_000, instruments=5, days=2))])

    models = {CANDLES: Candle, INDICATORS: Indicators}
    written = [output for output in outputs if output.topic in models]
    assert len(written) > 3_000
    for output in written:
        assert encode(decode(models[output.topic], output.value)) == output.value


def test_ids_are_those_of_the_catalogue_and_readings_are_caused_by_their_candle() -> None:
    outputs = run([batch_of(random_market(12, 400, instruments=2))])

    candle = decode(Candle, next(o.value for o in outputs if o.topic is CANDLES))
    reading = decode(Indicators, next(o.value for o in outputs if o.topic is INDICATORS))
    what = (candle.instrument, candle.timeframe, int(candle.event_time))
    assert candle.id == derive("candle", *what)
    assert (reading.id, reading.causation_id) == (derive("indicators", *what), candle.id)
    assert set(reading.values) == set(READINGS)
    assert identity(b"a|b").decode() == str(derive("a", "b"))
