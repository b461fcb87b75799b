"""Answers of models that a what-if asked for: one JSON line each in a file, never on a topic.

A second run finds them there and costs nothing. A line is written whole and reaches the disk before
its answer is used. Where the guarantee stops: a line that a crash cut off is passed over, and its
question is asked again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from agents.journal import LlmCallCache, Question
from schemas.codec import decode, encode
from schemas.errors import Misconfigured, Unreadable
from schemas.messages import CallOutcome, LlmCall

# what a model said; after anything else it may be asked again
ANSWERS: Final = frozenset({CallOutcome.OK, CallOutcome.REFUSED, CallOutcome.UNCLEAN})
MOST_BYTES: Final = 1 << 30  # of the file: a hundred thousand answers
_OWN: Final = 0o600  # prompts quote what a desk trades by
_LONGEST: Final = 8 << 20  # bytes of a line; a call of `ats.llm` has 4 MiB at most


def is_of(model: str, call: LlmCall) -> bool:
    """Whether `model` was asked; providers append a date to the names of their models."""
    return re.fullmatch(rf"{re.escape(model)}(-\d[\d-]*)?", call.model) is not None


@dataclass(slots=True)
class KeptAnswers:
    """The answers of one model in `path`; the file is made with the first."""

    path: Path
    model: str
    calls: LlmCallCache = field(default_factory=LlmCallCache)

    @classmethod
    def read(cls, path: Path, model: str) -> KeptAnswers:
        """What is kept of `model`; nothing where there is no file.

        Raises:
            Misconfigured: the file cannot be read, or is too large.
        """
        kept = cls(path, model)
        try:
            if path.exists():
                for call in _calls(path, model):
                    kept.calls.remember(call)
        except OSError as error:
            raise Misconfigured(f"--answers {path}: {error.strerror}") from None
        return kept

    def keep(self, call: LlmCall) -> None:
        """Write an answer down, then serve it.

        Raises:
            Misconfigured: the file cannot be written.
        """
        line = orjson.dumps({"asked": self.model, "call": orjson.loads(encode(call))}) + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, _OWN)
            with os.fdopen(descriptor, "a+b") as file:
                torn = file.tell() > 0 and _last_byte(file) != b"\n"
                file.write(b"\n" + line if torn else line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise Misconfigured(f"--answers {self.path}: {error.strerror}") from None
        self.calls.remember(call)


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _calls(path: Path, model: str) -> Iterator[LlmCall]:
    if (size := path.stat().st_size) > MOST_BYTES:
        raise Misconfigured(f"--answers {path}: {size:,} bytes, {MOST_BYTES:,} at most: remove it")
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            try:
                read = orjson.loads(line)
                if read["asked"] == model:
                    yield decode(LlmCall, orjson.dumps(read["call"]))
            except (ValueError, KeyError, TypeError, Unreadable):
                continue  # cut off by a crash, or not ours


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """Recorded answers, and those that were asked anew.

    Attributes:
        model: Whose recorded answers count; empty: anybody's.
    """

    recorded: LlmCallCache
    kept: KeptAnswers | None = None
    model: str = ""

    def recall(self, question: Question) -> LlmCall | None:
        """The answer to exactly this question; None where there is none."""
        found = self.recorded.recall(question)
        # a signal that had grown too old was shown to no model
        if found and (not self.model or found.outcome is CallOutcome.STALE):
            return found
        if found and is_of(self.model, found):
            return found
        return self.kept.calls.recall(question) if self.kept else None
