"""Keys as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.ledger.keys import PRIVATE, make_keys, read_public, read_signer
from audit.ledger.notes import KeyType
from schemas.errors import Misconfigured


def test_a_key_is_for_its_owner_alone_and_reads_back(tmp_path: Path) -> None:
    folder = tmp_path / "keys"

    public = make_keys(folder, "acme.example/ats", KeyType.LOG)

    assert (folder / PRIVATE).stat().st_mode & 0o777 == 0o600
    assert read_signer(folder, KeyType.LOG).public == public
    assert read_public(folder, KeyType.LOG) == public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_keys(tmp_path, "acme.example/ats", KeyType.LOG)
    before = (tmp_path / PRIVATE).read_bytes()

    with pytest.raises(Misconfigured, match="not overwritten"):
        make_keys(tmp_path, "acme.example/ats", KeyType.LOG)

    assert (tmp_path / PRIVATE).read_bytes() == before


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    make_keys(tmp_path, "acme.example/ats", KeyType.LOG)
    (tmp_path / PRIVATE).chmod(0o640)

    with pytest.raises(Misconfigured, match="can be read by others"):
        read_signer(tmp_path, KeyType.LOG)


def test_the_key_of_a_witness_signs_no_log(tmp_path: Path) -> None:
    make_keys(tmp_path, "acme.example/witness", KeyType.WITNESS)

    with pytest.raises(Misconfigured, match="no key of a log"):
        read_signer(tmp_path, KeyType.LOG)


def test_a_folder_without_a_key_names_the_command(tmp_path: Path) -> None:
    assert read_public(tmp_path, KeyType.LOG) is None
    with pytest.raises(Misconfigured, match="ats ledger keys"):
        read_signer(tmp_path, KeyType.LOG)
