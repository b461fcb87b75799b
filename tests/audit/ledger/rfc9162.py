"""A verifier of proofs that imports nothing of ours: written from RFC 9162, C2SP and RFC 8032.

`python rfc9162.py PROOF ENTRY LOG_VKEY WITNESS_VKEY` says whether the proof holds.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def check_key(vkey: str, note: str) -> None:
    """Raise unless the note carries the signature of `vkey`, whose type is 1 or 4."""
    name, _, rest = vkey.partition("+")
    key = base64.b64decode(rest.partition("+")[2])
    key_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    at = note.rindex("\n\n")
    text, lines = note[: at + 1], note[at + 2 :].splitlines()
    for line in lines:
        dash, signer, blob64 = line.split(" ")
        blob = base64.b64decode(blob64)
        if dash != "\u2014" or signer != name or blob[:4] != key_id:
            continue
        message, signature = text.encode(), blob[4:]
        if key[0] == 4:
            time = int.from_bytes(blob[4:12], "big")
            message, signature = f"cosignature/v1\ntime {time}\n{text}".encode(), blob[12:]
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, message)
        return
    raise ValueError(f"no signature of {name}")


def check(proof: str, entry: bytes, *vkeys: str) -> tuple[str, int]:
    """Raise unless `entry` stands in the log that `vkeys` signed; returns origin and index."""
    head, _, note = proof.partition("\n\n")
    lines = head.split("\n")
    if lines[0] != "c2sp.org/tlog-proof@v1":
        raise ValueError("not a proof")
    if lines[1].startswith("extra "):
        del lines[1]
    index = int(lines[1].removeprefix("index "))
    origin, size, root = note.split("\n")[:3]
    for vkey in vkeys:
        check_key(vkey, note)
    fn, sn = index, int(size) - 1
    if fn > sn:
        raise ValueError("no such leaf")
    r = hashlib.sha256(b"\0" + entry).digest()
    for each in lines[2:]:
        p = base64.b64decode(each)
        if sn == 0:
            raise ValueError("the proof is too long")
        if fn % 2 == 1 or fn == sn:
            r = hashlib.sha256(b"\1" + p + r).digest()
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\1" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    if sn != 0 or r != base64.b64decode(root):
        raise ValueError("the proof does not lead to the root")
    return origin, index


if __name__ == "__main__":
    paths = [Path(each) for each in sys.argv[1:5]]
    told = check(
        paths[0].read_text(),
        paths[1].read_bytes(),
        *(each.read_text().strip() for each in paths[2:]),
    )
    print(f"leaf {told[1]} of {told[0]}")  # noqa: T201
