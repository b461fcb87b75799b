"""`python -m tests.audit.ledger.by_go`: a hundred proofs of ours, verified by Go's own code.

Needs Go and its module proxy: golang.org/x/mod/sumdb and transparency-dev/formats, as pinned in
`foreign/go.sum`. The suite has the same with a verifier in Python (`rfc9162.py`).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.audit.ledger.test_notes import LOG, ORIGIN, WITNESS, entries, proofs

FOREIGN = Path(__file__).with_name("foreign")


def main() -> int:
    leaves = entries(100)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "origin").write_text(ORIGIN)
        (folder / "log.vkey").write_text(str(LOG.public))
        (folder / "witness.vkey").write_text(str(WITNESS.public))
        for proof, entry in zip(proofs(leaves), leaves, strict=True):
            (folder / f"{entry}.tlog-proof").write_text(str(proof))
            (folder / f"{entry}.entry").write_bytes(entry.encoded)
        command = ["go", "run", ".", str(folder)]
        return subprocess.run(command, cwd=FOREIGN, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
