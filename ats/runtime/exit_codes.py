"""Exit codes of `ats`, one meaning each.

Codes of the stream shells stand in `bus` (docs/bus.md).
"""

from __future__ import annotations

from typing import Final

from bus.exit import Exit
from schemas.errors import AtsError, Misconfigured, TryLater

DONE: Final = 0
BROKEN: Final = 1  # a promise was broken, nothing traded, or a part of ours failed by a mistake
MISCONFIGURED: Final = 64  # sysexits.h EX_USAGE: a person changes a setting
TRY_LATER: Final = 75  # sysexits.h EX_TEMPFAIL: something we depend on is away
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it

PERSON_MUST_ACT: Final = frozenset({MISCONFIGURED, int(Exit.INCOMPATIBLE)})

SAID: Final = "ats: "  # how `ats` begins the line that says why it ends


class Faulty(AtsError):
    """A part of ours failed by a mistake in it.

    Next: a person mends it; trying again fails in the same way.
    """


def error_of(name: str, code: int | None, what: str, log: str) -> AtsError:
    """What the end of the child `name` asks of us.

    `code` is None when it did not end, negative when a signal ended it. `what` says what came of
    it, and `log` is the end of its output. A mistake in a setting or a file is said in the child's
    own words.
    """
    why = f"{what}; the end of its log:\n{log}"
    if code == MISCONFIGURED:
        lines = log.splitlines()
        began = max((at for at, line in enumerate(lines) if line.startswith(SAID)), default=None)
        own = "\n".join(lines[began:]).removeprefix(SAID).rstrip()
        return Misconfigured(why if began is None else f"{name}: {own}")
    if code is None or code <= DONE or code == TRY_LATER:
        return TryLater(why)
    return Faulty(why)
