"""`ats paper --rules FILE`: what it says of the file, and the day on Dhan's live feed.

A recorded or generated day is the demo's (`ats.demo.run`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rich.console import Console

from ats.commands.rules_list import check as check_rules
from ats.demo.stack import GRACE, ats, free_ports
from ats.demo.starting import until_at_work, until_done
from ats.demo.steps import Step
from ats.demo.words import typed
from ats.runtime import exit_codes
from ats.runtime.child import Child
from ats.runtime.logs import configure
from ats.runtime.shutdown import until_interrupted
from ats.runtime.supervisor import Supervisor
from ats.services.paper import address_of
from ats.settings import Settings
from bus.topics import create_topics
from schemas.errors import Misconfigured

SERVICES: Final = ("paper", "streams", "agents", "executors", "books", "feed")
NEEDED: Final = (
    *("KAFKA_BOOTSTRAP_SERVERS", "SUPABASE_URL", "SUPABASE_SERVICE_KEY"),
    *("ADMIN_DHAN_CLIENT_ID", "ADMIN_DHAN_ACCESS_TOKEN"),
)
LOGS: Final = "paper-day"  # in ATS_STATE_DIR
LOOK_EVERY: Final = 1.0  # seconds between two looks whether all live
ON_PAPER: Final = "Rules of mode live and paper place paper orders here, those in shadow none."


def check(console: Console, rules: Path) -> None:
    """Print which rules of the file run, and in which mode.

    Raises:
        Misconfigured: naming everything that is wrong with the file, or that it enables no rule.
    """
    if not check_rules(console, rules).rules:
        raise Misconfigured(f"{rules} enables no rule: there is nothing to trade")
    console.print(ON_PAPER, highlight=False, soft_wrap=True)


def has_account(settings: Settings) -> bool:
    """Whether an account pays for Dhan's live feed."""
    return bool(
        settings.admin_dhan_client_id and settings.admin_dhan_access_token.get_secret_value()
    )


async def run(rules: Path, settings: Settings, console: Console) -> int:
    """Trade on paper on the live feed until Ctrl-C; returns the exit code.

    Raises:
        Misconfigured: the settings ask for real money, or lack what the services need.
    """
    address_of(settings)
    try:
        settings.need(*NEEDED)
    except Misconfigured as error:
        raise Misconfigured(f"{error} Or play a generated day, with --no-live") from None
    configure("paper", style="console", level="error", secrets=settings.secrets())
    if await until_interrupted(_trade(rules, settings, console)) is None:
        console.print("\nStopped; nothing is left running.")
    return exit_codes.DONE


def processes(rules: Path, ports: Mapping[str, int], logs: Path) -> dict[str, Child]:
    """The services, each with its metrics at its port, and the warm-up before them.

    On paper, whatever the environment says meanwhile.
    """
    env = os.environ | {"ATS_MODE": "paper", "ATS_RULES": str(rules.resolve())}
    lines = {name: ats(name, "--metrics-port", str(port)) for name, port in ports.items()}
    lines |= {"warm-up": ats("warm-up")}
    return {
        name: Child(name, line, log=logs / f"{name}.log", env=env) for name, line in lines.items()
    }


async def _trade(rules: Path, settings: Settings, console: Console) -> int:
    await create_topics(settings.kafka(), settings.plan())
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    logs = settings.ats_state_dir / LOGS
    services = processes(rules, ports, logs)
    warm_up = services.pop("warm-up")
    with Step(console, "past bars, so that indicators are ready"):
        await until_done(warm_up, "no past bars came", lambda: None)
    supervisor, stopping = Supervisor([*services.values()]), asyncio.Event()
    supervising = asyncio.create_task(supervisor.run(stopping))

    def all_live() -> None:
        if supervisor.failed:
            raise supervisor.failed
        if supervising.done():
            supervising.result()

    try:
        what = "starting paper orders, engine, agents, order workers, books and feed"
        with Step(console, what) as step:
            await until_at_work(
                [*services.values()], ports, also=lambda: True, check=all_live, tell=step.now
            )
        console.print(_where_to_look(logs), highlight=False, soft_wrap=True, markup=False)
        while True:
            all_live()
            await asyncio.sleep(LOOK_EVERY)
    finally:
        stopping.set()
        await asyncio.gather(supervising, return_exceptions=True)
        await supervisor.stop(GRACE)


def _where_to_look(logs: Path) -> str:
    return "\n".join(
        (
            f"Trading on paper on Dhan's live feed. The logs are in {logs}. In another terminal:",
            f"  {typed()} top                          how every part is doing",
            f"  {typed()} tail ats.decisions --follow  every decision with its reasons",
            f"  {typed()} scorecard DATE               after the close: were they any good?",
            "Ctrl-C ends it.",
        )
    )
