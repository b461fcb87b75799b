"""Archives, and the catalogue of `ats data`, need pyarrow, which not every installation has."""

from __future__ import annotations

from importlib.util import find_spec

from schemas.errors import Misconfigured


def check_installed() -> None:
    """Raises Misconfigured, with the remedy, where pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise Misconfigured(
            "archived days, and those of `ats data`, are Parquet files, and pyarrow is not "
            "installed: run `make setup-archive` in a clone, else "
            "`pip install 'pyarrow>=26,<27'` into the environment of ATS"
        )
