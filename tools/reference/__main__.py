"""Write every reference page into the folder given as the argument."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.reference.pages import write

if len(sys.argv) != 2:
    sys.exit("usage: python -m tools.reference FOLDER")
write(Path(sys.argv[1]))
