"""`ats executors` that says where it could send something, and where it connected to.

python -m tests.ats.paper_process FILE: when the order workers are at work it writes FILE, a JSON
object, and goes on.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from pathlib import Path
from typing import Any

import httpx
from supabase import AsyncClient

from ats.cli import main
from ats.services import executors as service
from dhan.egress import AccountTransport
from dhan.transport import BaseUrl, DhanTransport, OrderUrl, _ThisMachineOnly
from executors.app import ExecutorDeps, run_executors
from executors.orders.worker import OrderWorker

FILE = Path(sys.argv[1])
contacted: set[str] = set()


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        contacted.add(str(arguments[1][0]))
    elif event == "socket.getaddrinfo":
        contacted.add(str(arguments[0]))


def found(kind: type) -> list[Any]:
    return [one for one in gc.get_objects() if isinstance(one, kind)]


def of_supabase() -> list[httpx.AsyncClient]:
    """The database client's own: it knows no address but the database's."""
    parts = [
        part
        for client in found(AsyncClient)
        for part in (client, *vars(client).values())
        if hasattr(part, "__dict__")
    ]
    return [
        value
        for part in parts
        for value in vars(part).values()
        if isinstance(value, httpx.AsyncClient)
    ]


def goes_to(client: httpx.AsyncClient) -> str:
    """Where the client can go: this machine, one base address, or anywhere."""
    transport = client._transport
    kinds = {type(transport)}
    if isinstance(transport, AccountTransport):  # what it has opened, and what it would open
        kinds = {type(each) for each in (*transport._pools.values(), transport._open_pool(None))}
    if kinds == {_ThisMachineOnly}:
        return "this machine"
    return str(client.base_url) or "anywhere"


async def look(deps: ExecutorDeps, file: Path) -> None:
    while not found(OrderWorker):
        await asyncio.sleep(0.1)
        gc.unfreeze()
    await asyncio.sleep(2.0)  # the first claims, sweeps and reports
    gc.unfreeze()  # what a service froze once it was at work would not be listed
    gc.collect()
    file.with_suffix(".part").write_text(
        json.dumps(
            {
                "mode": deps.rules.mode,
                "at work": len(found(OrderWorker)),
                "orders": [one.url for one in found(OrderUrl)],
                "addresses": [one.url for one in found(BaseUrl)],
                "transports": [str(one._base_url) for one in found(DhanTransport)],
                "order client": goes_to(deps.http),
                "clients": sorted(
                    goes_to(one)
                    for one in found(httpx.AsyncClient)
                    if not one.is_closed and not any(one is its for its in of_supabase())
                ),
                "contacted": sorted(contacted),
            }
        )
    )
    file.with_suffix(".part").rename(file)


async def watched(deps: ExecutorDeps, **options: Any) -> None:
    looking = asyncio.create_task(look(deps, FILE))
    await run_executors(deps, **options)
    await looking


if __name__ == "__main__":
    sys.addaudithook(watch)
    service.run_executors = watched  # type: ignore[assignment, attr-defined]
    sys.argv = ["ats", "executors"]
    main()
