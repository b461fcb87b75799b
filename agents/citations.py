"""Whether the numbers that a model quotes stand in the data that it was given. Pure.

A citation names a number of the message's `data` and repeats it. In running words only exact
numbers are looked up: whole numbers below a thousand are periods, minutes, scores and counts, and
any text may hold them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from agents.answers import Citation

Numbers = Mapping[str, float]  # by dotted path

# a citation may round, but not to nothing: 0.03 is not 0
_ROUNDING: Final = 0.02
_HARMLESS: Final = 1_000
# `285,000`, `2,850.05`, `0.5`; not the digits of `ema_9`, `15m` or `FY2026`
_NUMBER: Final = re.compile(r"(?<![\w.])(\d{1,3}(?:,\d{2,3})+|\d+)(\.\d+)?(?![\w]|\.\d)")
# prices stand in paise and are spoken of in rupees; fractions are spoken of in percent
_SCALES: Final = (1.0, 0.01, 100.0)


def numbers_of(data: Mapping[str, Any]) -> dict[str, float]:
    """Every number in `data` by its dotted path; an element of a list counts from 0."""
    return dict(_numbers(data, ""))


def texts_of(data: object) -> Iterator[str]:
    """Every text in `data`, wherever it stands."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from texts_of(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from texts_of(value)


def unknown_citation(citations: Iterable[Citation], known: Numbers) -> Citation | None:
    """The first citation whose number does not stand where it says; None when all do.

    A name may leave out the beginning of its path: `rsi_14` is any number of that name.
    """
    return next((each for each in citations if not _stands(each, known)), None)


def unknown_number(words: str, known: Iterable[float], texts: Iterable[str]) -> str:
    """The first exact number in `words` that neither `known` nor `texts` hold; `""` when none.

    Numbers may be rounded, and paise may be spoken of as rupees, fractions as percent.
    """
    values = [abs(value) for value in known]
    values += [float(number) for text in texts for _, number in _exact(text)]
    for said, number in _exact(words):
        margin = _margin(number)
        if not any(
            abs(value * scale - float(number)) <= margin for value in values for scale in _SCALES
        ):
            return said
    return ""


def _numbers(value: object, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{path}.{index}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def _stands(citation: Citation, known: Numbers) -> bool:
    name = citation.name.removeprefix("data.")
    margin = _margin(Decimal(str(citation.value)))
    return any(
        abs(value - citation.value) <= min(margin, _ROUNDING * abs(value))
        for path, value in known.items()
        if path == name or path.endswith(f".{name}")
    )


def _margin(number: Decimal) -> float:
    """Half of the last digit that is given, and a grain for binary fractions."""
    exponent = number.normalize().as_tuple().exponent
    digits = min(0, exponent) if isinstance(exponent, int) else 0
    return 0.5 * 10.0**digits * (1 + 1e-9)


def _exact(text: str) -> Iterator[tuple[str, Decimal]]:
    for found in _NUMBER.finditer(text):
        number = Decimal(found[0].replace(",", ""))
        if found[2] or number >= _HARMLESS:
            yield found[0], number
