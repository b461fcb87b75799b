"""Runs the rules: `python -m tools.house [-v] [RULE ...]`; exits with 1 when one is broken."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tools.house import docstrings, imports, vocabulary

ROOT: Final = Path(__file__).resolve().parents[2]
RULES: Final[dict[str, Callable[[Path], list[str]]]] = {
    "imports": imports.broken,
    "vocabulary": vocabulary.broken,
    "docstrings": docstrings.broken,
}
REPORTS: Final[dict[str, Callable[[Path], list[str]]]] = {
    "vocabulary": vocabulary.report,
    "docstrings": docstrings.report,
}


def main() -> int:
    """Run the rules that the command line names, else all of them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.house", description=__doc__)
    parser.add_argument("rules", nargs="*", choices=[[], *RULES], metavar="RULE")
    parser.add_argument("-v", "--verbose", action="store_true", help="also say how things stand")
    chosen = parser.parse_args()
    breaches = 0
    for name in chosen.rules or RULES:
        if chosen.verbose and name in REPORTS:
            print(*REPORTS[name](ROOT), sep="\n")  # noqa: T201 (a command for people)
        for line in RULES[name](ROOT):
            breaches += 1
            print(f"{name}: {line}", file=sys.stderr)  # noqa: T201
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
