"""The engine's whole state as bytes and back.

A snapshot is a cache: when in doubt it is refused, and ticks are read again.
"""

from __future__ import annotations

import struct
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

from schemas.errors import Misconfigured
from streams.engine import layout, tables
from streams.engine.config import EngineConfig
from streams.engine.engine import Engine
from streams.engine.rule_runner import OnFault
from streams.engine.tables import Tables
from streams.rules import Rule

T = TypeVar("T")

ENGINE_VERSION: Final = 3  # raise it with every change of what ticks turn into, or of what is kept
MAGIC: Final = b"ATSE"
_LENGTH: Final = struct.Struct("<4sI")
# What snapshots call a thing that has another name here: older builds wrote, and read, these.
_NAMES: Final = {"indicators": "studies"}


def dump(engine: Engine) -> bytes:
    """Magic, length of the header, header (JSON), then the arrays it lists.

    All little-endian and unpadded.
    """
    count = len(engine.tables.order)
    parts = _written(tables.arrays(engine.tables))
    parts |= engine.talib.arrays(count)
    parts |= _rules(engine, count)
    header = orjson.dumps(
        {
            "engine_version": ENGINE_VERSION,
            **_written(_computed(engine.config)),
            "arrays": [[name, len(part), part.nbytes] for name, part in parts.items()],
        }
    )
    return b"".join(
        [_LENGTH.pack(MAGIC, len(header)), header, *(part.data for part in parts.values())]
    )


def _rules(engine: Engine, count: int) -> dict[str, npt.NDArray[Any]]:
    runner = engine.runner
    parts = {f"fired:{key}": moments[:count] for key, moments in sorted(runner.fired_at.items())}
    for key, stopped in sorted(runner.stopped.items()):
        if stopped:
            parts[f"stopped:{key}"] = np.array(sorted(stopped.items()), np.int64)
    for past in runner.past.values():
        parts |= past.arrays(count)
    return parts


def _computed(config: EngineConfig) -> dict[str, list[str]]:
    """What the state depends on.

    The calendar is left out: a new year's holidays must not cost the state.
    """
    return {"timeframes": list(config.timeframes), "indicators": sorted(config.indicators)}


def _written(named: dict[str, T]) -> dict[str, T]:
    """The same under the names that snapshots have for it."""
    return {_NAMES.get(name, name): each for name, each in named.items()}


def restore(
    value: bytes,
    rules: tuple[Rule, ...],
    config: EngineConfig | None = None,
    on_fault: OnFault | None = None,
) -> Engine:
    """The engine as it was.

    A rule the snapshot does not know starts without cooldowns; one that is gone is forgotten. So do
    columns of TA-Lib: other ones than the snapshot's warm up anew, and so does a column that no
    rule looked back at before.

    Raises:
        Misconfigured: made by another engine version or for other timeframes or indicators, or
            damaged.
    """
    config = config or EngineConfig()
    parts = _parts(value, config)
    state = tables.empty(config)
    keys = (
        _array(parts, "live", np.dtype(np.int64))
        .reshape(-1, layout.LIVE_WIDTH)[:, layout.KEY]
        .copy()
    )
    if len(keys):
        state = tables.grown(state, keys, config)
    kinds = state.live[: len(keys), layout.HOURS].copy()
    _fill(state, parts)
    state.live[: len(keys), layout.HOURS] = kinds  # by today's calendar
    engine = Engine(config, rules, state, on_fault)
    for name, array in engine.talib.arrays(len(keys)).items():
        if name in parts:
            _copy(name, parts, array)
    _restore_rules(engine, parts, len(keys))
    return engine


def _restore_rules(engine: Engine, parts: dict[str, memoryview], count: int) -> None:
    runner = engine.runner
    for key, moments in runner.fired_at.items():
        if f"fired:{key}" in parts:
            moments[:count] = _array(parts, f"fired:{key}", moments.dtype)
    for key, stopped in runner.stopped.items():
        if f"stopped:{key}" in parts:
            held = _array(parts, f"stopped:{key}", np.dtype(np.int64)).reshape(-1, 2)
            stopped.update((number, end) for number, end in held.tolist())
    for past in runner.past.values():
        names = [name for name in map(past.part, past.names) if name in parts]
        past.load({name: _array(parts, name, past.values.dtype) for name in names}, count)


def _fill(state: Tables, parts: dict[str, memoryview]) -> None:
    held = tables.arrays(state)
    for name, target in _written(held).items():
        _copy(name, parts, target)
    tables.set_indicators(state, held["indicators"])


def _copy(name: str, parts: dict[str, memoryview], target: npt.NDArray[Any]) -> None:
    source = _array(parts, name, target.dtype)
    if source.size != target.size:
        raise _refused(f"{name} holds {source.size} entries, expected {target.size}")
    target[...] = source.reshape(target.shape)


def _array(parts: dict[str, memoryview], name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    raw = parts.get(name)
    if raw is None or len(raw) % dtype.itemsize:
        raise _refused(f"array {name!r} is missing or cut")
    return np.frombuffer(raw, dtype)


def _parts(value: bytes, config: EngineConfig) -> dict[str, memoryview]:
    if len(value) < _LENGTH.size or value[:4] != MAGIC:
        raise _refused("not an engine snapshot")
    _, length = _LENGTH.unpack_from(value)
    at = _LENGTH.size + length
    try:
        header = orjson.loads(value[_LENGTH.size : at])
    except orjson.JSONDecodeError:
        raise _refused("its header is not JSON") from None
    if header.get("engine_version") != ENGINE_VERSION:
        raise _refused(
            f"made by engine version {header.get('engine_version')}, this is {ENGINE_VERSION}"
        )
    for name, wanted in _computed(config).items():
        held = header[_NAMES.get(name, name)]
        if held != wanted:
            differ = ", ".join(sorted({*held} ^ {*wanted}))
            raise _refused(f"made for other {name} (they differ in {differ})")
    parts = {}
    for name, _, size in header["arrays"]:
        parts[name] = memoryview(value)[at : at + size]
        at += size
    if at != len(value):
        raise _refused(f"{len(value)} bytes, its header says {at}")
    return parts


def _refused(reason: str) -> Misconfigured:
    return Misconfigured(
        f"engine snapshot refused: {reason}; "
        "delete the snapshot topic to rebuild the state from ats.ticks"
    )
