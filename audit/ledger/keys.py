"""Keys as files: the private half for its owner alone, the public half to be given away."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from audit.ledger.notes import PUBLIC_KEY_SIZE, KeyType, PublicKey, Signer
from schemas.errors import Misconfigured, Unreadable

PRIVATE: Final = "private.key"
PUBLIC: Final = "public.vkey"
MAX_KEY: Final = 1_000  # bytes of a key file that are read


def make_keys(folder: Path, name: str, type_: KeyType) -> PublicKey:
    """Make a key in `folder` and return its public half. An existing key is never overwritten.

    Raises:
        Misconfigured: a key is there already, or the name or the folder cannot be used.
    """
    try:
        signer = Signer.of(name, type_, secrets.token_bytes(PUBLIC_KEY_SIZE))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(folder / PRIVATE, signer.private_text(), 0o600)
        _write(folder / PUBLIC, str(signer.public), 0o644)
    except FileExistsError:
        raise Misconfigured(
            f"{folder} holds a key already, and it is not overwritten: what it signed would prove "
            "nothing any more. Name another --folder"
        ) from None
    except (OSError, Unreadable) as error:
        raise Misconfigured(f"no key made in {folder}: {error}") from None
    return signer.public


def read_signer(folder: Path, type_: KeyType) -> Signer:
    """The private key in `folder`.

    Raises:
        Misconfigured: none is there, it is of another kind, or others may read it.
    """
    path = folder / PRIVATE
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path} can be read by others: chmod 600 {path}")
        signer = Signer.parse(_read(path))
    except (OSError, Unreadable) as error:
        raise Misconfigured(f"{path}: {error}; make a key with `ats ledger keys`") from None
    if signer.public.type is not type_:
        raise Misconfigured(f"{path} is no key of a {type_.name.lower()}")
    return signer


def read_public(folder: Path, type_: KeyType) -> PublicKey | None:
    """The public key in `folder`; None where none is.

    Raises:
        Misconfigured: it cannot be read, or is of another kind.
    """
    path = folder / PUBLIC
    try:
        key = PublicKey.parse(_read(path))
    except FileNotFoundError:
        return None
    except (OSError, Unreadable) as error:
        raise Misconfigured(f"{path}: {error}") from None
    if key.type is not type_:
        raise Misconfigured(f"{path} is no key of a {type_.name.lower()}")
    return key


def _read(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(MAX_KEY)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Unreadable("not text") from None


def _write(path: Path, text: str, mode: int) -> None:
    """Durable, and with its mode from the first moment on."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
