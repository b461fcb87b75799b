"""The topics as an AsyncAPI 3.1 document; payloads are the JSON Schemas beside it."""

from __future__ import annotations

import inspect
import json
import tomllib
from pathlib import Path
from typing import Any, Final

from schemas.cloud_events import JSON, source_of, type_of
from schemas.messages import Message
from schemas.topics import CATALOGUE, Topic
from tools.messages import model

_PYPROJECT: Final = Path(__file__).resolve().parents[2] / "pyproject.toml"
_BINDING: Final = "0.5.0"  # of AsyncAPI's Kafka bindings
_DESCRIPTION: Final = f"""\
What ATS writes to Kafka. Messages only grow: ignore a field that you do not know, and pass over \
an enum value that you do not know. A message may come again with the same id and bytes. Amounts \
are integers of paise, times UTC nanoseconds. {model.HEAD}"""
_TICKS: Final = "Binary: little-endian, packed. docs/consumers.md has its layout."


def document() -> str:
    """The whole file."""
    topics = [each for each in CATALOGUE if not each.holds_snapshots]
    project = tomllib.loads(_PYPROJECT.read_text())["project"]
    whole = {
        "asyncapi": "3.1.0",
        "info": {
            "title": project["name"],
            "version": project["version"],
            "description": _DESCRIPTION,
            "license": {"name": project["license"]},
        },
        "defaultContentType": JSON,
        "channels": {_name(each): _channel(each) for each in topics},
        "operations": {f"write-{_name(each)}": _operation(each) for each in topics},
        "components": {
            "messages": {_name(each): _message(each) for each in topics},
            "messageTraits": {"cloudEvent": {"headers": _event_headers()}},
        },
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _name(topic: Topic) -> str:
    return topic.name.removeprefix("ats.")


def _channel(topic: Topic) -> dict[str, Any]:
    retention = -1 if topic.retention_days is None else int(topic.config()["retention.ms"])
    kept = {
        "cleanup.policy": ["compact" if topic.compacted else "delete"],
        "retention.ms": retention,
        "max.message.bytes": topic.max_message_bytes,
    }
    return {
        "address": topic.name,
        "messages": {_name(topic): {"$ref": f"#/components/messages/{_name(topic)}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": kept,
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(topic: Topic) -> dict[str, Any]:
    name = _name(topic)
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{name}"}],
    }


def _message(topic: Topic) -> dict[str, Any]:
    key = {"type": "string", "description": topic.key}
    bindings = {"kafka": {"key": key, "bindingVersion": _BINDING}}
    if topic.message is None:
        return {
            "title": "Ticks",
            "contentType": "application/octet-stream",
            "description": _TICKS,
            "payload": {"type": "string", "contentEncoding": "binary"},
            "bindings": bindings,
        }
    return {
        "name": topic.message.__name__,
        "title": topic.message.__name__,
        "description": inspect.cleandoc(topic.message.__doc__ or ""),
        "headers": _own_headers(topic, topic.message),
        "payload": {"$ref": f"json/{topic.name}.json"},
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "bindings": bindings,
    }


def _own_headers(topic: Topic, message: type[Message]) -> dict[str, Any]:
    """Those of the event that every message of a topic has alike."""
    return {
        "type": "object",
        "properties": {
            "ce_type": {"const": type_of(message)},
            "ce_source": {"const": source_of(topic.name)},
        },
    }


def _event_headers() -> dict[str, Any]:
    """Those of every message (docs/consumers.md)."""
    text = {"type": "string"}
    said = {
        "ce_specversion": {"const": "1.0"},
        "ce_id": text | {"format": "uuid", "description": "the message's id"},
        "ce_time": text
        | {"format": "date-time", "description": "its event_time, to the nanosecond"},
        "ce_subject": text | {"description": "the record's key"},
        "content-type": {"const": JSON},
        "ats-manifest": text
        | {"format": "uuid", "description": "what the writer was started with"},
        "ats-cause": text | {"description": "OFFSET:NTH of the record that caused it"},
    }
    return {"type": "object", "properties": said}
