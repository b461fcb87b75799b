"""Invented users with Dhan accounts at the simulator, made the way a real one is.

Sign up, connect, switch on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
from postgrest.types import ReturnMethod
from supabase import AsyncClient, acreate_client

from schemas.ids import UserId, derive

PASSWORD: Final = "demo-only-password"  # noqa: S105  of accounts that exist as long as the demo runs
TOKEN_LIFE: Final = timedelta(hours=24)  # as Dhan's


@dataclass(frozen=True, slots=True)
class DemoUser:
    """One user of the demo.

    Attributes:
        active: Whether they flip "Start Trading".
    """

    name: str
    dhan_client_id: str
    token: str = field(repr=False)
    active: bool
    id: UserId


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who came in by the page.

    Attributes:
        active: Whether "Start Trading" is on.
        dhan_client_id: Empty until an account is connected.
    """

    name: str
    active: bool
    id: UserId
    dhan_client_id: str = ""


def cast() -> list[tuple[str, str, bool]]:
    """Name, Dhan client id, active: three who trade and one who is switched off."""
    return [
        ("asha", "1100000001", True),
        ("bala", "1100000002", True),
        ("chitra", "1100000003", True),
        ("dev", "1100000004", False),
    ]


async def enrol(
    supabase_url: str,
    publishable_key: str,
    service_key: str,
    simulator_url: str,
    report: Mapping[str, Any],
) -> Sequence[DemoUser]:
    """Create the cast in Supabase and at the simulator's Dhan.

    Tokens go through the write-only function. `report` is what the order workers will say of
    themselves: nobody may switch on before it was said.
    """
    service = await acreate_client(supabase_url, service_key)
    await service.rpc("report_platform", dict(report)).execute()
    users = []
    async with httpx.AsyncClient(base_url=simulator_url) as dhan:
        for name, client_id, active in cast():
            token = f"demo-token-{derive('demo token', name).hex}"
            (
                await dhan.post("/control/users", json={"client_id": client_id, "token": token})
            ).raise_for_status()
            email = f"{name}@example.com"
            made = await service.auth.admin.create_user(
                {"email": email, "password": PASSWORD, "email_confirm": True}
            )
            own = await acreate_client(supabase_url, publishable_key)
            await own.auth.sign_in_with_password({"email": email, "password": PASSWORD})
            await _connect(own, client_id, token, active=active)
            users.append(DemoUser(name, client_id, token, active, UserId(UUID(made.user.id))))
    return users


async def _connect(own: AsyncClient, client_id: str, token: str, *, active: bool) -> None:
    expiry = (datetime.now(UTC) + TOKEN_LIFE).isoformat()
    await own.rpc(
        "store_dhan_token", {"p_client_id": client_id, "p_token": token, "p_expiry": expiry}
    ).execute()
    if active:
        switch = own.table("user_trading_keys").update(
            {"is_trading_enabled": True}, returning=ReturnMethod.minimal
        )
        await switch.eq("dhan_client_id", client_id).execute()


async def visitors(
    supabase_url: str, service_key: str, known: Collection[UserId]
) -> Sequence[Visitor]:
    """Whoever has an account and is not among `known`."""
    service = await acreate_client(supabase_url, service_key)
    columns = "user_id,is_trading_enabled,dhan_client_id"
    keys = await service.table("user_trading_keys").select(columns).execute()
    rows = [row for row in keys.data if isinstance(row, dict)]
    on = {row["user_id"] for row in rows if row["is_trading_enabled"]}
    clients = {row["user_id"]: str(row["dhan_client_id"] or "") for row in rows}
    return [
        Visitor(
            user.email or user.id,
            user.id in on,
            UserId(UUID(user.id)),
            clients.get(user.id, ""),
        )
        for user in await service.auth.admin.list_users()
        if UserId(UUID(user.id)) not in known
    ]
