"""`ats simulator`: the simulator on its own, and all a client needs to know about it in one screen
of text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import typer

from ats.commands.db_serve import ready
from ats.commands.market_file import look_at
from ats.runtime.shutdown import die_of_ctrl_c, until_signalled
from ats.settings import Settings
from schemas.errors import Misconfigured
from simulator.config import RegisteredApp, RegisteredPartner, SimulatedUser, SimulatorConfig
from simulator.faults import load_script
from simulator.market.characters import DayProfile
from simulator.server import Simulator
from simulator.streaming.depth import ENDPOINTS as DEPTHS
from simulator.streaming.feed import ENDPOINT as FEED
from simulator.streaming.updates import ENDPOINT as UPDATES

MASTER_PATH: Final = "/instruments/api-scrip-master-detailed.csv"  # under the simulator's address
FIRST_CLIENT_ID: Final = 1_000_000_001
MOST_USERS: Final = 1_000
TOKEN: Final = "simulated-token"  # noqa: S105  opens nothing but the simulator
GENERATED_DAY: Final = date(2026, 11, 20)
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """What the command line says; see `ats simulator --help`."""

    port: int
    market: Path | None
    generators: tuple[str, ...]
    instruments: int
    options: tuple[str, ...]
    speed: float | None
    seed: int
    day: date | None
    wait: bool
    faults: Path | None
    users: int
    packets_per_frame: int
    redirect_url: str
    max_bad_rows: float = 1.0


async def serve(options: SimulatorOptions) -> None:
    """Run the simulator until told to stop."""
    settings = ready("simulator")
    config = config_of(options, settings)
    simulator = Simulator(config)
    try:
        die_of_ctrl_c()
        if config.market is not None:
            typer.echo(f"reading {config.market.name}", err=True)
        await simulator.start()
    except OSError as error:
        await simulator.stop()
        why = os.strerror(error.errno) if error.errno else str(error)
        raise Misconfigured(
            f"--port {options.port} cannot be had: {why}; name another, or 0 for a free one"
        ) from None
    typer.echo(
        announcement(simulator.url, config, own_token=bool(settings.admin_dhan_access_token))
    )
    try:
        await until_signalled()
    finally:
        await simulator.stop()


def config_of(options: SimulatorOptions, settings: Settings) -> SimulatorConfig:
    """The simulator's settings for a command line.

    Raises:
        Misconfigured: an option that means nothing, or a script of faults that cannot be read.
    """
    traded = tuple(symbol for symbol in options.options if symbol != NONE)
    if options.market and (options.generators or traded):
        raise Misconfigured(
            "--market replays a recording: leave --generator and --options away, or --market"
        )
    if options.market:
        look_at(options.market)
    script = load_script(options.faults) if options.faults else None
    character, characters = generators_of(options.generators)
    return SimulatorConfig(
        port=options.port,
        seed=options.seed,
        day=options.day or (None if options.market else GENERATED_DAY),
        market=options.market,
        max_bad_share=options.max_bad_rows / 100,
        shares=options.instruments - 1,  # the NIFTY index is one of them
        character=character,
        characters=characters,
        options=() if options.market else traded or (() if NONE in options.options else ("NIFTY",)),
        speed=options.speed,
        autostart=not options.wait,
        users=users_of(options.users, settings),
        apps=(RegisteredApp(redirect_url=options.redirect_url),),
        partners=(RegisteredPartner(redirect_url=options.redirect_url),),
        packets_per_frame=options.packets_per_frame,
        faults=script.faults if script else (),
        fault_seed=script.seed if script else options.seed,
    )


def generators_of(words: Sequence[str]) -> tuple[DayProfile, Mapping[str, DayProfile]]:
    """The kind of day of the whole market, and of the symbols written as SYMBOL=kind.

    Raises:
        Misconfigured: no such kind.
    """
    whole, of_symbol = DayProfile.TRENDING, dict[str, DayProfile]()
    for word in words:
        symbol, _, name = word.rpartition("=")
        if name not in list(DayProfile):
            raise Misconfigured(
                f"--generator {word!r} is not usable: give one of {', '.join(DayProfile)}, or "
                "SYMBOL=one"
            )
        if symbol:
            of_symbol[symbol] = DayProfile(name)
        else:
            whole = DayProfile(name)
    return whole, of_symbol


def users_of(count: int, settings: Settings) -> tuple[SimulatedUser, ...]:
    """The admin of the settings, or the first invented user, and as many more as asked for."""
    if not 1 <= count <= MOST_USERS:
        raise Misconfigured(f"--users {count} is not usable: give 1 to {MOST_USERS}")
    admin = SimulatedUser(
        settings.admin_dhan_client_id or str(FIRST_CLIENT_ID),
        settings.admin_dhan_access_token.get_secret_value() or TOKEN,
    )
    more = (SimulatedUser(str(FIRST_CLIENT_ID + at), f"{TOKEN}-{at + 1}") for at in range(1, count))
    return (admin, *more)


def announcement(url: str, config: SimulatorConfig, *, own_token: bool) -> str:
    """Addresses and credentials. A token from the user's own settings is not repeated."""
    feed, app, partner = url.replace("http", "ws", 1), config.apps[0], config.partners[0]
    admin = config.users[0]
    lines = [
        f"DHAN_DATA_URL={url}/v2",
        f"DHAN_ORDER_URL={url}/v2",
        f"DHAN_FEED_URL={feed}/feed",
        f"DHAN_INSTRUMENTS_URL={url}{MASTER_PATH}",
        f"OPENAI_BASE_URL={url}/v1",
        f"ADMIN_DHAN_CLIENT_ID={admin.client_id}",
        "",
        f"REST            {url}/v2",
        f"market feed     {feed}{FEED}",
        f"20-level depth  {feed}{DEPTHS[20]}",
        f"200-level depth {feed}{DEPTHS[200]}",
        f"order updates   {feed}{UPDATES}",
        f"login, tokens   {url}/auth",
        f"masters         {url}/instruments/api-scrip-master.csv, …/api-scrip-master-detailed.csv",
        (
            f"switchboard     {url}/control/state, …/start, …/clock, …/faults, …/journal, …/users, "
            "…/tokens/kill"
        ),
        "",
        (
            f"API key {app.app_id}, secret {app.app_secret}; partner {partner.partner_id}, secret "
            f"{partner.partner_secret}"
        ),
    ]
    lines += [_user_line(user, hidden=own_token and user is admin) for user in config.users]
    return "\n".join([*lines, "The documentation shows how to point dhanhq here. Ctrl-C ends it."])


def _user_line(user: SimulatedUser, *, hidden: bool) -> str:
    token = "yours, of ADMIN_DHAN_ACCESS_TOKEN" if hidden else user.token
    return (
        f"client id {user.client_id}  access token {token}  PIN {user.pin}  TOTP secret "
        f"{user.totp_secret}"
    )
