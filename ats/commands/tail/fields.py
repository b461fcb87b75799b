"""What fields a topic's values have, and of which type: for filters and for units."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

from ats.commands.tail.entries import TICK_COLUMNS
from schemas.ids import InstrumentId
from schemas.topics import Topic
from schemas.units import Price, Quantity, UtcNs
from streams.columns.names import is_price

_TICK: Final[Mapping[str, Any]] = {
    "instrument": InstrumentId,
    **dict.fromkeys(TICK_COLUMNS, int),
    "exchange_time": UtcNs,
    "received_at": UtcNs,
    "clock": UtcNs,
    "price": Price,
    "volume": Quantity | None,
}


def fields_of(topic: Topic) -> Mapping[str, Any]:
    """The type of each field of the topic's values, by name."""
    if topic.message is not None:
        return _of_model(topic.message)
    return {"bytes": int} if topic.holds_snapshots else _TICK


def inside(annotation: Any, name: str) -> Any:
    """The type of the field `name` of what `annotation` describes; of a list, that of its elements.

    Any where everything may stand.

    Raises:
        KeyError: there is no such field.
    """
    plain = plain_type(annotation)
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return _of_model(plain)[name]
    if get_origin(plain) is tuple:
        return inside(get_args(plain)[0], name)
    if get_origin(plain) is dict:
        return Price if is_price(name) and _is_number(get_args(plain)[1]) else get_args(plain)[1]
    if plain is Any:
        return Any
    raise KeyError(name)


def names_in(annotation: Any) -> tuple[str, ...]:
    """The fields that `inside` would find by name; none where all names may stand, or none."""
    plain = plain_type(annotation)
    if get_origin(plain) is tuple:
        return names_in(get_args(plain)[0])
    if isinstance(plain, type) and issubclass(plain, BaseModel):
        return tuple(plain.model_fields)
    return ()


def plain_type(annotation: Any) -> Any:
    """Without `Annotated` and `| None`; any other union, and what only JSON knows, is Any."""
    if get_origin(annotation) is Annotated:
        return plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kept = [each for each in get_args(annotation) if each is not type(None)]
        return plain_type(kept[0]) if len(kept) == 1 else Any
    return annotation if isinstance(annotation, type) or get_origin(annotation) else Any


def _is_number(annotation: Any) -> bool:
    return plain_type(annotation) is float


def _of_model(model: type[BaseModel]) -> Mapping[str, Any]:
    return {name: field.annotation for name, field in model.model_fields.items()}
