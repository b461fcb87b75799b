"""`ats ledger run` and `ats ledger witness`."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.runtime.logs import configure
from ats.runtime.shutdown import stop_on_signals
from ats.services.ledger_keys import ledger_folder, witness_folder
from ats.settings import Settings, load
from audit.ledger.keys import read_public, read_signer
from audit.ledger.notes import KeyType
from audit.ledger.service import Ledger
from audit.ledger.witness import SignedHeads, Witness, watch
from schemas.errors import Misconfigured


async def run(demo: Path | None, *, until_end: bool) -> int:
    """Give records their leaves until a signal, or until none waits.

    Raises:
        Misconfigured: no key, no cluster, no topics, or a ledger that is not of its records.
        TryLater: Kafka is away, or another ledger writes.
    """
    settings = _logged("ledger")
    signer = read_signer(ledger_folder(settings), KeyType.LOG)
    async with recorded_by(demo, Console(stderr=True)) as source:
        ledger = Ledger(source.kafka, signer)
        await ledger.run(stop_on_signals(), until_end=until_end)
    return exit_codes.DONE


async def witness(demo: Path | None, *, until_end: bool) -> int:
    """Cosign heads until a signal, or until none waits. Raises as `run`."""
    settings = _logged("witness")
    trusted = read_public(ledger_folder(settings), KeyType.LOG)
    if trusted is None:
        raise Misconfigured(
            f"no public key of the ledger in {ledger_folder(settings)}: copy its public.vkey there"
        )
    folder = witness_folder(settings)
    signer = read_signer(folder, KeyType.WITNESS)
    cosigner = Witness(trusted, signer, SignedHeads(folder), time.time_ns)
    async with recorded_by(demo, Console(stderr=True)) as source:
        await watch(source.kafka, cosigner, stop_on_signals(), until_end=until_end)
    return exit_codes.DONE


def _logged(name: str) -> Settings:
    settings = load()
    configure(
        name,
        style=settings.ats_log_format,
        level=settings.ats_log_level,
        secrets=settings.secrets(),
    )
    return settings
