"""`ats paper`: the order API of paper trading, or a whole day on paper with the rules of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from ats.cli.options import Day, Seed, day_of, finish, speed_of, terminal
from ats.cli.services import MetricsPort, service
from ats.cli.try_it import DemoSpeed, Keep, MarketFile, Web, play, usual_speed
from schemas.errors import Misconfigured

SEED: Final = 7

RulesOfTheDay = Annotated[
    Path | None,
    typer.Option(
        help="Rules file (TOML), the very one of ats backtest: run the whole platform on paper "
        "with it, instead of the order API alone."
    ),
]
Live = Annotated[
    bool | None,
    typer.Option(
        help="On Dhan's live feed, with your Kafka and Supabase. The default where ADMIN_DHAN_* is "
        "set and no other market is named."
    ),
]


def paper(
    metrics_port: MetricsPort = 0,
    rules: RulesOfTheDay = None,
    live: Live = None,
    market: MarketFile = None,
    day: Day = "",
    speed: DemoSpeed = "",
    seed: Seed = SEED,
    keep: Keep = None,
    web: Web = False,
) -> None:
    """Paper orders at DHAN_ORDER_URL, filled by what trades on ats.ticks; with --rules the whole
    platform, on paper.

    Speaks the broker's order API and order updates; holds no real account and places no real order.

    With --rules it checks the file and starts every service: on Dhan's live feed where an admin
    account is set, else on a recorded day (--market) or a generated one, as ats demo does. It never
    trades real money: where the settings ask for that, it refuses or leaves them out.
    """
    said = {"--market": market, "--day": day, "--speed": speed, "--keep": keep, "--web": web}
    of_a_day = [name for name, given in said.items() if given] + ["--seed"] * (seed != SEED)
    if rules is None:
        if of_a_day or live is not None:
            raise Misconfigured(
                f"{', '.join(of_a_day) or '--live'} needs --rules FILE: without it `ats paper` is "
                "the order API alone"
            )
        return service("paper", metrics_port)
    if metrics_port:
        raise Misconfigured("--metrics-port is of the order API alone: leave it out with --rules")
    if live and of_a_day:
        raise Misconfigured(f"{', '.join(of_a_day)} is not of the live market: leave out --live")

    from ats.demo import paper_day
    from ats.demo.options import DemoOptions
    from ats.settings import load

    console = terminal()
    paper_day.check(console, rules)
    settings = load()
    if live or (live is None and not of_a_day and paper_day.has_account(settings)):
        return finish(paper_day.run(rules, settings, console))
    pace, chosen = speed_of(speed or usual_speed(web=web)), day_of(day)
    return play(DemoOptions(market, pace, seed, False, (), keep, web, rules, chosen))
