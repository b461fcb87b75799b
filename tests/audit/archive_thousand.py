"""`python -m tests.audit.archive_thousand`: a thousand changed places of archived days, all found.

Records are flipped, dropped, put in, swapped and cut off in the files: alone, with every hash of
the archive computed again, and with the ledger's hashes computed again too. Then bytes of files.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.audit.archive_spoiling import Spoilt, missed_byte, missed_records
from tests.audit.ledger.tampering import TAMPERINGS

MODES = {
    "files only": (False, False),
    "archive's hashes again": (True, False),
    "ledger's hashes too": (True, True),
}


async def main(seed: str, records: int = 54, flips: int = 150, cuts: int = 50) -> int:
    """`records` places for each way of changing and each of the modes."""
    wrong: list[str] = []
    chance = random.Random(seed)
    with TemporaryDirectory() as root:
        spoilt = Spoilt(Path(root), chance)
        for tamper in TAMPERINGS:
            for name, (manifest, ledger) in MODES.items():
                found = [
                    each
                    for _ in range(records)
                    for each in await missed_records(
                        spoilt, chance, tamper, manifest=manifest, ledger=ledger
                    )
                ]
                print(f"{tamper.__name__:<9} {name:<24} {records} places, {len(found)} missed")  # noqa: T201
                wrong += found
        for what, count, cut in (("bit of a file", flips, False), ("file cut off", cuts, True)):
            found = [each for _ in range(count) for each in missed_byte(spoilt, chance, cut=cut)]
            print(f"{what:<34} {count} places, {len(found)} missed")  # noqa: T201
            wrong += found
    print(*wrong, sep="\n")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m tests.audit.archive_thousand", description=__doc__
    )
    parser.add_argument("--seed", default="archive", help="other places for another seed")
    sys.exit(asyncio.run(main(parser.parse_args().seed)))
