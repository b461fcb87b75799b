"""`ats ledger replay`: whether a replayed day has the root that the ledger signed."""

from __future__ import annotations

import asyncio
import sys
from datetime import date
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from ats.demo.steps import Step
from ats.ledger.prove import signed_heads
from ats.replay.command import cores_of
from ats.replay.inputs import recorded_inputs
from ats.replay.show import tell_differing
from ats.replay.source import recorded_by
from ats.runtime import exit_codes
from ats.services.ledger_keys import trusted
from audit.ledger.entries import Entry
from audit.ledger.merkle import MerkleTree
from audit.ledger.messages import DerivedMessages, Messages, logged_messages, message_root
from audit.ledger.reading import read_ledger
from audit.ledger.verification import DayLog, Trust
from audit.replay.day import Replay
from audit.replay.recorded import span_of
from schemas.errors import Misconfigured
from streams.engine.machine import warm_up


async def run(day: date, demo: Path | None, *, as_json: bool) -> int:
    """Replay the day, and compare its messages' roots with those of the leaves.

    Raises:
        Misconfigured: no such demo, no cluster, no key, or no signed log of the day.
        TryLater: no broker answers.
    """
    tell, derived = Console(stderr=True), DerivedMessages()
    async with recorded_by(demo, tell) as source:
        ledgers = await read_ledger(source.connection)
        log = DayLog.of(day, ledgers.batches, ledgers.heads)
        logged = logged_messages(signed_leaves(log, trusted(source.settings)))
        computed, inputs = await recorded_inputs(source.connection, day, day, source.settings)
        if inputs.differing:
            tell_differing(inputs.differing, as_json=as_json)
            return exit_codes.BROKEN
        with Step(tell, "replaying") as step:
            await asyncio.to_thread(warm_up, lambda _: None)
            cores, span = cores_of(source, computed, inputs), span_of(day, day)
            await Replay(
                source.connection,
                span,
                cores,
                verify=False,
                tell=step.now,
                on_derived=derived.take,
            ).run()
    show(logged, derived.found, as_json=as_json)
    return exit_codes.DONE if logged == derived.found else exit_codes.BROKEN


def signed_leaves(log: DayLog, trust: Trust) -> list[Entry]:
    """The leaves of `log`, all of which the ledger signed.

    Raises:
        Misconfigured: it did not.
    """
    tree = MerkleTree(each.leaf for each in log.entries)
    heads = [head.checkpoint for head in signed_heads(log, trust, (trust.log,))]
    if not any((head.size, head.root) == (tree.size, tree.root()) for head in heads):
        raise Misconfigured(
            f"no head of {trust.log.name} covers what stands of {log.day}: see "
            f"`ats ledger verify {log.day}`"
        )
    return log.entries


def show(logged: Messages, derived: Messages, *, as_json: bool) -> None:
    """Root and count of each topic, in the ledger and in the replay."""
    rows = [
        (name, len(logged[name]), message_root(logged[name]), message_root(derived[name]))
        for name in logged
    ]
    whole = [message_root(set[bytes]().union(*each.values())) for each in (logged, derived)]
    if as_json:
        body = {
            "equal": logged == derived,
            "root": whole[0].hex(),
            "replayed": whole[1].hex(),
            "topics": [
                {"topic": name, "messages": count, "root": one.hex(), "replayed": other.hex()}
                for name, count, one, other in rows
            ],
        }
        sys.stdout.write(orjson.dumps(body).decode() + "\n")
        return
    table = Table("topic", "messages", "root in the ledger", "root of the replay")
    for name, count, one, other in rows:
        table.add_row(name, f"{count:,}", one.hex()[:16], other.hex()[:16])
    console = Console()
    console.print(table)
    same = "the same" if logged == derived else "NOT the same"
    console.print(f"{same}: {whole[0].hex()} and {whole[1].hex()}", highlight=False)
