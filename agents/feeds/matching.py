"""Which shares a headline is about: whole words, the longest name first. Pure.

Names come from the instrument master, other names from configuration. A name that stands inside a
longer one that is known ("Reliance" in "Reliance Power") counts for the longer one alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MAX_WORDS: Final = 8  # of a name

# `Reliance-backed` and `self-reliance` are words of their own, `L&T` and `D.B.` too
_WORD: Final = re.compile(r"\w+(?:[&.'’-]\w+)*")
_POSSESSIVE: Final = re.compile(r"['’]s\Z", re.IGNORECASE)
_LEGAL: Final = frozenset({"ltd", "limited", "pvt", "private"})
_SHORTEST_NAME: Final = 4  # letters of a name of one word; a shorter one counts as it is written


@dataclass(frozen=True, slots=True)
class _Phrase:
    """A name as words.

    Attributes:
        symbol: "" for a phrase that is nobody's.
        exact: Written so and not otherwise, such as a symbol.
        capital: Of one word, which common words share: begins with a capital letter.
    """

    words: tuple[str, ...]
    symbol: str
    exact: bool = False
    capital: bool = False


class Names:
    """Knows shares by symbol, name and configured aliases.

    Attributes:
        shares: Names by symbol, of the master.
    """

    def __init__(
        self,
        shares: Mapping[str, str],
        aliases: Mapping[str, Sequence[str]] | None = None,
        ignored: Sequence[str] = (),
    ) -> None:
        """`shares` are names by symbol; `ignored` phrases are about none of them."""
        self.shares = shares
        self._aliases = aliases or {}
        self._ignored = ignored
        named = {symbol: _shortened(_words(name)) for symbol, name in shares.items()}
        holders = defaultdict(set)
        for symbol, words in named.items():
            holders[tuple(_folded(word) for word in words)].add(symbol)
        phrases = [
            _phrase(words, symbol)
            for symbol, words in named.items()
            if words and len(holders[tuple(_folded(word) for word in words)]) == 1
        ]
        phrases += [_Phrase((symbol,), symbol, exact=True) for symbol in {*shares, *self._aliases}]
        phrases += [
            _phrase(_words(alias), symbol)
            for symbol, others in self._aliases.items()
            for alias in others
        ]
        # first of equals: what configuration says is nobody's
        phrases = [_Phrase(_fold_all(_words(each)), "") for each in ignored] + phrases[::-1]
        self._by_first: dict[str, list[_Phrase]] = defaultdict(list)
        for phrase in phrases:
            if 0 < len(phrase.words) <= MAX_WORDS:
                self._by_first[_folded(phrase.words[0])].append(phrase)
        for candidates in self._by_first.values():
            candidates.sort(key=lambda phrase: -len(phrase.words))
        self._codes = self._codes_of(shares)

    def with_shares(self, shares: Mapping[str, str]) -> Names:
        """The same aliases with another master."""
        return Names(shares, self._aliases, self._ignored)

    def symbols_in(self, text: str) -> frozenset[str]:
        """The symbols that `text` names."""
        words = _words(text)
        shouted = text == text.upper()  # in a line of capitals a symbol is a word like others
        found: set[str] = set()
        at = 0
        while at < len(words):
            phrase = self._at(words, at, shouted=shouted)
            if phrase is None:
                at += 1
                continue
            found.add(phrase.symbol)
            at += len(phrase.words)
        return frozenset(found - {""})

    def symbol_of(self, symbol: str, company: str) -> str:
        """Whom an exchange means by a symbol, a number or a name; "" when unknown."""
        return symbol or self._codes.get(" ".join(_fold_all(_shortened(_words(company)))), "")

    def _at(self, words: Sequence[str], at: int, *, shouted: bool) -> _Phrase | None:
        for phrase in self._by_first.get(_folded(words[at]), ()):
            said = words[at : at + len(phrase.words)]
            if phrase.exact:
                if not shouted and said[0] == phrase.words[0]:
                    return phrase
            elif _fold_all(said) == phrase.words and (not phrase.capital or said[0][0].isupper()):
                return phrase
        return None

    def _codes_of(self, shares: Mapping[str, str]) -> dict[str, str]:
        told = [(name, symbol) for symbol, name in shares.items()]
        told += [(alias, symbol) for symbol, others in self._aliases.items() for alias in others]
        return {" ".join(_fold_all(_shortened(_words(name)))): symbol for name, symbol in told}


def _phrase(words: Sequence[str], symbol: str) -> _Phrase:
    alone = len(words) == 1
    if alone and (words[0].isupper() or len(words[0]) < _SHORTEST_NAME):
        return _Phrase((words[0],), symbol, exact=True)
    return _Phrase(_fold_all(words), symbol, capital=alone)


def _words(text: str) -> list[str]:
    found = (
        _POSSESSIVE.sub("", word) for word in _WORD.findall(unicodedata.normalize("NFKC", text))
    )
    return [word for word in found if word.lower() != "and"]  # Mahindra & Mahindra


def _shortened(words: Sequence[str]) -> list[str]:
    """Without what the law adds to a name."""
    kept = list(words)
    while len(kept) > 1 and _folded(kept[-1]) in _LEGAL:
        kept.pop()
    return kept


def _fold_all(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(_folded(word) for word in words)


def _folded(word: str) -> str:
    return word.casefold()
