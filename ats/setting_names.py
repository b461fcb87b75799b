"""Finds misspelt settings: a name that nothing reads would leave its default in force without a
word. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Final

OURS: Final = "ATS_"  # every name that begins so is a setting of ATS, or a mistake
SHARED: Final = (
    "SUPABASE_",
    "ADMIN_DHAN_",
    "DHAN_",
    "OPENAI_",
    "GEMINI_",
    "DEEPSEEK_",
    "OPENROUTER_",
    "GROQ_",
    "KAFKA_",
)  # others have names with these beginnings too
# What else stands in the same environment or file on purpose: the page's, compose's broker, and the
# OpenAI library's own.
OTHERS: Final = frozenset(
    {
        "DHAN_APP_ID", "DHAN_APP_SECRET", "DHAN_AUTH_URL", "ATS_GATEWAY_URL",
        "KAFKA_NODE_ID", "KAFKA_PROCESS_ROLES", "KAFKA_LISTENERS", "KAFKA_ADVERTISED_LISTENERS",
        "KAFKA_LOG_DIRS",
        "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_WEBHOOK_SECRET",
        "OPENAI_LOG",
        "OPENAI_CUSTOM_HEADERS", "OPENAI_API_TYPE", "OPENAI_API_VERSION",
    }
)  # fmt: skip
# What settings were called before. The old name is refused: two names for one thing could disagree.
RENAMED: Final[Mapping[str, str]] = {
    "ATS_STUDIES": "ATS_INDICATORS",
    "ATS_SMALL_MODEL_BASE_URL": "ATS_SMALL_MODEL=ADDRESS#MODEL",
    "DHAN_API_URL": "DHAN_ORDER_URL (orders) and DHAN_DATA_URL (history)",
}
# of `difflib`: one letter wrong in five, so SUPABASE_KEY is not taken for SUPABASE_SERVICE_KEY
NEAR: Final = 0.8


def misspelt(names: Iterable[str], known: Collection[str]) -> list[tuple[str, str | None]]:
    """Those of `names` that look like settings and are none, each with the setting that is meant
    (None: nothing is near).

    Case does not count. Names that only share a beginning with ours are mistakes when they are near
    one of ours.
    """
    found: list[tuple[str, str | None]] = []
    for name in sorted({name.upper() for name in names} - set(known) - OTHERS):
        if name in RENAMED:
            found.append((name, RENAMED[name]))
            continue
        nearest = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=NEAR)), None)
        if name.startswith(OURS) or (nearest and name.startswith(SHARED)):
            found.append((name, nearest))
    return found
