"""Where `ats` starts: first it makes sure that its top-level packages are its own, then it becomes
the command line.

ATS is an application, and `agents` or `schemas` are names that others use too:
`pip install openai-agents` into the same environment puts its `agents` in the place of ours.
Nothing of ATS is imported before the check, since it may be somebody else's.
"""

from __future__ import annotations

import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ats import DISTRIBUTION

PACKAGES: Final = (
    *("schemas", "bus", "dhan", "streams", "agents", "executors"),
    *("simulator", "audit", "backtest"),
)
# sysexits.h EX_USAGE, as every mistake in the set-up; exit_codes cannot be imported yet
FOREIGN: Final = 64


def main() -> None:
    """Run `ats`, unless one of its packages is somebody else's."""
    if strangers := list(foreign()):
        sys.stderr.write(f"ats: {complaint(strangers)}\n")
        sys.exit(FOREIGN)
    from ats.cli import main as run  # noqa: PLC0415  # only now is it certain that these packages are ours

    run()


def foreign() -> Iterator[tuple[str, Path | None]]:
    """Our package names that lead elsewhere, each with the `__init__.py` that Python would take;
    None: there is none.
    """
    home, hashes = Path(__file__).resolve().parents[1], _recorded()
    for package in PACKAGES:
        spec = find_spec(package)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        ours = home / package / "__init__.py"
        if found != ours or (package in hashes and hashes[package] != _hash(ours)):
            yield package, found


def complaint(strangers: list[tuple[str, Path | None]]) -> str:
    """One line: what is foreign, whose it is, and the remedy."""
    package, found = strangers[0]
    names = ", ".join(f"`{name}`" for name, _ in strangers)
    whose = f" but {owner_of(package)}" if found else ", it is missing"
    return (
        f"the Python package {names} is not ATS's own{whose}. ATS is an application and needs an "
        "environment of its own: install it with `uv tool install`, with pipx, into a new virtual "
        "environment, or run its container image"
    )


def owner_of(package: str) -> str:
    """The other distribution that brings `package`, for a person."""
    from importlib import metadata  # noqa: PLC0415  # a third of the time that `ats --help` may take

    for each in metadata.distributions():
        brings = (str(file) == f"{package}/__init__.py" for file in each.files or ())
        if each.name != DISTRIBUTION and any(brings):
            return f"that of {each.name} {each.version}"
    spec = find_spec(package)
    return f"the one at {spec.origin}" if spec and spec.origin else "somebody else's"


def _recorded() -> dict[str, str]:
    """Each package's hash of its `__init__.py` as ATS was installed; none if it is editable."""
    home, name = Path(__file__).resolve().parents[1], DISTRIBUTION.replace("-", "_")
    lines = [
        line
        for record in home.glob(f"{name}-*.dist-info/RECORD")
        for line in record.read_text(encoding="utf-8").splitlines()
    ]
    wanted = {f"{package}/__init__.py": package for package in PACKAGES}
    rows = (line.split(",") for line in lines)
    return {
        wanted[file]: value.removeprefix("sha256=")
        for file, value, _ in (row for row in rows if row[0] in wanted)
        if value
    }


def _hash(file: Path) -> str:
    """As a wheel's RECORD writes it: base64 without padding."""
    return urlsafe_b64encode(sha256(file.read_bytes()).digest()).rstrip(b"=").decode()
