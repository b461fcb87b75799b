"""What the simulated model thinks.

Each task of the agents has a plain rule over the data in the prompt. The rules are pure and claim
no understanding. The rules are sane enough that a demo shows agreement, doubt and refusal, and the
same prompt always gets the same answer. Reasons name what they rest on: the indicator, its level,
the headline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

GOOD_WORDS: Final = frozenset({
    "approval", "beats", "buyback", "dividend", "gains", "growth", "order", "profit", "record",
    "rises", "strong", "surges",
    "upgrade", "upgraded", "wins",
})  # fmt: skip
BAD_WORDS: Final = frozenset({
    "default", "downgrade", "downgraded", "falls", "fraud", "loss", "misses", "penalty", "probe",
    "recall", "resigns",
    "slumps", "strike", "weak",
})  # fmt: skip
RISK: Final = 0.005  # of the price, from entry to stop
HORIZON: Final = 30  # minutes that a signal's move is judged for
MOST_LEVELS: Final = 3
ACT_FROM: Final = 25  # combined score below which the commander holds
_SCHEMA_DEPTH: Final = 12  # an answer schema nested deeper refers to itself

Json = Any


def answer(prompt: Mapping[str, Json], schema: Mapping[str, Json] | None) -> dict[str, Json]:
    """The answer to `prompt`, made to fit `schema` when there is one.

    An unknown task gets the emptiest valid object.
    """
    think = _TASKS.get(str(prompt.get("task")))
    thought = think(prompt) if think else {}
    fitted = (
        thought if schema is None else _fit(thought, schema, schema.get("$defs", {}), _SCHEMA_DEPTH)
    )
    return fitted if isinstance(fitted, dict) else {}


def _scout(prompt: Mapping[str, Json]) -> dict[str, Json]:
    data = _mapping(prompt.get("data"))
    leanings = []
    for candidate in _list(data.get("candidates")):
        features = _mapping(_mapping(candidate).get("features"))
        leanings.append((_momentum(features), str(_mapping(candidate).get("symbol", "")), features))
    leanings.sort(key=lambda leaning: (-abs(leaning[0]), leaning[1]))
    size = data.get("shortlist_size")
    return {
        "ranked": [
            _ranked(*leaning)
            for leaning in leanings[: size if isinstance(size, int) else len(leanings)]
        ]
    }


def _ranked(leaning: float, symbol: str, features: Mapping[str, Json]) -> dict[str, Json]:
    month, rsi = _number(features, "return_20d"), _number(features, "rsi_14", 50)
    return {
        "symbol": symbol,
        "direction": "BULLISH" if leaning >= 0 else "BEARISH",
        "score": min(100, round(abs(leaning) * 100)),
        "reason": f"{month:+.1%} over 20 sessions with a daily RSI of {rsi:.0f}.",
    }


def _technical(prompt: Mapping[str, Json]) -> dict[str, Json]:
    data = _mapping(prompt.get("data"))
    signal, scan = _mapping(data.get("signal")), _mapping(data.get("scan"))
    features = _mapping(signal.get("features"))
    side = 1 if signal.get("direction") == "BULLISH" else -1
    fast, slow = _number(features, "ema_9"), _number(features, "ema_21")
    rsi = _number(features, "rsi_14", 50)
    stretched = side * (rsi - 50) > 22
    agrees = scan.get("initial_signal") == signal.get("direction")
    strength = 40 + 15 * (side * (fast - slow) > 0) + (20 if agrees else -10) - 25 * stretched
    distances = _mapping(_mapping(data.get("evidence")).get("distances"))
    return {
        "symbol": prompt.get("symbol"),
        "score": side * strength,
        "confidence": 45 + strength // 2,
        "setup": "strong" if agrees and not stretched else "fair" if agrees else "weak",
        **_key_levels(distances, side),
        "summary": f"{_chart(signal)} RSI 14 at {rsi:.0f} "
        f"{'is stretched' if stretched else 'leaves room'}; the daily scan "
        f"{'leans the same way' if agrees else 'leans the other way'}.",
    }


def _key_levels(distances: Mapping[str, Json], side: int) -> dict[str, Json]:
    """The nearest levels, and the nearest of them that the price would have to fall back to."""
    levels = [
        (abs(float(value)), float(value), name.removeprefix("above_").removesuffix("_atr"))
        for name, value in distances.items()
        if name.startswith("above_") and isinstance(value, int | float)
    ]
    levels.sort()
    behind = (name for _, value, name in levels if side * value > 0)
    return {
        "key_levels": [name for _, _, name in levels[:MOST_LEVELS]],
        "invalidation": next(behind, "none"),
    }


def _chart(signal: Mapping[str, Json]) -> str:
    """What the rule saw, with its levels."""
    features = _mapping(signal.get("features"))
    fast, slow = _number(features, "ema_9"), _number(features, "ema_21")
    seen = (
        f"{str(signal.get('rule')).replace('_', ' ')} on {signal.get('timeframe')} bars at "
        f"{_rupees(signal.get('price'))}"
    )
    if not fast or not slow:
        return f"{seen} points {'up' if signal.get('direction') == 'BULLISH' else 'down'}."
    return (
        f"{seen}: EMA 9 ({_rupees(fast)}) is {'above' if fast > slow else 'below'} EMA 21 "
        f"({_rupees(slow)})."
    )


def _rupees(paise: Json) -> str:
    number = float(paise) if isinstance(paise, int | float) and not isinstance(paise, bool) else 0.0
    return f"₹{number / 100:,.2f}"


def _sentiment(prompt: Mapping[str, Json]) -> dict[str, Json]:
    items = _list(_mapping(prompt.get("headlines")).get("items"))
    texts = [str(_mapping(item).get("text", "")) for item in items]
    weighed = [(text, _words_in(text, GOOD_WORDS), _words_in(text, BAD_WORDS)) for text in texts]
    good, bad = sum(row[1] for row in weighed), sum(row[2] for row in weighed)
    return {
        "symbol": prompt.get("symbol"),
        "score": max(-90, min(90, 30 * (good - bad))),
        "confidence": min(85, 20 + 20 * (good + bad)) if items else 0,
        "counted": [n for n, row in enumerate(weighed, 1) if row[1] or row[2]],
        "summary": _news(weighed, good - bad),
    }


def _words_in(text: str, known: frozenset[str]) -> int:
    return sum(word.strip(".,!?:;'\"") in known for word in text.lower().split())


def _news(weighed: Sequence[tuple[str, int, int]], balance: int) -> str:
    """Names the headline that weighs most in the direction of the whole."""
    if not weighed:
        return "No headlines."
    side = 1 if balance >= 0 else -1
    text = max(weighed, key=lambda row: side * (row[1] - row[2]))[0]
    if balance == 0:
        return f"The news does not lean either way, such as “{text}”."
    return f"The news is {'good' if balance > 0 else 'bad'}: “{text}”."


def _commander(prompt: Mapping[str, Json]) -> dict[str, Json]:
    data = _mapping(prompt.get("data"))
    named = {name: _mapping(report) for name, report in _mapping(data.get("reports")).items()}
    reports = list(named.values())
    weights = [_number(report, "confidence") for report in reports]
    scores = [_number(report, "score") for report in reports]
    heard = sum(weights)
    combined = (
        round(sum(w * s for w, s in zip(weights, scores, strict=True)) / heard) if heard else 0
    )
    signal = _mapping(data.get("signal"))
    direction = signal.get("direction")
    action = "HOLD"
    if combined >= ACT_FROM and direction == "BULLISH":
        action = "BUY"
    elif combined <= -ACT_FROM and direction == "BEARISH":
        action = "SELL"
    return {
        "symbol": prompt.get("symbol"),
        "action": action,
        "confidence": min(100, round(max(weights, default=0) * 0.6 + abs(combined) * 0.4)),
        **_levels(action, _number(signal, "price")),
        "citations": _citations(signal),
        "reasoning": f"{action}: {_chart(signal)} "
        f"{_said(_mapping(prompt.get('summaries')), 'sentiment')} "
        f"{_conclusion(action, scores, combined)}",
    }


def _levels(action: str, price: float) -> dict[str, Json]:
    """Half a percent against one, on either side of the price, within half an hour.

    None with a HOLD.
    """
    side = {"BUY": 1, "SELL": -1}.get(action, 0)
    return {
        "stop": round(price - side * price * RISK) if side else 0,
        "target": round(price + side * price * 2 * RISK) if side else 0,
        "horizon_minutes": HORIZON if side else 0,
    }


def _citations(signal: Mapping[str, Json]) -> list[Json]:
    """The numbers of the signal that the reasoning rests on, as they stand there."""
    features = _mapping(signal.get("features"))
    named = {"signal.price": signal.get("price")} | {
        f"signal.features.{name}": features.get(name) for name in ("ema_9", "ema_21", "rsi_14")
    }
    return [{"name": name, "value": value} for name, value in named.items() if value is not None]


def _said(summaries: Mapping[str, Json], name: str) -> str:
    return str(summaries.get(name) or "No word on the news.")


def _conclusion(action: str, scores: Sequence[float], combined: int) -> str:
    if action != "HOLD":
        return (
            f"Chart and news together lean {'up' if action == 'BUY' else 'down'}, the way of "
            "the signal."
        )
    if min(scores, default=0) < 0 < max(scores, default=0):
        return "Chart and news point in opposite ways."
    return (
        "The case is too weak."
        if abs(combined) < ACT_FROM
        else "The analysts lean against the signal."
    )


_TASKS: Final[Mapping[str, Callable[[Mapping[str, Json]], dict[str, Json]]]] = {
    "scout": _scout,
    "technical": _technical,
    "sentiment": _sentiment,
    "commander": _commander,
}


def _momentum(features: Mapping[str, Json]) -> float:
    """From -1 to 1: a month's return, the trend of the averages and the RSI, in equal parts."""
    parts = (
        _number(features, "return_20d") / 0.10,
        _number(features, "ema_trend") / 0.04,
        (_number(features, "rsi_14", 50) - 50) / 25,
    )
    return sum(max(-1.0, min(1.0, part)) for part in parts) / len(parts)


def _fit(value: Json, schema: Mapping[str, Json], defs: Mapping[str, Json], depth: int) -> Json:  # noqa: PLR0911
    """`value` where it has the schema's type, cut to its bounds.

    Anything else becomes the emptiest value that has the type.
    """
    schema = _resolved(schema, defs)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return value if value in schema["enum"] else schema["enum"][0]
    match schema.get("type"):
        case "object":
            given = _mapping(value)
            properties = schema.get("properties", {}) if depth else {}
            return {
                name: _fit(given.get(name), sub, defs, depth - 1)
                for name, sub in properties.items()
            }
        case "array":
            items = _list(value)[: schema.get("maxItems")]
            return [_fit(item, schema.get("items", {}), defs, depth - 1) for item in items]
        case "integer":
            return round(_bounded(value, schema))
        case "number":
            return _bounded(value, schema)
        case "boolean":
            return bool(value)
        case "string":
            text = "" if value is None else str(value)
            return text.ljust(schema.get("minLength", 0), "-")[: schema.get("maxLength")]
    return value


def _resolved(schema: Mapping[str, Json], defs: Mapping[str, Json]) -> Mapping[str, Json]:
    if "$ref" in schema:
        return _mapping(defs.get(str(schema["$ref"]).rsplit("/", 1)[-1]))
    for choice in (*_list(schema.get("anyOf")), *_list(schema.get("allOf"))):
        if _mapping(choice).get("type") != "null":
            return _resolved(_mapping(choice), defs)
    return schema


def _bounded(value: Json, schema: Mapping[str, Json]) -> float:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
    return max(_number(schema, "minimum", number), min(_number(schema, "maximum", number), number))


def _number(mapping: Mapping[str, Json], name: str, default: float = 0.0) -> float:
    value = mapping.get(name)
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default
    )


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else []
