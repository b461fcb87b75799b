"""The web page of a demo: a person's own way in, beside the invented users."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx
from rich.console import Console
from supabase import acreate_client

from ats.commands import web
from ats.demo.stack import GRACE, Stack, free_ports
from ats.demo.steps import Step
from ats.demo.users import PASSWORD, cast
from ats.runtime.child import Child
from ats.runtime.readiness import until_it_answers
from simulator.config import RegisteredApp

LOOK_EVERY: Final = 1.0  # seconds between two looks for mails
EMAIL: Final = "you@example.com"
TRADER: Final = f"{cast()[0][0]}@example.com"  # of those who trade from the start
CLIENT_ID: Final = "1100000009"  # known to the simulator, connected to nobody yet


class DemoPage:
    """Starts and stops the application, and the gateway that it asks, at ports of their own.

    The simulator must know the port before it starts.
    """

    def __init__(self) -> None:
        page, self._gateway_port = free_ports(2)
        self.url = f"http://127.0.0.1:{page}"
        self._gateway: Child | None = None
        self._server: Child | None = None
        self._postman: asyncio.Task[None] | None = None

    @property
    def simulator_arguments(self) -> list[str]:
        return ["--redirect-url", f"{self.url}/api/dhan/callback"]

    async def open(self, stack: Stack, console: Console) -> None:
        """Build when needed, start, and say how to get in.

        Raises:
            Misconfigured, TryLater: as `ats.commands.web`.
        """
        what = "building and starting the web page"
        with Step(console, f"{what} (the first run fetches its packages, 500 MB unpacked)"):
            await web.build(stack.logs)
            await _make_user(stack)
            gateway = await self._start_gateway(stack)
            login, app = f"{stack.simulator_url}/auth", RegisteredApp()
            page = web.Page(
                self.url,
                stack.supabase_url,
                stack.keys.publishable,
                login,
                app.app_id,
                app.app_secret,
                gateway,
            )
            self._server = web.server(page, stack.logs)
            self._server.start()
            await until_it_answers(self._server, page.first)
        self._postman = asyncio.create_task(
            print_mails(stack.supabase_url, stack.keys.secret, console)
        )
        console.print(
            f"[bold]Open {self.url}[/]  and sign in as [bold]{TRADER}[/] with password "
            f"[bold]{PASSWORD}[/]: the account is connected and trades. Or go the whole way as "
            f"[bold]{EMAIL}[/], same password: connect Dhan client id [bold]{CLIENT_ID}[/], turn "
            "trading on.",
            soft_wrap=True,
        )

    async def _start_gateway(self, stack: Stack) -> str:
        """Its address, at which it answers."""
        url = f"http://127.0.0.1:{self._gateway_port}"
        self._gateway = stack.child("gateway", "gateway", ATS_GATEWAY_PORT=str(self._gateway_port))
        self._gateway.start()
        await until_it_answers(self._gateway, f"{url}/v1/openapi.json")
        return url

    async def close(self) -> None:
        if self._postman is not None:
            self._postman.cancel()
            await asyncio.gather(self._postman, return_exceptions=True)
        for child in (self._server, self._gateway):
            if child is not None:
                await child.stop(GRACE)


async def _make_user(stack: Stack) -> None:
    service = await acreate_client(stack.supabase_url, stack.keys.secret)
    if EMAIL not in {user.email for user in await service.auth.admin.list_users()}:
        await service.auth.admin.create_user(
            {"email": EMAIL, "password": PASSWORD, "email_confirm": True}
        )
    account = {"client_id": CLIENT_ID, "token": "never-used-before-the-login", "name": "You"}
    async with httpx.AsyncClient(base_url=stack.simulator_url) as dhan:
        (await dhan.post("/control/users", json=account)).raise_for_status()


async def print_mails(supabase_url: str, service_key: str, console: Console) -> None:
    """Print the sign-in links that a real Supabase would mail, until cancelled.

    Each is good once, and for an account of this demo only.
    """
    printed = set[str]()
    async with httpx.AsyncClient(base_url=supabase_url, headers={"apikey": service_key}) as http:
        while True:
            mails = (await http.get("/auth/v1/admin/mails")).raise_for_status().json()
            for mail in mails:
                if mail["link"] not in printed:
                    printed.add(mail["link"])
                    said = f"No mail is sent here. To sign in as {mail['to']} open, once:"
                    console.print(f"{said}\n{mail['link']}", markup=False, soft_wrap=True)
            await asyncio.sleep(LOOK_EVERY)
