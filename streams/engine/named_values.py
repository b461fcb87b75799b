"""Names the values of many bars in one compiled pass: `{"adx_14":21.5,"atr_14":null}` of each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import orjson

from streams.engine.compiled import FloatArray, compiled

Bytes: TypeAlias = npt.NDArray[np.uint8]
Places: TypeAlias = npt.NDArray[np.uintp]

_OPEN: Final = ord("[")
_COMMA: Final = ord(",")
_CLOSE: Final = ord("]")
_END: Final = ord("}")
_FIRST: Final = np.uintp(0)
_ONE: Final = np.uintp(1)


class NamedValues:
    """The columns of a message, in the order of their names, and their text before each value."""

    def __init__(self, columns: Sequence[tuple[str, int]]) -> None:
        """`columns` are names and where their values stand in a bar's row."""
        named = sorted(columns)
        heads = [orjson.dumps(name) + b":" for name, _ in named]
        whole = [b"%b%b" % (b"," if nth else b"{", head) for nth, head in enumerate(heads)]
        self._places = [place for _, place in named]
        self._heads = np.frombuffer(b"".join(whole), np.uint8)
        self._starts = np.cumsum([0, *map(len, whole)], dtype=np.uintp)

    def written(self, values: FloatArray) -> list[bytes]:
        """One JSON object of each row; what is not finite is null."""
        if not self._places:
            return [b"{}"] * len(values)
        rows = values.take(self._places, axis=1)
        text = orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)
        out = np.empty(len(text) + len(rows) * len(self._heads), np.uint8)
        ends = np.empty(len(rows) + 1, np.uintp)
        interleave(np.frombuffer(text, np.uint8), self._heads, self._starts, out, ends)
        whole, at = out[: int(ends[-1])].tobytes(), ends.tolist()
        return [whole[begin:end] for begin, end in pairwise(at)]


@compiled
def interleave(text: Bytes, heads: Bytes, starts: Places, out: Bytes, ends: Places) -> None:
    """Put each column's head before its value.

    `text` is an array of arrays of numbers, as orjson writes it. `ends` is where each row's object
    begins and, last, where the last one ends. All places are unsigned: signed ones may count from
    an array's end, and asking takes half of the time.
    """
    at = row = column = _FIRST
    inside = False
    ends[row] = at
    for place in range(_ONE, np.uintp(len(text)) - _ONE):
        byte = text[place]
        if byte != _COMMA and byte != _OPEN and byte != _CLOSE:  # noqa: PLR1714  # numba makes a loop of a tuple
            out[at] = byte
            at += _ONE
        elif byte == _CLOSE:
            out[at] = _END
            at += _ONE
            row += _ONE
            ends[row] = at
            column, inside = _FIRST, False
        elif byte == _OPEN or inside:
            inside = True
            for head in range(starts[column], starts[column + _ONE]):
                out[at] = heads[head]
                at += _ONE
            column += _ONE


def warm_up() -> None:
    """Compile the kernel, or load it from the disk."""
    NamedValues([("a", 0)]).written(np.zeros((1, 1)))
