"""What other languages know of our messages is what the schemas say today."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from schemas.topics import CATALOGUE
from tools.messages.asyncapi import document
from tools.messages.files import FILES


@pytest.mark.parametrize(("path", "made"), FILES.items(), ids=[path.name for path in FILES])
def test_the_committed_file_is_what_is_made_of_the_schemas(
    path: Path, made: Callable[[], str]
) -> None:
    assert path.read_text() == made(), "run: python -m tools.messages"


def test_the_asyncapi_document_has_each_topic_but_services_own_states() -> None:
    channels = orjson.loads(document())["channels"].values()

    assert [each["address"] for each in channels] == [
        topic.name for topic in CATALOGUE if not topic.holds_snapshots
    ]
