"""Signed notes with Ed25519, and timestamped cosignatures of them. Pure.

Formats: c2sp.org/signed-note and c2sp.org/tlog-cosignature (types 0x01 and 0x04). Written with the
stored bytes in mind: what is signed is never parsed and encoded again.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.errors import Unreadable

PUBLIC_KEY_SIZE: Final = 32  # bytes
SIGNATURE_SIZE: Final = 64
KEY_ID_SIZE: Final = 4
MAX_NOTE: Final = 64 * 1024  # characters of a note that are read
MAX_SIGNATURES: Final = 64  # the format asks for at least 16
_PRIVATE: Final = "PRIVATE+KEY+"
_NAME: Final = re.compile(r"[^\s+\x00-\x1f]+")
_LINE: Final = re.compile(r"— (\S+) (\S+)")


class KeyType(IntEnum):
    """What a key signs, as the formats number it."""

    LOG = 0x01  # the note itself
    WITNESS = 0x04  # a cosignature with its time


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that is trusted for signatures of one name and type.

    Its text form is the verifier key of the format: `NAME+KEYID+BASE64`.
    """

    name: str
    type: KeyType
    key: bytes

    @property
    def id(self) -> bytes:
        """Four bytes by which a signature names its key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_b64(bytes([self.type]) + self.key)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a verifier key.

        Raises:
            Unreadable: another form, an unknown type, or an id that is not the key's.
        """
        name, key_id, type_, key = _parts(text.strip())
        found = cls(name, type_, key)
        if found.id.hex() != key_id:
            raise Unreadable(f"the key of {name} has the id {found.id.hex()}, not {key_id}")
        return found

    def verifies(self, text: str, blob: bytes) -> bool:
        """Whether `blob`, a signature without its key id, is this key's of the note's `text`."""
        moment = b""
        if self.type is KeyType.WITNESS:
            moment, blob = blob[:8], blob[8:]
            if len(moment) < 8:
                return False
        if len(blob) != SIGNATURE_SIZE:
            return False
        signed = _cosigned(text, int.from_bytes(moment)) if moment else text.encode()
        return self.signed(blob, signed)

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's of `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with its name. Its `repr` shows the public half only."""

    public: PublicKey
    _key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"Signer({self.public})"

    @classmethod
    def of(cls, name: str, type_: KeyType, seed: bytes) -> Self:
        """The key of a 32-byte `seed`.

        Raises:
            Unreadable: a name that a note cannot carry, or a seed of another length.
        """
        if not _NAME.fullmatch(name):
            raise Unreadable(f"{name!r}: a key's name has no space and no plus")
        if len(seed) != PUBLIC_KEY_SIZE:
            raise Unreadable(f"a seed has {PUBLIC_KEY_SIZE} bytes")
        key = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(PublicKey(name, type_, key.public_key().public_bytes_raw()), key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a private key in the form of Go's `sumdb/note`: `PRIVATE+KEY+NAME+KEYID+BASE64`.

        Raises:
            Unreadable: another form; the message never holds the key.
        """
        text = text.strip()
        if not text.startswith(_PRIVATE):
            raise Unreadable("not a private key of a note")
        name, key_id, type_, seed = _parts(text.removeprefix(_PRIVATE))
        found = cls.of(name, type_, seed)
        if found.public.id.hex() != key_id:
            raise Unreadable(f"the private key of {name} is damaged: its id differs")
        return found

    def private_text(self) -> str:
        """The private key, for its file alone."""
        raw = bytes([self.public.type]) + self._key.private_bytes_raw()
        return f"{_PRIVATE}{self.public.name}+{self.public.id.hex()}+{_b64(raw)}"

    def sign(self, message: bytes) -> bytes:
        """The bare signature of `message`; always the same for the same."""
        return self._key.sign(message)

    def line(self, text: str, seconds: int | None = None) -> str:
        """The signature line for a note of `text`; a witness needs the POSIX time."""
        if self.public.type is KeyType.LOG:
            blob = self.sign(text.encode())
        else:
            assert seconds is not None, "a cosignature tells its time"
            blob = seconds.to_bytes(8) + self.sign(_cosigned(text, seconds))
        return f"— {self.public.name} {_b64(self.public.id + blob)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text with signature lines, nothing verified.

    Attributes:
        text: Ends with a newline.
        signatures: Name and blob (key id, then signature) of each, as they stand.
    """

    text: str
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, whole: str) -> Self:
        """Take a note apart.

        Raises:
            Unreadable: no note, or a larger one than anybody needs.
        """
        if len(whole) > MAX_NOTE:
            raise Unreadable(f"a note of {len(whole)} characters, more than {MAX_NOTE}")
        if any(ord(each) < 0x20 and each != "\n" for each in whole):
            raise Unreadable("a note with control characters")
        text, blank, lines = whole.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise Unreadable("not a signed note: no blank line before signatures")
        rows = lines[:-1].split("\n")
        if len(rows) > MAX_SIGNATURES:
            raise Unreadable(f"{len(rows)} signatures, more than {MAX_SIGNATURES}")
        return cls(text + "\n", tuple(_signature(row) for row in rows))

    def verified_by(self, keys: Iterable[PublicKey]) -> frozenset[PublicKey]:
        """Those of `keys` that signed the text. Signatures of unknown keys are passed over.

        Raises:
            Unreadable: a signature that names one of `keys` and is not its.
        """
        known: Mapping[tuple[str, bytes], PublicKey] = {(key.name, key.id): key for key in keys}
        found = set[PublicKey]()
        for name, blob in self.signatures:
            key = known.get((name, blob[:KEY_ID_SIZE]))
            if key is None:
                continue
            if not key.verifies(self.text, blob[KEY_ID_SIZE:]):
                raise Unreadable(f"the signature of {name} is not of this text")
            found.add(key)
        return frozenset(found)


def signed_note(text: str, *lines: str) -> str:
    """A note of `text`, which ends with a newline, and signature lines."""
    assert text.endswith("\n"), "a note's text ends with a newline"
    return f"{text}\n{''.join(lines)}"


def b64decoded(text: str, what: str, size: int | None = None) -> bytes:
    """Standard base64, canonical only.

    Raises:
        Unreadable: anything else, or another `size` in bytes.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable(f"not base64: {what}") from None
    if _b64(raw) != text:
        raise Unreadable(f"not canonical base64: {what}")
    if size is not None and len(raw) != size:
        raise Unreadable(f"{what} has {len(raw)} bytes, not {size}")
    return raw


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _signature(row: str) -> tuple[str, bytes]:
    match = _LINE.fullmatch(row)
    if match is None or not _NAME.fullmatch(match[1]):
        raise Unreadable("not a signature line of a note")
    blob = b64decoded(match[2], f"the signature of {match[1]}")
    if len(blob) <= KEY_ID_SIZE:
        raise Unreadable(f"the signature of {match[1]} is too short")
    return match[1], blob


def _parts(text: str) -> tuple[str, str, KeyType, bytes]:
    parts = text.split("+", 2)  # the base64 may hold a plus
    if len(parts) != 3 or not _NAME.fullmatch(parts[0]):
        raise Unreadable("not a key of a note: NAME+KEYID+BASE64")
    raw = b64decoded(parts[2], f"the key of {parts[0]}", PUBLIC_KEY_SIZE + 1)
    if raw[0] not in tuple(KeyType):
        raise Unreadable(f"the key of {parts[0]} has the unknown type {raw[0]:#04x}")
    return parts[0], parts[1], KeyType(raw[0]), raw[1:]


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
