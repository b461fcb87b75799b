"""The points of sweeps in one file: a line each, written as soon as its days are played.

The key of a line is a digest of data, code, configuration and point. So a sweep that was ended in
the middle goes on where it was, and one over other days or code begins anew. Nothing is ever
removed: how many lines there are is how often somebody looked.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

import orjson
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from backtest.trade import Trade
from schemas.errors import Misconfigured, TryLater

_BEGINNING: Final = b'{"key":'  # of each line
MOST_BYTES: Final = 200_000_000  # 5,000 points of ten years of days


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DayResult(_Model):
    """One day of one point; money is whole paise.

    Attributes:
        gross: Before charges.
        turnover: Bought and sold.
    """

    day: date
    trades: int = 0
    gross: int = 0
    charges: int = 0
    turnover: int = 0

    @property
    def net(self) -> int:
        """After charges."""
        return self.gross - self.charges


class PointResult(_Model):
    """What became of one point.

    Attributes:
        key: Of data, code, configuration and point (`key_of`).
        rule: Its name in the rules file.
        values: The parameters.
        days: Every day that was played, oldest first.
        refused: Why the rule cannot have these parameters; empty where it was played.
    """

    key: str
    rule: str
    values: dict[str, JsonValue]
    days: tuple[DayResult, ...] = ()
    refused: str = ""


def key_of(what: Mapping[str, JsonValue]) -> str:
    """A digest of whatever decides a result."""
    return sha256(orjson.dumps(what, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def days_of(trades: Iterable[Trade], days: Iterable[date]) -> tuple[DayResult, ...]:
    """The sums of each of `days`, those without a trade included."""
    sums = {day: [0, 0, 0, 0] for day in days}
    for trade in trades:
        own = sums[trade.day]
        for place, more in enumerate(
            (1, trade.gross, trade.charges, trade.entry_value + trade.exit_value)
        ):
            own[place] += more
    return tuple(
        DayResult(day=day, trades=count, gross=gross, charges=charges, turnover=turnover)
        for day, (count, gross, charges, turnover) in sums.items()
    )


@dataclass(slots=True)
class ResultsFile:
    """An open file of points.

    Attributes:
        known: What stood in it, by key.
    """

    path: Path
    known: dict[str, PointResult]
    _descriptor: int

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator[Self]:
        """Read `path` and hold it for one writer; it is made where it is not there.

        A last line that a kill cut short is taken off.

        Raises:
            TryLater: another sweep writes it.
            Misconfigured: it cannot be written, or holds something else.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Misconfigured(f"cannot write the results {path}: {error.strerror}") from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TryLater(f"another sweep writes {path} now") from None
            yield cls(path, _read(path, descriptor), descriptor)
        finally:
            os.close(descriptor)

    @property
    def tries(self) -> int:
        """How many settings of a rule were ever looked at in this file."""
        played = (each for each in self.known.values() if not each.refused)
        return len({(each.rule, key_of(each.values)) for each in played})

    def keep(self, results: Iterable[PointResult]) -> None:
        """Put points at the end; they are on the disk when it returns.

        Raises:
            TryLater: the disk takes no more.
        """
        new = list(results)
        try:
            for each in new:
                _write(self._descriptor, each.model_dump_json().encode() + b"\n")
            os.fsync(self._descriptor)
        except OSError as error:
            raise TryLater(f"cannot write the results {self.path}: {error.strerror}") from None
        self.known |= {each.key: each for each in new}


def _write(descriptor: int, line: bytes) -> None:
    os.lseek(descriptor, 0, os.SEEK_END)
    while line:
        line = line[os.write(descriptor, line) :]


def _read(path: Path, descriptor: int) -> dict[str, PointResult]:
    size = os.fstat(descriptor).st_size
    if size > MOST_BYTES:
        raise Misconfigured(f"the results {path} have {size:,} bytes: begin a new file, --results")
    text = b""
    while len(text) < size and (more := os.pread(descriptor, size - len(text), len(text))):
        text += more
    whole = text[: text.rfind(b"\n") + 1]
    found = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            result = PointResult.model_validate_json(line)
        except ValidationError:
            raise Misconfigured(
                f"the results {path}, line {number}: no point of a sweep; name another file, "
                "--results"
            ) from None
        found[result.key] = result
    if torn := text[len(whole) :]:
        if not _BEGINNING.startswith(torn[: len(_BEGINNING)]):
            raise Misconfigured(f"{path} is no file of a sweep; name another, --results")
        os.ftruncate(descriptor, len(whole))
    return found
