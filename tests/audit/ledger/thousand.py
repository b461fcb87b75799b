"""`python -m tests.audit.ledger.thousand`: a thousand changed places, each found where it is.

Five ways to change, 200 places each, with and without recomputing every hash above the record.
"""

from __future__ import annotations

import random
import sys

from tests.audit.ledger.tampering import TAMPERINGS, missed


def main() -> int:
    wrong: list[str] = []
    for tamper in TAMPERINGS:
        for again in (False, True):
            chance = random.Random(f"thousand {tamper.__name__} {again}")
            found = [each for _ in range(10) for each in missed(chance, tamper, 20, again=again)]
            ledger = "hashes recomputed" if again else "records only"
            print(f"{tamper.__name__:<9} {ledger:<18} 200 places, {len(found)} missed")  # noqa: T201
            wrong += found
    print(*wrong, sep="\n")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
