"""An interpreter that has `ats_client` as its wheel installs it, and what that depends on alone."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

CLIENT: Final = Path(__file__).resolve().parents[2] / "clients" / "python"


def built(folder: Path) -> Path:
    """The wheel, built into `folder`."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def interpreter(wheel: Path, home: Path) -> Path:
    """A new environment's Python. What the wheel requires comes from our own, linked."""
    venv.create(home, with_pip=False, symlinks=True)
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        required = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist", [])
    for each in _closure(required):
        for top in {str(file.parts[0]) for file in each.files or () if file.parts[0] != ".."}:
            place = site / top
            if not place.exists():
                place.symlink_to(Path(str(each.locate_file(top))))
    return home / "bin" / "python"


def _closure(required: list[str]) -> Iterator[Distribution]:
    seen: set[str] = set()
    while required:
        requirement = Requirement(required.pop())
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in seen:
            seen.add(requirement.name)
            found = distribution(requirement.name)
            assert requirement.specifier.contains(found.version), requirement
            required += found.requires or []
            yield found
