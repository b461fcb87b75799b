"""The OpenAPI document, made from the routes and the shapes of their answers."""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from ats.gateway.routes import ROUTES, Parameter, Route
from ats.gateway.views import (
    DecisionApproval,
    End,
    Feed,
    Lines,
    OwnOrder,
    OwnResult,
    Prices,
    Refusal,
    Shortlist,
    Today,
)
from schemas.codec import opened
from schemas.frozen import FrozenModel
from schemas.messages import (
    Candle,
    Decision,
    ExitOrder,
    ObservedOrder,
    Position,
    Preflight,
    Report,
    Signal,
    Trade,
    UserSession,
)

# Name -> data of each event of the stream.
EVENTS: Final[dict[str, type[FrozenModel]]] = {
    "snapshot": Today,
    "feed": Feed,
    "shortlist": Shortlist,
    "signal": Signal,
    "report": Report,
    "decision": Decision,
    "approval": DecisionApproval,
    "candle": Candle,
    "prices": Prices,
    "lines": Lines,
    "session": UserSession,
    "preflight": Preflight,
    "order": OwnOrder,
    "broker_order": ObservedOrder,
    "trade": Trade,
    "position": Position,
    "exit": ExitOrder,
    "result": OwnResult,
    "end": End,
}
VERSION: Final = "1"
_REF: Final = "#/components/schemas/{model}"
_REFUSALS: Final = {
    "400": "A parameter that the route does not take, or not so.",
    "401": "No access token of Supabase's, or one that is refused.",
    "403": "The request comes from a web page of another origin.",
    "404": "Nothing is known by that name; an operator's route is to nobody else.",
    "429": "Too many requests, or streams, of one user.",
    "503": "The gateway reads the day up, is full, or cannot check tokens now.",
}


def document() -> dict[str, Any]:
    """The document of version 3.1."""
    views: set[type[FrozenModel]] = {Refusal, *EVENTS.values()}
    views |= {route.view for route in ROUTES if route.view}
    ordered = sorted(views, key=lambda view: view.__name__)
    _, schemas = models_json_schema(
        [(view, "serialization") for view in ordered], ref_template=_REF
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ATS read gateway",
            "version": VERSION,
            "description": "What one user may see: their own, and what is public; and what "
            "operators see, whom the database names. Amounts are integers of paise, moments UTC "
            "nanoseconds of market time. Ignore fields and events that you do not know.",
        },
        "paths": {route.path: {"get": _operation(route)} for route in ROUTES},
        "components": {
            "schemas": opened(schemas["$defs"]),
            "securitySchemes": {
                "user": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The access token that Supabase gave the user, in the header "
                    "and nowhere else.",
                }
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": {"description": route.words, "content": _content(route)}}
    if not route.open:
        answers |= {
            code: {"description": words, "content": _json(Refusal)}
            for code, words in _REFUSALS.items()
        }
    parameters = [_parameter(each) for each in route.parameters]
    if route.name == "stream":
        parameters.append(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "description": "Id of the last event that you have.",
                "schema": {"type": "string", "maxLength": 64},
            }
        )
    return {
        "operationId": route.name,
        "summary": route.words,
        "security": [] if route.open else [{"user": []}],
        "parameters": parameters,
        "responses": answers,
    }


def _content(route: Route) -> dict[str, Any]:
    if route.view:
        return _json(route.view)
    if route.name == "stream":
        return {
            "text/event-stream": {
                "schema": {"type": "string"},
                "x-ats-events": {name: _reference(view) for name, view in EVENTS.items()},
            }
        }
    return {"application/json": {"schema": {"type": "object"}}}


def _json(view: type[FrozenModel]) -> dict[str, Any]:
    return {"application/json": {"schema": _reference(view)}}


def _reference(view: type[FrozenModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=view.__name__)}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = dict(parameter.schema)
    if parameter.many:
        schema = {"type": "array", "items": schema, "maxItems": parameter.many}
    elif parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.words,
        "schema": schema,
    }
