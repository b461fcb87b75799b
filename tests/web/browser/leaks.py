"""Looks for secrets in everything a run has said and left behind, in every dress they may wear."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, unquote

from ats.commands.web import WEB

LOGGED = ("web.log", "executors.log")


def dresses(secret: str) -> set[str]:
    """The secret as it is, escaped for an address, and inside anything that was encoded with
    base64.

    Base64 turns three bytes into four letters, so a text has three faces, depending on where in a
    group of three it begins. Letters at either end mix with their neighbours and are left off.
    """
    faces = {secret, quote(secret, safe="")}
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + secret.encode()).decode().rstrip("=")
        inner = encoded[-(-offset * 4 // 3) : -1]
        faces |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return faces


def leaks(secrets: Mapping[str, str], places: Iterable[tuple[str, str]]) -> list[str]:
    """Which secret stands where; `secrets` and `places` by name."""
    looked_for = [(name, dresses(secret)) for name, secret in secrets.items()]
    found = []
    for where, text in places:
        texts = (text, unquote(text), _joined(text))
        found += [
            f"{name} in {where}"
            for name, faces in looked_for
            if any(f in t for f in faces for t in texts)
        ]
    return found


def _joined(text: str) -> str:
    """Session cookies come in pieces (`…-auth-token.0`, `.1`); a secret may be cut in two."""
    return "".join(re.findall(r"auth-token(?:\.\d+)?=(?:base64-)?([\w+/-]+)", text))


def built_files() -> list[tuple[str, str]]:
    """Every file of the build, that which browsers get and that which runs on the server."""
    build = WEB / ".next"
    files = [
        file
        for file in build.rglob("*")
        if file.is_file() and "cache" not in file.relative_to(build).parts
    ]
    return [
        (str(file.relative_to(WEB)), file.read_bytes().decode(errors="replace")) for file in files
    ]
