"""`ats ledger`: prove that nothing was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ats.cli.groups import group
from ats.cli.options import Archived, day_of, finish

ledger = group("Prove that no record was changed: keys, the ledger, its witness, proofs.")

Demo = Annotated[
    Path | None, typer.Option(help="What `ats demo --keep FOLDER` left there; starts its Kafka.")
]
UntilEnd = Annotated[bool, typer.Option("--until-end", help="End when nothing waits any more.")]


@ledger.command("keys")
def keys(
    name: Annotated[
        str,
        typer.Argument(help="What the key is called in every signature, such as acme.example/ats."),
    ],
    witness: Annotated[
        bool, typer.Option("--witness", help="A key for the witness, not for the ledger.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(help="Where; by default ATS_LEDGER_KEYS, or ATS_WITNESS_KEYS."),
    ] = None,
) -> None:
    """Make a key; prints its public half, never the private one. Overwrites none."""
    from ats.services.ledger_keys import made
    from ats.settings import load

    typer.echo(str(made(load(), name, witness=witness, folder=folder)))


@ledger.command("run")
def run(until_end: UntilEnd = False, demo: Demo = None) -> None:
    """The ledger: a leaf for each record of decisions, orders and money, and signed heads."""
    from ats.ledger.services import run as work

    finish(work(_resolved(demo), until_end=until_end))


@ledger.command("witness")
def witness_(until_end: UntilEnd = False, demo: Demo = None) -> None:
    """The witness: cosigns each head that continues what it signed before.

    Run it elsewhere than the ledger, with its own key, as another user.
    """
    from ats.ledger.services import witness as work

    finish(work(_resolved(demo), until_end=until_end))


@ledger.command("verify")
def verify(
    day: Annotated[str, typer.Argument(metavar="DATE", help="The trading day, YYYY-MM-DD.")],
    demo: Demo = None,
    head: Annotated[
        Path | None,
        typer.Option(help="A signed head that was kept elsewhere: shows an end that was cut off."),
    ] = None,
    archive: Archived = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """A day's records against what was signed of them; exit code 1 where anything was changed.

    Names topic, partition and offset of what was changed, dropped, inserted, swapped or cut off.
    """
    from ats.ledger.verify import VerifyOptions
    from ats.ledger.verify import run as work
    from schemas.errors import Misconfigured

    found = day_of(day, "DATE")
    if found is None:
        raise Misconfigured("no day given: `ats ledger verify 2026-11-20`")
    finish(work(VerifyOptions(found, _resolved(demo), head, as_json, archive)))


@ledger.command("replay")
def replay(
    day: Annotated[str, typer.Argument(metavar="DATE", help="The trading day, YYYY-MM-DD.")],
    demo: Demo = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Replay a day: do its messages have the root that the ledger signed? Exit code 1 if not."""
    from ats.ledger.replay import run as work
    from schemas.errors import Misconfigured

    found = day_of(day, "DATE")
    if found is None:
        raise Misconfigured("no day given: `ats ledger replay 2026-11-20`")
    finish(work(found, _resolved(demo), as_json=as_json))


@ledger.command("prove")
def prove(
    order: Annotated[str, typer.Argument(help="The order's id.")],
    into: Annotated[Path, typer.Option(help="Folder for the files.")] = Path(),
    demo: Demo = None,
) -> None:
    """Write `.tlog-proof` files of an order's intent and outcome, for whoever has the public keys.

    Beside each stand its leaf (`.entry`) and the record's value (`.value`).
    """
    from uuid import UUID

    from ats.ledger.prove import run as work
    from schemas.errors import Misconfigured
    from schemas.ids import OrderId

    try:
        id_ = OrderId(UUID(order))
    except ValueError:
        raise Misconfigured(f"{order!r} is no order's id: see `ats tail ats.orders`") from None
    finish(work(id_, into, _resolved(demo)))


def _resolved(demo: Path | None) -> Path | None:
    return demo.resolve() if demo else None
