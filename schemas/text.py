"""Text from outside, made fit to be kept: for Postgres, Kafka, logs and a terminal alike."""

from __future__ import annotations

import re
from typing import Final

REPLACEMENT: Final = "\ufffd"

# Not text, or not what it looks like: control characters (Postgres refuses U+0000), lone surrogates
# (no UTF-8 has them), what turns the direction of writing round, and code points that Unicode keeps
# for nobody.
_UNFIT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)


def clean(text: str, limit: int) -> str:
    """`text` in one line of at most `limit` characters that can be stored, sent and printed.

    White space becomes single blanks, anything unfit U+FFFD. Cleaning clean text changes nothing.
    """
    # twice: to look at no more than is kept, and because blanks that fold may leave one at the end
    kept = " ".join(text[: 2 * limit].split())
    return _UNFIT.sub(REPLACEMENT, kept)[:limit].rstrip()
