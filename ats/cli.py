"""The command line.

Each command says what it does with `--help`; rooms are imported only by the command that needs
them.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ats import DISTRIBUTION
from ats.runtime import exit_codes
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.units import UtcNs

app = typer.Typer(
    name="ats",
    help="Live market ticks in, AI-made trading decisions out, placed safely for many users. Start "
    "with: ats demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
topics_app = typer.Typer(help="Create and check the Kafka topics.", no_args_is_help=True)
db_app = typer.Typer(help="Migrate the database, or serve a local one.", no_args_is_help=True)
rules_app = typer.Typer(
    help="The engine's rules: list, check and try them, make your own.", no_args_is_help=True
)
claims_app = typer.Typer(
    help="Orders whose fate is unknown: list them, settle or correct them by hand.",
    no_args_is_help=True,
)
# The help lists commands by what a person wants to do.
TRY: Final = "Try it on this machine"
SET_UP: Final = "Set it up, and check it"
RUN: Final = "Run the services"
LOOK: Final = "Look at what happens, and step in"
WRITE: Final = "Write rules"
app.add_typer(topics_app, name="topics", rich_help_panel=SET_UP)
app.add_typer(db_app, name="db", rich_help_panel=SET_UP)
app.add_typer(rules_app, name="rules", rich_help_panel=WRITE)
app.add_typer(claims_app, name="claims", rich_help_panel=LOOK)

MOST_PORT: Final = 65_535
USAGE: Final = 2  # what Typer ends with; a supervisor would read it as a crash and start us again

MetricsPort = Annotated[
    int,
    typer.Option(
        help="Serve /metrics (Prometheus) and /health on 127.0.0.1 at this port; 0 is off.",
        min=0,
        max=MOST_PORT,
    ),
]
Speed = Annotated[
    str,
    typer.Option(help="Market seconds per second, or max: as fast as the platform can take it."),
]
MarketFile = Annotated[
    Path | None,
    typer.Option(
        help="Replay this CSV of 1-minute candles (symbol,timestamp,open,high,low,close,volume; "
        ".gz too); docs/simulator.md says which spellings are known."
    ),
]
MaxBadRows = Annotated[
    float,
    typer.Option(
        help="Refuse a market file of which more rows than this cannot be used, in percent.",
        min=0,
        max=100,
    ),
]
Seed = Annotated[
    int, typer.Option(help="Seed of the generated market; one seed, one result.", min=0)
]
Day = Annotated[
    str,
    typer.Option(
        help="Trading day YYYY-MM-DD: of the generated market (default 2026-11-20), or one of the "
        "file's."
    ),
]
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="Rules file (TOML); default is what ATS_RULES names.")
]
OrderArgument = Annotated[
    str, typer.Argument(help="The order's id, as `ats claims list` prints it.")
]
SettledAs = Annotated[
    str, typer.Option("--as", help="What became of it at Dhan: accepted, rejected or not_found.")
]
AtDhan = Annotated[
    str | None,
    typer.Option("--dhan-order-id", help="Dhan's number of the order, where it has one."),
]
Because = Annotated[
    str, typer.Option("--reason", help="How you know, in one sentence; the user reads it.")
]
SaysWho = Annotated[str, typer.Option("--by", help="Your name: it is kept with the reason.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"ats {metadata.version(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and end.", callback=_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run `ats`; what goes wrong becomes one line and an exit code (`ats.runtime.exit_codes`)."""
    try:
        app()
    except SystemExit as end:
        sys.exit(exit_codes.MISCONFIGURED if end.code == USAGE else end.code)
    except Misconfigured as error:
        _fail(error, exit_codes.MISCONFIGURED)
    except (TryLater, Unreadable) as error:
        _fail(error, exit_codes.TRY_LATER)
    except exit_codes.Faulty as error:
        _fail(error, exit_codes.BROKEN)
    except KeyboardInterrupt:
        sys.exit(exit_codes.INTERRUPTED)


def _fail(error: Exception, code: int) -> None:
    Console(stderr=True).print(
        f"[bold red]{exit_codes.SAID}[/]{escape(str(error))}",
        highlight=False,
        soft_wrap=True,
        markup=True,
    )
    sys.exit(code)


def _run(work: Coroutine[Any, Any, int | None]) -> None:
    sys.exit(asyncio.run(work) or exit_codes.DONE)


@app.command(rich_help_panel=TRY)
def demo(
    market: MarketFile = None,
    speed: Annotated[
        str,
        typer.Option(
            help="Market seconds per second, or max. Default 300, with --web 30: a day in 12 "
            "minutes."
        ),
    ] = "",
    seed: Seed = 7,
    check_candles: Annotated[
        bool, typer.Option("--check-candles", help="Compare every 1-minute candle with the file.")
    ] = False,
    check_against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Compare with this CSV of longer candles too, where it overlaps; may be given "
            "several times."
        ),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep logs and databases in this folder.")
    ] = None,
    web: Annotated[
        bool,
        typer.Option(
            "--web", help="Open the web page too: sign in, connect Dhan, trade. Needs Node 22."
        ),
    ] = False,
    rules: Annotated[
        Path | None, typer.Option(help="Rules file (TOML) of the engine, see: ats rules check")
    ] = None,
    day: Day = "",
    serve: Annotated[
        Path | None,
        typer.Option(
            help="Start Kafka and Postgres on the data that --keep left in this folder, with --web "
            "the page too, until Ctrl-C. Nothing trades."
        ),
    ] = None,
    max_bad_rows: MaxBadRows = 1.0,
) -> None:
    """The whole platform on this machine, with no account, no key and no Docker.

    Starts embedded Kafka and Postgres, a simulated Dhan and four users. Exits non-zero when nothing
    traded or a promise was broken.
    """
    from ats.demo.steps import Step

    console = Console()
    with Step(console, "loading ATS"):
        from ats.demo.kept import serve as serve_kept
        from ats.demo.run import DemoOptions, run

    if serve is not None:
        _run(serve_kept(serve.resolve(), web=web))
    pace = speed_of(speed or ("30" if web else "300"))
    options = DemoOptions(
        market,
        pace,
        seed,
        check_candles,
        tuple(check_against or ()),
        keep,
        web,
        rules,
        day_of(day),
        max_bad_rows,
    )
    _run(run(options))


@app.command(rich_help_panel=RUN)
def feed(metrics_port: MetricsPort = 0) -> None:
    """Gateway: Dhan's market feed into ats.ticks."""
    _service("feed", metrics_port)


@app.command("warm-up", rich_help_panel=RUN)
def warm_up() -> None:
    """Past bars into ats.ticks, from ats.candles or Dhan's history, so that indicators are ready.
    Run before `ats feed`.
    """
    _service("warmup", 0)


@app.command(rich_help_panel=RUN)
def streams(metrics_port: MetricsPort = 0) -> None:
    """Engine: ticks into candles, indicators and signals."""
    _service("streams", metrics_port)


@app.command(rich_help_panel=RUN)
def agents(
    metrics_port: MetricsPort = 0,
    scout_only: Annotated[
        bool, typer.Option("--scout-only", help="Make today's shortlist and end.")
    ] = False,
) -> None:
    """Agents: signals into reports and BUY, SELL or HOLD decisions.

    Runs the Scout on each trading day without a shortlist.
    """
    _service("scout" if scout_only else "agents", metrics_port)


@app.command(rich_help_panel=RUN)
def executors(metrics_port: MetricsPort = 0) -> None:
    """Order workers: decisions into each active user's orders."""
    _service("executors", metrics_port)


def _service(name: str, metrics_port: int) -> None:
    from ats.services import run_service

    _run(run_service(name, metrics_port))


@app.command(rich_help_panel=TRY)
def simulator(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.", min=0, max=MOST_PORT)
    ] = 8790,
    market: Annotated[
        Path | None,
        typer.Option(
            help="Replay this CSV: 1-minute candles (symbol,timestamp,open,high,low,close,volume) "
            "or ticks (symbol,timestamp,price or symbol,recv_time_ist,ltp,cum_volume,oi); .gz "
            "too."
        ),
    ] = None,
    generator: Annotated[
        list[str] | None,
        typer.Option(
            help="Kind of day of the generated market: calm, trending (the default), gap, crash, "
            "illiquid or opening_rush; SYMBOL=kind for one of them. Repeat it."
        ),
    ] = None,
    instruments: Annotated[
        int,
        typer.Option(help="Listings of the generated market: NIFTY and shares.", min=1, max=5_001),
    ] = 21,
    options: Annotated[
        list[str] | None,
        typer.Option(
            help="Symbol whose options trade in the generated market; repeat it. Default NIFTY; "
            "none for none."
        ),
    ] = None,
    speed: Speed = "1",
    seed: Seed = 7,
    day: Day = "",
    max_bad_rows: MaxBadRows = 1.0,
    wait: Annotated[
        bool, typer.Option("--wait", help="Hold the market until POST /control/start.")
    ] = False,
    faults: Annotated[
        Path | None, typer.Option(help="Script of faults (YAML), see docs/simulator.md.")
    ] = None,
    users: Annotated[int, typer.Option(help="How many Dhan accounts there are.")] = 1,
    packets_per_frame: Annotated[
        int,
        typer.Option(
            help="Most packets in one WebSocket frame. dhanhq reads only the first.",
            min=1,
            max=4_096,
        ),
    ] = 1,
    redirect_url: Annotated[
        str,
        typer.Option(help="Where the login page of the registered app sends the browser back to."),
    ] = "http://127.0.0.1:3000/api/dhan/callback",
) -> None:
    """Dhan in a box on one port.

    Serves market feed, depth, orders, order updates, login, candles, quotes, options and faults,
    and prints every address and credential. Needs no account; docs/simulator.md points your own bot
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
    _run(serve(asked))


@topics_app.command("create")
def topics_create() -> None:
    """Create what is missing; refuse a topic with another number of partitions."""
    from ats.commands.admin import create_topics

    _run(create_topics())


@topics_app.command("check")
def topics_check() -> None:
    """Say whether every topic is there as the catalogue wants it."""
    from ats.commands.admin import check_topics

    _run(check_topics())


@topics_app.command("list")
def topics_list() -> None:
    """Print the catalogue."""
    from schemas.topics import CATALOGUE

    table = Table("topic", "key", "partitioned by", "kept", "message")
    for topic in CATALOGUE:
        kept = "compacted" if topic.compacted else f"{topic.retention_days} days"
        table.add_row(
            topic.name,
            topic.key,
            topic.family,
            kept,
            topic.message.__name__ if topic.message else "binary",
        )
    Console().print(table)


@db_app.command("migrate")
def db_migrate() -> None:
    """Apply the migrations that the database at SUPABASE_DB_URL has not seen."""
    from ats.commands.admin import migrate

    _run(migrate())


@db_app.command("serve")
def db_serve(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.", min=0, max=MOST_PORT)
    ] = 54321,
    directory: Annotated[
        Path | None, typer.Option(help="Where the data lives; default in ATS_STATE_DIR.")
    ] = None,
) -> None:
    """A local Supabase: real Postgres with the real policies behind a stand-in for the REST and
    Auth API.
    """
    from ats.commands.db_serve import serve_database

    _run(serve_database(port, directory))


@rules_app.command("list")
def rules_list(rules: RulesFile = None) -> None:
    """Every installed rule: timeframe, parameters, warm-up, columns, package, and what runs."""
    from ats.commands.rules_list import show
    from ats.settings import load

    show(Console(), rules or load().ats_rules)


@rules_app.command("check")
def rules_check(
    file: Annotated[
        Path, typer.Argument(help="A rules file; rules.example.toml shows all there is.")
    ],
) -> None:
    """Say what the engine would run under a rules file, or everything that is wrong with it."""
    from ats.commands.rules_list import check

    check(Console(), file)


@rules_app.command("try")
def rules_try(
    name: Annotated[str, typer.Argument(help="A rule, or a section of the rules file.")],
    market: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV of 1-minute candles; repeat for several days. Default: a generated market."
        ),
    ] = None,
    days: Annotated[int, typer.Option(help="Days of the generated market.", min=1, max=60)] = 3,
    seed: Seed = 7,
    rules: RulesFile = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A parameter, such as timeframe=15m; before what the file says."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Signals to print; all are counted.", min=0)] = 20,
    max_bad_rows: MaxBadRows = 1.0,
) -> None:
    """Replay days through the engine with one rule, and print what it would have said."""
    from ats.commands.rules_try import Trial, run
    from ats.settings import load

    run(
        Console(),
        Trial(
            name,
            rules or load().ats_rules,
            tuple(set_ or ()),
            tuple(market or ()),
            days,
            seed,
            limit,
            max_bad_rows / 100,
        ),
    )


@rules_app.command("new")
def rules_new(
    name: Annotated[str, typer.Argument(help="The rule's name: small letters, digits and _.")],
    directory: Annotated[
        Path | None, typer.Argument(help="Where to write it; default is a folder of that name.")
    ] = None,
) -> None:
    """Write a package with a rule of your own, its entry point and its test. docs/rules.md goes on
    from there.
    """
    from ats.commands.rules_new import write

    write(Console(), name, directory)


@claims_app.command("list")
def claims_list() -> None:
    """Claimed orders without an outcome, and why. A table on a terminal, JSON lines in a pipe."""
    from ats.commands.claims import list_open

    _run(list_open())


@claims_app.command("settle")
def claims_settle(
    order: OrderArgument,
    as_: SettledAs,
    reason: Because,
    by: SaysWho,
    dhan_order_id: AtDhan = None,
) -> None:
    """Record what became of an open order, after you looked it up at Dhan yourself.

    Refused while the order may still be on its way (10 seconds), and when it is settled already.
    """
    from ats.commands.claims import Verdict, settle

    _run(settle(Verdict.of(order, as_, dhan_order_id, reason=reason, by=by)))


@claims_app.command("correct")
def claims_correct(
    order: OrderArgument,
    as_: SettledAs,
    reason: Because,
    by: SaysWho,
    dhan_order_id: AtDhan = None,
) -> None:
    """Append what is known now of an order that was settled as something else.

    The recorded outcome stays as evidence; everybody is shown the correction.
    """
    from ats.commands.claims import Verdict, correct

    _run(correct(Verdict.of(order, as_, dhan_order_id, reason=reason, by=by)))


@app.command(rich_help_panel=LOOK)
def tail(
    topics: Annotated[list[str], typer.Argument(help="Topic names, see: ats topics list")],
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="FIELD=VALUE that must hold, such as symbol=TCS or values.rsi_14=30; "
            "repeat it, all must hold."
        ),
    ] = None,
    last: Annotated[
        int | None,
        typer.Option(help="Begin with the last so many that match; the default is 10.", min=1),
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest record.")
    ] = False,
    since: Annotated[
        str,
        typer.Option(
            help="Begin with what was written at 09:15 or 2026-11-20T09:15 (IST), or 15m ago."
        ),
    ] = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for new records, until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="JSON lines on a terminal too; a pipe or a file gets them anyway."
        ),
    ] = False,
) -> None:
    """Print what stands on topics: rupees and Indian time on a terminal, JSON lines elsewhere.

    Joins no consumer group and disturbs nobody. What cannot be read is shown as unreadable.
    """
    from ats.commands.tail.command import TailOptions, run

    options = TailOptions(topics, where or (), last, from_beginning, since, follow, as_json)
    _run(run(options, UtcNs(time.time_ns())))


@app.command("show-config", rich_help_panel=SET_UP)
def show_config() -> None:
    """Print every setting in force, secrets only as set or not set, and what is wrong with the
    files and names in them.
    """
    from ats.commands.doctor import problems
    from ats.settings import load

    settings = load()
    table = Table("variable", "value")
    for name, value in settings.shown().items():
        table.add_row(name, value)
    Console().print(table)
    if wrong := asyncio.run(problems(settings)):
        raise Misconfigured("; ".join(finding.note for finding in wrong))


@app.command(rich_help_panel=SET_UP)
def doctor() -> None:
    """Try everything the settings point at, and say what to do about what fails."""
    from ats.commands.doctor import examine

    _run(examine(Console()))


def speed_of(text: str) -> float | None:
    """`max` is None.

    Raises:
        Misconfigured: neither a number above zero nor `max`.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1_000_000:
        raise Misconfigured(
            f"--speed {text!r} is not usable: give market seconds per second such as 60, or max"
        )
    return speed


def day_of(text: str) -> date | None:
    """Raises Misconfigured when `text` is no date; empty is None."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Misconfigured(
            f"--day {text!r} is not usable: give a date such as 2026-11-20"
        ) from None
