"""The files that a demo is given: read, and refused, before anything is loaded or started.

Read outside of the event loop, so that Ctrl-C ends it in the middle of a long file.
"""

from __future__ import annotations

from rich.console import Console

from ats.commands.market_file import look_at
from ats.demo.candles import Reference, bars_of, on_day, reference
from ats.demo.options import DemoOptions
from ats.demo.steps import Step
from schemas.errors import Misconfigured
from simulator.market.replay import replay_file


def read_files(options: DemoOptions, console: Console) -> list[Reference]:
    """Read the market file once, and return the files of longer candles.

    Raises:
        Misconfigured: the market file cannot be played or has too many unusable rows; or one that
            is to be compared with is of no use for that.
    """
    for path in (options.market, *options.check_against):
        if path is not None:
            look_at(path)
    if options.market is None:
        return references_of(options)
    with Step(console, f"reading {options.market.name}"):
        references = references_of(options)
        report = replay_file(options.market, options.seed, options.day).report
    assert report is not None, "a file has a report"
    report.refuse_broken(options.max_bad_rows / 100)
    return references


def references_of(options: DemoOptions) -> list[Reference]:
    """The files of longer candles: a mistake in them costs no whole day.

    Raises:
        Misconfigured: one of them, or the market file, is of no use for a comparison.
    """
    if not (options.check_candles or options.check_against):
        return []
    if options.market is None:
        raise Misconfigured(
            "--check-candles and --check-against compare what a file gives: name it with --market"
        )
    played = bars_of(options.market)
    if options.day is not None:
        played = on_day(played, options.day)
    if not played:
        of = f" of {options.day}" if options.day else ""
        raise Misconfigured(f"market file {options.market}: it has no usable row{of}")
    return [reference(path, played) for path in options.check_against]
