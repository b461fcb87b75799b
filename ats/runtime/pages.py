"""Writes a file that a command made: the whole of it, or none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from schemas.errors import Misconfigured


def write_page(path: Path, text: str) -> None:
    """Put `text` into the file `--html` names, in UTF-8; see `write_file`."""
    write_file(path, text.encode("utf-8", "xmlcharrefreplace"), "--html")


def write_file(path: Path, content: bytes, option: str) -> None:
    """Put `content` into the file `option` names.

    What stood there stays until the new file is whole: half a page looks like one with less on it.
    A pipe or a device is written to as it is.

    Raises:
        Misconfigured: it cannot be written; then nothing of it is left.
    """
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
        raise _refused(path, option, error) from None


def check_place(path: Path, option: str) -> None:
    """Refuse before long work what could not be written after it.

    Raises:
        Misconfigured: `path` is a folder, or no file can be made in its folder.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        return  # a pipe or a device
    folder = Path(os.path.realpath(path)).parent
    for code, wrong in (
        (errno.EISDIR, path.is_dir()),
        (errno.ENOENT, not folder.is_dir()),
        (errno.EACCES, not os.access(folder, os.W_OK)),
    ):
        if wrong:
            raise _refused(path, option, OSError(code, os.strerror(code)))


def _refused(path: Path, option: str, error: OSError) -> Misconfigured:
    return Misconfigured(f"{option} {path} cannot be written: {error.strerror}")
