"""Commands that judge recorded days: replay them, score their decisions, try other prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ats.cli.options import Archived, day_of, finish, speed_of
from schemas.errors import Misconfigured

TradingDay = Annotated[
    str, typer.Argument(metavar="[DATE]", help="The trading day, such as 2026-11-20.")
]
FirstDay = Annotated[
    str, typer.Option("--from", help="Several days instead: the first, YYYY-MM-DD.")
]
LastDay = Annotated[str, typer.Option("--to", help="And the last.")]
OneObject = Annotated[bool, typer.Option("--json", help="One JSON object.")]


Verify = Annotated[
    bool,
    typer.Option(
        "--verify", help="Compare by id and byte with the topics; exit code 1 on a difference."
    ),
]
ReplayedDemo = Annotated[
    Path | None,
    typer.Option(help="Replay what `ats demo --keep FOLDER` left there; starts its Kafka."),
]
Into = Annotated[
    str,
    typer.Option(
        metavar="PREFIX",
        help="Write the record once more instead, to topics whose names begin so: replay. "
        "makes replay.ats.ticks and all others.",
    ),
]
Speed = Annotated[
    str, typer.Option(help="With --into: 1x, the default, keeps the record's pauses, 60x, or max.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="What if: --set rules.rsi_reversal.low=25, --set decisions.min_confidence=60.",
    ),
]
OtherRules = Annotated[
    Path | None,
    typer.Option(help="What if: this rules file instead of the day's, --rules rules.toml."),
]
OtherPrompts = Annotated[
    Path | None,
    typer.Option(
        help='What if: a TOML file with instructions by agent, such as commander = "…": '
        "--prompt commander.toml."
    ),
]
OtherModel = Annotated[
    str, typer.Option(help="What if: another model had answered, --model gpt-4o-mini.")
]
OtherLimits = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE|NAME=VALUE",
        help="What if: --limits max_order_value_rupees=20000, or a TOML file of such lines.",
    ),
]
Agreed = Annotated[
    bool,
    typer.Option(
        "--yes", help="What if: ask models what no answer is recorded to, without a question."
    ),
]
KeptIn = Annotated[
    Path | None,
    typer.Option(help="What if: keep such answers in this file, --answers answers.jsonl."),
]


def replay(
    day: TradingDay = "",
    first: FirstDay = "",
    last: LastDay = "",
    verify: Verify = False,
    demo: ReplayedDemo = None,
    archive: Archived = None,
    as_json: OneObject = False,
    into: Into = "",
    speed: Speed = "",
    sets: Sets = None,
    rules: OtherRules = None,
    prompt: OtherPrompts = None,
    model: OtherModel = "",
    limits: OtherLimits = None,
    yes: Agreed = False,
    answers: KeptIn = None,
) -> None:
    """Recorded days once more through the same cores: the same bytes, or where they part.

    Calls no model and asks no broker: recorded answers are used. Writes nothing but what --into
    asks for. With a change it shows what would have been other, signal by signal: ats replay
    2026-11-20 --set rules.rsi_reversal.low=25. Answers that must be asked anew are counted and
    priced first, and asked after a yes.
    """
    from ats.replay.changes import Changes
    from ats.replay.command import run
    from ats.replay.options import ReplayOptions
    from ats.replay.whatif import WhatIfOptions
    from ats.replay.whatif import run as run_what_if

    changes = Changes.of(sets or (), limits or (), rules=rules, prompts=prompt, model=model)
    options = ReplayOptions.of(
        day_of(day, "DATE"),
        day_of(first, "--from"),
        day_of(last, "--to"),
        verify=verify,
        demo=demo.resolve() if demo else None,
        as_json=as_json,
        into=into,
        speed=_pace_of(speed, into),
        archive=archive,
    )
    if changes.any:
        finish(run_what_if(WhatIfOptions(options, changes, yes, answers)))
    finish(run(options))


def _pace_of(speed: str, into: str) -> float | None:
    """Raises Misconfigured where there is nothing that has a pace."""
    if speed and not into:
        raise Misconfigured("--speed is the pace of --into: give both")
    text = speed or "1x"
    return speed_of(text if text == "max" else text.removesuffix("x"))


def scorecard(
    day: TradingDay = "",
    first: FirstDay = "",
    last: LastDay = "",
    demo: Annotated[
        Path | None,
        typer.Option(help="Score what `ats demo --keep FOLDER` left there; starts its Kafka."),
    ] = None,
    market: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Score the rules and the simulated model on a file of one-minute bars instead, "
            "without Kafka; repeat it for more days.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of the intervals and of the random agents.", min=0)
    ] = 7,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="JSON on a terminal too; a pipe or a file gets it anyway."),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            help="Write one HTML page with charts to this file instead; with --json both."
        ),
    ] = None,
) -> None:
    """Were the decisions any good? Every one, HOLDs too, against what the market then did.

    By rule, agent, model and prompt, beside buying and holding and a random agent of the same
    turnover, with intervals. It says so when there are too few to say anything.
    """
    from ats.scorecard.command import run
    from ats.scorecard.options import ScorecardOptions

    options = ScorecardOptions.of(
        day_of(day, "DATE"),
        day_of(first, "--from"),
        day_of(last, "--to"),
        demo=demo.resolve() if demo else None,
        market=market or (),
        seed=seed,
        as_json=as_json,
        html=html,
    )
    finish(run(options))


def report(
    day: TradingDay,
    user: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this user alone, showing nobody else.")
    ] = None,
    demo: Annotated[
        Path | None,
        typer.Option(help="Report on what `ats demo --keep FOLDER` left; starts its Kafka."),
    ] = None,
    archive: Archived = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Where the page is written; default report-DATE.html. It needs no net."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures, write no page.")
    ] = False,
) -> None:
    """One day as a page: profit after charges and thinking, every position and why, incidents.

    With the course of the day, entries and exits in the charts, exposure, slippage, how long each
    hop took and what the models cost.
    """
    from ats.commands.users import user_of
    from ats.report.command import ReportOptions, run

    found = day_of(day, "DATE")
    if found is None:
        raise Misconfigured("no day given: `ats report 2026-11-20`")
    # an empty one is a mistake of a script, and everybody's page is not for one user
    whose = None if user is None else user_of(user, "--user")
    folder = demo.resolve() if demo else None
    finish(run(ReportOptions(found, whose, folder, archive, html, as_json)))


def evaluate(
    prompt: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help='A TOML file with instructions by agent, such as commander = "…". Give one, which '
            "is held against the record, or two against each other.",
        ),
    ],
    day: TradingDay = "",
    first: FirstDay = "",
    last: LastDay = "",
    demo: Annotated[
        Path | None,
        typer.Option(help="Evaluate on what `ats demo --keep FOLDER` left; starts its Kafka."),
    ] = None,
    model: Annotated[str, typer.Option(help="Who is asked; default: the day's model.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Ask what has no answer yet, without a question.")
    ] = False,
    answers: Annotated[
        Path | None, typer.Option(help="Keep answers asked anew in this file.")
    ] = None,
    as_json: OneObject = False,
) -> None:
    """Other instructions on recorded days, judged before they trade: two score cards, paired.

    Recorded answers are used. What must be asked anew is counted and priced first, and asked after
    a yes. The difference is taken signal by signal and has an interval.
    """
    from ats.replay.options import ReplayOptions
    from ats.scorecard.evaluate import EvaluateOptions, run

    replayed = ReplayOptions.of(
        day_of(day, "DATE"),
        day_of(first, "--from"),
        day_of(last, "--to"),
        verify=False,
        demo=demo.resolve() if demo else None,
        as_json=as_json,
    )
    finish(run(EvaluateOptions(replayed, tuple(prompt), model, yes, answers)))
