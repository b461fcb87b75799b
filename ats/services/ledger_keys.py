"""Where keys are, and which are believed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ats.settings import Settings
from audit.ledger.keys import make_keys, read_public
from audit.ledger.notes import KeyType, PublicKey
from audit.ledger.verification import Trust
from schemas.errors import Misconfigured

MAX_HEAD: Final = 64 * 1024  # bytes of a kept head that are read


def ledger_folder(settings: Settings) -> Path:
    """Where the ledger's key is."""
    return settings.ats_ledger_keys or settings.ats_state_dir / "ledger"


def witness_folder(settings: Settings) -> Path:
    """Where the witness's key and what it signed last are."""
    return settings.ats_witness_keys or settings.ats_state_dir / "witness"


def ledger_keys_of(demo: Settings) -> dict[str, Path]:
    """The settings that name the keys by which a demo was signed; none where it was not."""
    if not ledger_folder(demo).is_dir():
        return {}
    return {"ats_ledger_keys": ledger_folder(demo), "ats_witness_keys": witness_folder(demo)}


def made(settings: Settings, name: str, *, witness: bool, folder: Path | None) -> PublicKey:
    """Make a key of that name. Raises Misconfigured as `make_keys`."""
    type_ = KeyType.WITNESS if witness else KeyType.LOG
    usual = witness_folder(settings) if witness else ledger_folder(settings)
    return make_keys(folder or usual, name, type_)


def trusted(settings: Settings) -> Trust:
    """The keys that are believed: the ledger's, and the witness's where one is known.

    Raises:
        Misconfigured: the ledger's public key is not there, or one cannot be read.
    """
    log = read_public(ledger_folder(settings), KeyType.LOG)
    if log is None:
        raise Misconfigured(
            f"no public key of the ledger in {ledger_folder(settings)}: put its public.vkey there, "
            "or name the folder in ATS_LEDGER_KEYS"
        )
    witness = read_public(witness_folder(settings), KeyType.WITNESS)
    return Trust(log, (witness,) if witness else ())


def kept_head(path: Path | None) -> tuple[str, ...]:
    """A signed head that was kept as a file. Raises Misconfigured where it cannot be read."""
    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            return (file.read(MAX_HEAD).decode(),)
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"--head {path}: {error}") from None
