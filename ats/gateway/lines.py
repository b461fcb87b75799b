"""Averages to draw over bars, of those instruments that somebody looks at. Pure.

The topic of indicators is the largest but ticks: what nobody looks at is not even decoded.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Final

from ats.gateway.series import SeriesKey, Told
from ats.gateway.views import LinePoint, Lines
from schemas.ids import UserId
from schemas.messages import Indicators
from schemas.units import UtcNs

DRAWN: Final = ("vwap", "ema_9", "ema_21")  # prices in paise; what is not computed is left out
MOST_WATCHED: Final = 1_000  # series; a day's minutes of one take 0.1 MB
OF_ONE_USER: Final = 8  # of those, so that nobody's curiosity takes others' lines away
POINTS: Final = 500  # of each


class LinesFold:
    """The newest points of each watched series."""

    def __init__(self) -> None:
        self._watched: OrderedDict[SeriesKey, dict[UtcNs, LinePoint]] = OrderedDict()
        self._whole: set[SeriesKey] = set()
        self._of_user: dict[UserId, deque[SeriesKey]] = {}
        self._keys: frozenset[bytes] = frozenset()

    def watch(self, user: UserId, key: SeriesKey) -> None:
        """Keep what comes of `key`; what nobody asked for longest gives way."""
        theirs = self._of_user.setdefault(user, deque())
        if key in theirs:
            theirs.remove(key)
        theirs.append(key)
        if len(theirs) > OF_ONE_USER:
            self._let_go(theirs.popleft())
        self._watched.setdefault(key, {})
        self._watched.move_to_end(key)
        if len(self._watched) > MOST_WATCHED:
            oldest = next(iter(self._watched))
            for others in self._of_user.values():
                if oldest in others:
                    others.remove(oldest)
            self._let_go(oldest)
        self._keys = frozenset(str(each.instrument).encode() for each in self._watched)

    def _let_go(self, key: SeriesKey) -> None:
        """Unless somebody else looks at it."""
        if not any(key in theirs for theirs in self._of_user.values()):
            self._watched.pop(key, None)
            self._whole.discard(key)

    def is_watched(self, record_key: bytes | None) -> bool:
        """Whether a record of that key may be of a series that somebody looks at."""
        return record_key in self._keys

    def is_whole(self, key: SeriesKey) -> bool:
        """Whether the day was read up, so that nothing is missing before the first point."""
        return key in self._whole

    def read_up(self, key: SeriesKey, points: Iterable[LinePoint]) -> None:
        """Take in what was there before `key` was watched."""
        if key in self._watched:
            known = {each.start: each for each in points} | self._watched[key]
            self._watched[key] = {start: known[start] for start in sorted(known)[-POINTS:]}
            self._whole.add(key)

    def begin_day(self) -> None:
        """The lines of an earlier day are asked for anew."""
        self._watched.clear()
        self._whole.clear()
        self._of_user.clear()
        self._keys = frozenset()

    def on_indicators(self, row: Indicators) -> Iterator[Told]:
        """The values at a bar's close."""
        points = self._watched.get(SeriesKey(row.instrument, row.timeframe))
        if points is None or row.start in points:
            return
        points[row.start] = point = point_of(row)
        if len(points) > POINTS:
            del points[next(iter(points))]
        lines = Lines(instrument=row.instrument, timeframe=row.timeframe, points=(point,))
        yield Told("lines", lines, row.instrument)

    def points(self, key: SeriesKey) -> tuple[LinePoint, ...]:
        """Those that are known, oldest first."""
        points = self._watched.get(key, {})
        return tuple(points[start] for start in sorted(points))


def point_of(row: Indicators) -> LinePoint:
    """What is drawn of one row, to a hundredth of a paisa."""
    drawn = {name: row.values[name] for name in DRAWN if row.values.get(name) is not None}
    return LinePoint(
        start=row.start,
        values={name: round(value, 2) for name, value in drawn.items() if value is not None},
    )
