"""The root of our exceptions.

Each class says what must happen next; each message names the thing, its value and the remedy. What
is normal in trading (denied, rejected, unknown, HOLD) is a value, never an exception.
"""

from __future__ import annotations


class AtsError(Exception):
    """Root of everything ATS raises on purpose."""


class Unreadable(AtsError):
    """Input that cannot be read. Next: keep it (dead letter or exit code) and go on with the rest.

    Attributes:
        reason: One line for a person.
        field: Dotted path of the offending field, `""` when the whole is at fault.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.reason = reason
        self.field = field


class Misconfigured(AtsError):
    """A setting, a topic or a file is missing or wrong.

    Next: a person changes it; trying again is useless.
    """


class TryLater(AtsError):
    """Something we depend on is away.

    Next: the process ends without committing and is started again.
    """
