"""Imports point one way: import-linter keeps the contracts that pyproject.toml holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def broken(root: Path) -> list[str]:
    """What import-linter says of the tree under `root`; nothing when every contract holds."""
    run = subprocess.run(  # noqa: S603 (our own arguments)
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    return [] if run.returncode == 0 else [run.stdout + run.stderr]
