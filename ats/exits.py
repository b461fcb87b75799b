"""Exit codes of `ats`, one meaning each. Codes of the stream shells stand in `bus` (docs/bus.md)."""

from __future__ import annotations

from typing import Final

from bus.ending import Exit

DONE: Final = 0
BROKEN: Final = 1  # a promise was broken, or nothing traded
MISCONFIGURED: Final = 64  # sysexits.h EX_USAGE: a person changes a setting
TRY_LATER: Final = 75  # sysexits.h EX_TEMPFAIL: something we depend on is away
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it

PERSON_MUST_ACT: Final = frozenset({MISCONFIGURED, int(Exit.MISFIT)})
