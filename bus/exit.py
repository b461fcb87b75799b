"""Ends the process at once when something is wrong.

The exit code tells the supervisor what to do. A process that is unsure of its state must not go on;
restarting is cheap, because the truth is in Kafka.
"""

from __future__ import annotations

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn

from schemas.errors import Misconfigured


class Exit(IntEnum):
    """Exit codes of a shell.

    The supervisor starts the process again after 2, 3 and 4; 5 needs a person.
    """

    STOPPED = 0  # told to stop, and everything is handed over
    CRASHED = 2  # our code or a handler raised, or an output was not accepted
    GAP = 3  # a record is missing between the last one and this one
    STALLED = 4  # frozen, out of the group, or standing still although records wait
    INCOMPATIBLE = 5  # topics, snapshots or settings do not belong together


def terminate(code: Exit, why: str, error: BaseException | None = None) -> NoReturn:
    """End the process without any clean-up, so that nothing half done is made durable."""
    import structlog  # noqa: PLC0415  # slow to import, and `ats --help` needs the codes only

    log = structlog.get_logger(__name__)
    log.critical("process_ends", exit_code=int(code), exit=code.name, why=why, exc_info=error)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def terminate_on(error: BaseException, why: str) -> NoReturn:
    """End the process because of `error`, with the code its class asks for."""
    terminate(
        Exit.INCOMPATIBLE if isinstance(error, Misconfigured) else Exit.CRASHED,
        f"{why}: {error!r}",
        error,
    )
