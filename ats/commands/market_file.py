"""A first look at a file of candles or ticks: what cannot be one is refused before it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from audit.archive.installed import check_installed
from schemas.errors import Misconfigured
from simulator.market.bars import KEPT

GZIP: Final = b"\x1f\x8b"
GZIPPED: Final = ".gz"
PARQUET: Final = b"PAR1"
OTHERS: Final = {
    b"\xff\xfe": "it is written in UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is written in UTF-16; save it as UTF-8",
    b"\xfd7zX": "it is compressed with xz; unpack it, or compress it with gzip",
    b"BZh": "it is compressed with bzip2; unpack it, or compress it with gzip",
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd; unpack it, or compress it with gzip",
    b"PK\x03\x04": "it is a ZIP archive or a spreadsheet; unpack it, or save it as CSV",
    PARQUET: f"it is a Parquet file; the catalogue's own end in {KEPT}, any other save as CSV",
}


def look_at(path: Path) -> None:
    """Look at what `path` is and how it begins.

    Raises:
        Misconfigured: it is no file of text; what it is instead, and the remedy.
    """
    if path.suffix == KEPT:
        check_installed()
    if why := _unusable(path):
        raise Misconfigured(f"market file {path}: {why}")


def _unusable(path: Path) -> str:
    if not path.exists():
        return "no such file"
    if path.is_dir():
        return "it is a directory; name one CSV file of it"
    if not path.is_file():  # opening a FIFO would wait for a writer, for ever
        return "it is a pipe or a device, and a market is read twice; save it to a file first"
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return _of_another_kind(head, path.suffix)


def _of_another_kind(head: bytes, suffix: str) -> str:
    if head.startswith(GZIP):
        named = suffix == GZIPPED
        return "" if named else f"it is compressed with gzip; give it a name that ends in {GZIPPED}"
    if suffix == GZIPPED:
        return f"its name ends in {GZIPPED}, but it is not compressed with gzip; rename it"
    if suffix == KEPT:
        return "" if head == PARQUET else f"its name ends in {KEPT}, but it is no Parquet file"
    said = next((said for magic, said in OTHERS.items() if head.startswith(magic)), "")
    return said or ("it has bytes that no text has; save it as CSV in UTF-8" if 0 in head else "")
