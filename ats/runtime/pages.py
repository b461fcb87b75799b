"""Writes a page that a command made: the whole of it, or none."""

from __future__ import annotations

import os
from pathlib import Path

from schemas.errors import Misconfigured


def write_page(path: Path, text: str) -> None:
    """Put `text` into the file `--html` names, in UTF-8.

    What stood there stays until the new page is whole: half a page looks like one with less on it.
    A pipe or a device is written to as it is.

    Raises:
        Misconfigured: it cannot be written; then nothing of it is left.
    """
    content = text.encode("utf-8", "xmlcharrefreplace")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))
        half = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            half.write_bytes(content)
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise Misconfigured(f"--html {path} cannot be written: {error.strerror}") from None
