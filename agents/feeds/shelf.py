"""The headlines that are known, each once, with when we saw them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agents.feeds.items import Item
from agents.feeds.matching import Names
from agents.news import Headline
from schemas.units import UtcNs

MAX_KEPT: Final = 5_000  # headlines about shares; some days of a busy set of feeds
_BETWEEN: Final = re.compile(r"\W+")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A headline. `source` is who had it first, `published_at` when that one says it was out."""

    text: str
    source: str
    published_at: UtcNs
    seen_at: UtcNs
    symbols: frozenset[str]


class Shelf:
    """Keeps headlines about shares. The same words again, from whomever, are no news."""

    def __init__(self, names: Names, max_age: UtcNs, limit: int = MAX_KEPT) -> None:
        self._names = names
        self._max_age = max_age
        self._limit = limit
        self._seen: dict[str, _Seen] = {}

    def rename(self, names: Names) -> None:
        """Know shares by other names from now on; offer again what may be about them."""
        self._names = names

    def put(
        self, source: str, items: Iterable[Item], seen_at: UtcNs, *, first: bool = False
    ) -> None:
        """Keep what is new of `items`.

        An item without a time counts as published when it was seen. At the `first` look at a source
        nobody knows how old it is: it is no news. The same words count anew, by their own date,
        where those that were first are too old by it, or dated to a day that is still to come.
        """
        undated = UtcNs(0) if first else seen_at
        for item in items:
            key = _BETWEEN.sub(" ", item.text.casefold()).strip()
            named = frozenset({self._names.symbol_of(item.symbol, item.company)} - {""})
            symbols = named or self._names.symbols_in(item.text)
            if not symbols or not key:
                continue
            if named:  # two companies may announce the same words
                key = f"{min(named)}|{key}"
            at = undated if item.published_at is None else item.published_at
            known = self._seen.pop(key, None)
            if known and item.published_at is not None and self._counts_anew(known, at, seen_at):
                known = None
            # at the end: what is still offered is forgotten last
            self._seen[key] = known or _Seen(item.text, source, at, seen_at, symbols)
        for key in list(self._seen)[: max(0, len(self._seen) - self._limit)]:
            del self._seen[key]

    def _counts_anew(self, known: _Seen, at: UtcNs, now: UtcNs) -> bool:
        to_come = known.published_at > now
        return at <= now and (to_come or at - known.published_at > self._max_age)

    def of(self, symbol: str, as_of: UtcNs) -> list[Headline]:
        """The headlines on `symbol` that were published and seen by `as_of`, none too old."""
        oldest = as_of - self._max_age
        return [
            Headline(published_at=each.published_at, source=each.source, text=each.text)
            for each in self._seen.values()
            if symbol in each.symbols
            and each.seen_at <= as_of
            and oldest <= each.published_at <= as_of
        ]
