"""Sends each execution to a web address, as a CloudEvent over HTTP.

    python webhook_forwarder.py KAFKA URL CURSOR.json [--until-end]

Goes on where CURSOR.json says; it is written after each delivery, so a delivery may come twice, and
never be lost. Ends with an error when the address has refused one for a minute: start it again.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx

from ats_client import Reader, Record, Since, load_cursor, save_cursor
from ats_client.messages import Execution

PAUSES = (0.5, 1, 2, 4, 8, 16, 32)  # seconds between two tries, a minute together


async def forward(
    kafka: str, client: httpx.AsyncClient, url: str, kept: Path, *, until_end: bool = False
) -> int:
    """Deliver what comes; returns how many were delivered.

    Raises:
        httpx.HTTPError: the address takes none.
    """
    since: Since = load_cursor(kept) or "start"
    delivered = 0
    async with Reader(kafka, Execution, since=since, until_end=until_end) as reader:
        async for record in reader.records():
            await deliver(client, url, record)
            delivered += 1
            save_cursor(kept, reader.cursor)
    return delivered


async def deliver(client: httpx.AsyncClient, url: str, record: Record[Execution]) -> None:
    """Post one message, again after a pause where it is not taken."""
    headers = {
        name.replace("ce_", "ce-", 1): value.decode()
        for name, value in record.headers.items()
        if name.startswith("ce_")
    }
    headers["content-type"] = "application/json"
    for pause in (*PAUSES, None):
        try:
            body = record.message.model_dump_json()
            (await client.post(url, content=body, headers=headers)).raise_for_status()
        except httpx.HTTPError:
            if pause is None:
                raise
            await asyncio.sleep(pause)
        else:
            return


async def main(kafka: str, url: str, kept: str, *options: str) -> None:
    """Run until it is stopped."""
    async with httpx.AsyncClient(timeout=10) as client:
        count = await forward(kafka, client, url, Path(kept), until_end="--until-end" in options)
    print(f"{count} delivered")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
