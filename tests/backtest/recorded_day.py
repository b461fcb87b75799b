"""Plays a demo on a market file and keeps it, then sends its decisions again: the same trades?

    python -m tests.backtest.recorded_day --market market-data/2016-08-18.parquet

Some minutes. Exit code 1 where a trade differs, or where the demo broke a promise.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--market", type=Path, required=True, help="one day of candles")
    market = str(parser.parse_args().market.resolve())
    with tempfile.TemporaryDirectory(prefix="ats-recorded-day-") as folder:
        kept = str(Path(folder) / "demo")
        commands = (
            ("demo", "--market", market, "--speed", "max", "--keep", kept),
            ("backtest", "--agents", "recorded", "--demo", kept, "--market", market),
        )
        for command in commands:
            if code := subprocess.run(
                [sys.executable, "-m", "ats", *command], check=False
            ).returncode:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
