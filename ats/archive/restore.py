"""`ats archive restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console

from ats.demo.steps import Step
from ats.runtime import exit_codes
from ats.settings import load
from audit.archive.restoring import restore

TOLD: Final = 20  # partitions with other offsets that are named


async def run(folder: Path) -> int:
    """Write the archived days in `folder` into the cluster of the settings, and say what came.

    Raises:
        Misconfigured: no cluster is named, there is no archive, it is not as it was made, or the
            cluster holds other records.
        TryLater: no broker answers.
    """
    settings, tell = load(), Console(stderr=True)
    connection, copies = settings.kafka(), settings.kafka_replication_factor
    with Step(tell, f"restoring into {connection.bootstrap_servers}") as step:
        restored = await restore(connection, folder, step.now, copies)

    def say(line: str) -> None:
        tell.print(line, highlight=False, markup=False, soft_wrap=True)

    for name, count in restored.records.items():
        say(f"{count:>9,}  {name}")
    if restored.resumed:
        say(f"{restored.resumed:,} of them stood there already, and are the same.")
    for each in restored.moved[:TOLD]:
        say(f"{each}, as all behind it: Kafka cannot leave out offsets")
    if len(restored.moved) > TOLD:
        say(f"and {len(restored.moved) - TOLD:,} more partitions")
    return exit_codes.DONE
