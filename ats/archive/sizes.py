"""`ats archive sizes`."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from ats.archive.show import as_json as encoded
from ats.archive.show import show_sizes
from audit.archive.manifest import read_manifest
from audit.archive.stored import days_in


def run(folder: Path, *, as_json: bool) -> None:
    """Print the sizes of the archived days in `folder`.

    Raises:
        Misconfigured: there is no archive, or its manifest was changed.
    """
    days = [read_manifest(each) for each in days_in(folder)]
    if as_json:
        sys.stdout.write(encoded(days) + "\n")
    else:
        show_sizes(Console(), days)
