"""Makes the picture of a recorded terminal: `ats demo | python -m tools.recorded PICTURE.svg`.

The lines are a run's own, unchanged. Of a part that repeats itself only the first and last are
kept, and `…` stands for the others. The SVG asks no other host for a font.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

WIDTH: Final = 124  # columns; the demo runs with COLUMNS=110 and writes longer lines too
COMMAND: Final = "$ make demo"
MORE: Final = "…"
WAITING: Final = re.compile(r"^ +\d+ s  ")  # what a step says every few seconds
STEP_DONE: Final = re.compile(r": done in \d+ s$")
CLOCK: Final = re.compile(r"^\d\d:\d\d:\d\d IST ")
STYLES: Final = {
    "  held ": "green",
    "Every promise": "bold green",
    "BUY": "cyan",
    "SELL": "magenta",
}
FONT_FACE: Final = re.compile(r"@font-face \{.*?\}", re.DOTALL)


def main() -> None:
    """Read a run from standard input, and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m tools.recorded", description=__doc__)
    parser.add_argument("picture", type=Path)
    picture: Path = parser.parse_args().picture
    picture.write_text(drawn(list(shortened(sys.stdin.read().splitlines()))), encoding="utf-8")


def shortened(lines: Sequence[str], clocks: int = 3) -> Iterator[str]:
    """The lines without what a step says while it waits; of the day's course the first `clocks`
    hours and the last.
    """
    told = [line for line in lines if not WAITING.match(line)]
    hours = [number for number, line in enumerate(told) if CLOCK.match(line)]
    if len(hours) <= clocks + 1:
        yield from told
        return
    yield from told[: hours[clocks]]
    yield MORE
    yield from told[hours[-1] :]


def drawn(lines: Sequence[str]) -> str:
    """The lines as the SVG of a terminal."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    console.print(Text(COMMAND, style="bold"))
    for line in lines:
        console.print(Text(line, style=_style(line)), soft_wrap=False)
    svg = console.export_svg(title="ATS", unique_id="recorded")
    return FONT_FACE.sub("", svg)


def _style(line: str) -> str:
    if STEP_DONE.search(line):
        return "dim"
    return next((style for start, style in STYLES.items() if line.startswith(start)), "")


if __name__ == "__main__":
    main()
