"""Every route with its parameters: the server answers these, the OpenAPI document describes them,
and the tests try all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from ats.gateway.console import Console, OperatedDay, OperatorActions
from ats.gateway.market import BARS
from ats.gateway.scores import ScoreCard
from ats.gateway.views import Candles, Chart, Decisions, DecisionStory, Today, Why, id_of
from schemas.frozen import FrozenModel
from schemas.ids import InstrumentId
from schemas.market import Timeframe

MOST_WANTED: Final = 50  # instruments of one viewer, besides what they hold
MOST_TEXT: Final = 64  # characters of one value
DEFAULT_BARS: Final = 375  # a day's minutes
DEFAULT_DECISIONS: Final = 20
MOST_ACTIONS: Final = 2**31 - 1  # the highest id that may be asked for
MOST_DECISIONS: Final = 50  # each with two reports and what they looked at


class BadParameter(Exception):
    """A parameter that no route of ours takes, or not so. Next: the viewer asks otherwise."""


class Parameter(NamedTuple):
    """One parameter of a route.

    Attributes:
        where: `path` or `query`.
        read: Makes a value of its text; raises ValueError.
        schema: JSON Schema of one value.
        many: May be repeated, up to so often; 0: once.
        default: Where it may be left out and is.
    """

    name: str
    where: str
    words: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    many: int = 0
    default: Any = None


class Route(NamedTuple):
    """One question.

    Attributes:
        view: The shape of the answer; None: not a single JSON document of ours.
        open: Answered without a token.
        operator: Answered to operators; to everybody else there is no such route.
    """

    name: str
    path: str
    words: str
    view: type[FrozenModel] | None
    parameters: tuple[Parameter, ...] = ()
    open: bool = False
    operator: bool = False


def _up_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise ValueError(text)
        return int(text)

    return read


def _day(text: str) -> date:
    found = date.fromisoformat(text)
    if found.isoformat() != text:
        raise ValueError(text)
    return found


def _id(text: str) -> object:
    found = id_of(text)
    if found is None:
        raise ValueError(text)
    return found


_ID_SCHEMA: Final = {"type": "string", "format": "uuid"}
_INSTRUMENT_SCHEMA: Final = {"type": "string", "maxLength": 24, "examples": ["NSE_EQ:2885"]}
INSTRUMENTS: Final = Parameter(
    "instrument",
    "query",
    f"Of which the last prices (and in a stream the bars) are told, besides what you hold; repeat "
    f"it, at most {MOST_WANTED} times.",
    InstrumentId.parse,
    _INSTRUMENT_SCHEMA,
    many=MOST_WANTED,
)
INSTRUMENT: Final = Parameter(
    "instrument", "path", "Whose bars.", InstrumentId.parse, _INSTRUMENT_SCHEMA
)
TIMEFRAME: Final = Parameter(
    "timeframe",
    "query",
    "Length of a bar.",
    Timeframe,
    {"type": "string", "enum": [each.value for each in Timeframe]},
    default=Timeframe.M1,
)

ROUTES: Final = (
    Route(
        "today",
        "/v1/today",
        "Your newest trading day, and what is public of it.",
        Today,
        (INSTRUMENTS,),
    ),
    Route(
        "candles",
        "/v1/candles/{instrument}",
        "The newest final bars of one instrument.",
        Candles,
        (
            INSTRUMENT,
            TIMEFRAME,
            Parameter(
                "bars",
                "query",
                "How many, at most.",
                _up_to(BARS),
                {"type": "integer", "minimum": 1, "maximum": BARS},
                default=DEFAULT_BARS,
            ),
        ),
    ),
    Route(
        "decision",
        "/v1/decisions/{decision}",
        "One decision of the day with its signal and reports, and your own order of it.",
        DecisionStory,
        (Parameter("decision", "path", "Its id.", _id, _ID_SCHEMA),),
    ),
    Route(
        "decisions",
        "/v1/decisions",
        "The day's decisions, newest first, each with its signal and reports, and your own order.",
        Decisions,
        (
            Parameter(
                "before",
                "query",
                "Id of the last one that you have: what came before it is told.",
                _id,
                _ID_SCHEMA,
            ),
            Parameter(
                "most",
                "query",
                "How many, at most.",
                _up_to(MOST_DECISIONS),
                {"type": "integer", "minimum": 1, "maximum": MOST_DECISIONS},
                default=DEFAULT_DECISIONS,
            ),
        ),
    ),
    Route(
        "chart",
        "/v1/chart/{instrument}",
        "One day of one instrument: its final bars, averages and signals, and what you did in it.",
        Chart,
        (
            INSTRUMENT,
            TIMEFRAME,
            Parameter(
                "day",
                "query",
                "One of the answer's `days`; the newest where it is left out.",
                _day,
                {"type": "string", "format": "date"},
            ),
        ),
    ),
    Route(
        "why",
        "/v1/why/{order}",
        "One order of yours of the last days, from the tick to the fill, in sentences.",
        Why,
        (Parameter("order", "path", "Its id.", _id, _ID_SCHEMA),),
    ),
    Route(
        "stream",
        "/v1/stream",
        "Server-sent events: a snapshot, then each event as it happens. With `Last-Event-ID` it "
        "goes on where you left, or begins with a snapshot when that is too long ago.",
        None,
        (INSTRUMENTS,),
    ),
    Route(
        "console",
        "/v1/operator/console",
        "How the platform stands: every user, the pipeline, halts and incidents.",
        Console,
        operator=True,
    ),
    Route(
        "operated",
        "/v1/operator/users/{user}",
        "One user's newest trading day, as they see it themselves.",
        OperatedDay,
        (Parameter("user", "path", "Whose.", _id, _ID_SCHEMA),),
        operator=True,
    ),
    Route(
        "actions",
        "/v1/operator/actions",
        "What operators did on the console: fifty, newest first.",
        OperatorActions,
        (
            Parameter(
                "before",
                "query",
                "Id of the last one that you have: what came before it is told.",
                _up_to(MOST_ACTIONS),
                {"type": "integer", "minimum": 1, "maximum": MOST_ACTIONS},
            ),
        ),
        operator=True,
    ),
    Route(
        "scores",
        "/v1/operator/scorecard",
        "How good the newest day's decisions were, by rule and agent. It is made when it is asked "
        "for, and told again for five minutes.",
        ScoreCard,
        operator=True,
    ),
    Route("openapi", "/v1/openapi.json", "This document.", None, open=True),
)


def values_of(
    route: Route, path: Mapping[str, str], query: Iterable[tuple[str, str]]
) -> dict[str, Any]:
    """What the parameters of one request say, by name.

    Raises:
        BadParameter: one that the route does not take, twice, too often, too long or malformed.
            Its value is not repeated: it may be a token.
    """
    said: dict[str, list[str]] = {}
    known = {each.name: each for each in route.parameters if each.where == "query"}
    for name, text in query:
        if name not in known:
            raise BadParameter("a parameter that this route does not take")
        said.setdefault(name, []).append(text)
    for each in route.parameters:
        if each.where == "path":
            said[each.name] = [path[each.name]]
    return {each.name: _value(each, said.get(each.name, ())) for each in route.parameters}


def _value(parameter: Parameter, texts: Sequence[str]) -> Any:
    if len(texts) > max(1, parameter.many) or any(len(text) > MOST_TEXT for text in texts):
        raise BadParameter(f"{parameter.name} is given too often, or too long")
    try:
        values = [parameter.read(text) for text in texts]
    except ValueError:
        raise BadParameter(f"{parameter.name} is not as the document says") from None
    if parameter.many:
        return frozenset(values)
    return values[0] if values else parameter.default
