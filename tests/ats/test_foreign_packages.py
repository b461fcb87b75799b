"""ATS among other people's packages: another distribution has an `agents` or a `schemas` too."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ats import DISTRIBUTION
from ats.entry import PACKAGES, complaint, foreign
from ats.runtime import exit_codes

ROOT = Path(__file__).parents[2]


def started(*places: Path) -> subprocess.CompletedProcess[str]:
    """`ats --help` by an interpreter that looks into `places` first."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places)), "NO_COLOR": "1"}
    command = [sys.executable, "-c", "from ats.entry import main; main()", "--help"]
    return subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=60, check=False
    )


def a_distribution(site: Path, name: str, package: str, content: str) -> None:
    """As pip leaves it: the package and the metadata that list it."""
    (site / package).mkdir(parents=True, exist_ok=True)
    (site / package / "__init__.py").write_text(content)
    info = site / f"{name.replace('-', '_')}-1.2.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
    (info / "RECORD").write_text(f"{package}/__init__.py,,\n{info.name}/METADATA,,\n")


@pytest.mark.parametrize("package", ["agents", "schemas"])
def test_a_package_of_another_distribution_is_named_with_the_remedy(
    tmp_path: Path, package: str
) -> None:
    a_distribution(tmp_path, "openai-agents", package, "raise RuntimeError('not ours')")

    done = started(tmp_path, ROOT)

    assert done.returncode == exit_codes.MISCONFIGURED
    assert f"`{package}` is not ATS's own but that of openai-agents 1.2.3" in done.stderr
    assert "uv tool install" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_package_overwritten_in_place_is_noticed_by_its_recorded_hash(tmp_path: Path) -> None:
    installed(tmp_path)
    untouched = started(tmp_path)
    a_distribution(tmp_path, "openai-agents", "agents", "from nowhere import Agent")

    done = started(tmp_path)

    assert untouched.returncode == 0, untouched.stderr
    assert done.returncode == exit_codes.MISCONFIGURED
    assert "`agents` is not ATS's own but that of openai-agents 1.2.3" in done.stderr


def installed(site: Path) -> None:
    """Our packages as pip lays them out, with the hashes it records."""
    for package in ("ats", *PACKAGES):
        shutil.copytree(
            ROOT / package, site / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    rows = [
        f"{package}/__init__.py,sha256={digest(site / package / '__init__.py')},"
        for package in PACKAGES
    ]
    info = site / f"{DISTRIBUTION.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 0.1.0\n")
    (info / "RECORD").write_text("\n".join(rows) + "\n")


def digest(file: Path) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()
    )


def test_a_missing_package_is_named() -> None:
    assert complaint([("dhan", None)]).startswith(
        "the Python package `dhan` is not ATS's own, it is missing"
    )


def test_our_own_packages_are_no_strangers() -> None:
    assert list(foreign()) == []
