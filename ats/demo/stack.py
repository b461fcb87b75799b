"""The embedded stack of the demo.

Kafka, a local Supabase and the simulator, each a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from ats.commands.db_serve import KEYS_FILE, local_keys
from ats.commands.simulator import FIRST_CLIENT_ID, MASTER_PATH, TOKEN
from ats.demo.models import KEYS, DemoModel, scripted
from ats.embedded.kafka import EmbeddedKafka
from ats.runtime.child import Child
from ats.runtime.exit_codes import error_of
from ats.runtime.readiness import until_it_answers
from ats.settings import ENV_FILE, SIMULATED_CALENDAR, Settings, load
from schemas.errors import AtsError, TryLater

# seconds a part may take to end; everything must be gone five seconds after Ctrl-C
GRACE: Final = 1.5


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now, all different."""
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def ats(*words: str) -> list[str]:
    """The command line of another `ats` process of this very installation."""
    return [sys.executable, "-m", "ats", *words]


# Which command gets which secrets; any other gets none.
SECRETS_OF: Final[Mapping[str, frozenset[str]]] = {
    "simulator": frozenset({"ADMIN_DHAN_ACCESS_TOKEN"}),  # it plays Dhan for this account
    "feed": frozenset({"ADMIN_DHAN_ACCESS_TOKEN"}),
    "agents": frozenset({"ADMIN_DHAN_ACCESS_TOKEN", "SUPABASE_SERVICE_KEY"}) | KEYS,
    "executors": frozenset({"SUPABASE_SERVICE_KEY"}),
    "books": frozenset({"SUPABASE_SERVICE_KEY"}),
    "gateway": frozenset({"SUPABASE_JWT_SECRET"}),
}

# all the demo trades is shares
_PLAIN_MARKET: Final = ("--wait", "--options", "none", "--packets-per-frame", "64")


def secret_settings() -> frozenset[str]:
    """The settings whose values are secret."""
    fields = Settings.model_fields.items()
    return frozenset(name.upper() for name, field in fields if field.annotation is SecretStr)


class Stack:
    """Starts and stops the parts in `home`; `env` tells the services where they are.

    Attributes:
        simulator_url: Base address; `/control` is its switchboard.
        supabase_url: Base address of the stand-in.
        keys_file: Where its keys stand.
    """

    def __init__(
        self,
        home: Path,
        *,
        cache: Path,
        simulator_arguments: Sequence[str] | None,
        model: DemoModel | None = None,
    ) -> None:
        """No simulator when its arguments are None; `model` is the simulator's by default."""
        kafka, controller, database, simulator = free_ports(4)
        self.home = home
        self.logs = home / "logs"
        self.simulator_url = f"http://127.0.0.1:{simulator}"
        self.model = model or scripted(self.simulator_url)
        self.supabase_url = f"http://127.0.0.1:{database}"
        self.keys = local_keys(home / "supabase")
        self.keys_file = home / "supabase" / KEYS_FILE
        self.kafka = EmbeddedKafka(
            home / "kafka", cache=cache, port=kafka, controller_port=controller
        )
        folder, port = str(home / "supabase"), str(database)
        self._parts = [self.child("db", "db", "serve", "--port", port, "--directory", folder)]
        if simulator_arguments is not None:
            words = ["--port", str(simulator), *_PLAIN_MARKET, *simulator_arguments]
            self._parts.append(self.child("simulator", "simulator", *words))

    def child(self, name: str, *words: str, **settings: str) -> Child:
        """An `ats` process that sees the stack's settings and nothing of the user's own."""
        env = self.env_of(words[0]) | settings
        return Child(name, ats(*words), log=self.logs / f"{name}.log", env=env)

    def env_of(self, command: str) -> dict[str, str]:
        """What `ats COMMAND` is started with: of the secrets, those it uses."""
        withheld = secret_settings() - SECRETS_OF.get(command, frozenset())
        return {name: value for name, value in self.env().items() if name not in withheld}

    def env(self) -> dict[str, str]:
        ours = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "SUPABASE_URL": self.supabase_url,
            "SUPABASE_ANON_KEY": self.keys.publishable,
            "SUPABASE_SERVICE_KEY": self.keys.secret,
            "SUPABASE_JWT_SECRET": self.keys.jwt_secret,
            "ADMIN_DHAN_CLIENT_ID": str(FIRST_CLIENT_ID),
            "ADMIN_DHAN_ACCESS_TOKEN": TOKEN,
            "DHAN_DATA_URL": f"{self.simulator_url}/v2",
            "DHAN_ORDER_URL": f"{self.simulator_url}/v2",
            "DHAN_FEED_URL": f"{self.simulator_url.replace('http', 'ws', 1)}/feed",
            "DHAN_INSTRUMENTS_URL": f"{self.simulator_url}{MASTER_PATH}",
            **self.model.env,
            "ATS_MODE": "paper",
            "ATS_CLOCK": "market",
            "ATS_CALENDAR": SIMULATED_CALENDAR,
            "ATS_NEWS": "sample",
            # the user's own holds the master of another day
            "ATS_STATE_DIR": str(self.home / "state"),
            "ATS_LOG_FORMAT": "json",
            ENV_FILE: os.devnull,
        }
        foreign = {name.upper() for name in Settings.model_fields}
        kept = {name: value for name, value in os.environ.items() if name.upper() not in foreign}
        return kept | ours

    def settings(self, **changes: str) -> Settings:
        """The same settings for code that runs in this process."""
        fields: dict[str, Any] = {
            name.lower(): SecretStr(value) if name in secret_settings() else value
            for name, value in (self.env() | changes).items()
            if name.lower() in Settings.model_fields
        }
        return load(**fields)

    async def start(self, *, announce: Callable[[str], None] = lambda _: None) -> None:
        """Start all at once; returns when each answers.

        `announce` hears who is still to come and what of Kafka has been fetched, the latter from
        another thread.

        Raises:
            Misconfigured, Faulty, TryLater: one ended or stayed silent, see `until_it_answers`.
        """
        for part in self._parts:
            part.start()
        state = f"{self.simulator_url}/control/state"
        health, key = f"{self.supabase_url}/auth/v1/health", {"apikey": self.keys.publishable}
        coming = {
            "Kafka": self.kafka.start(announce=lambda what: announce(what or still_to_come())),
            "Postgres": until_it_answers(self._parts[0], health, key),
        }
        for simulator in self._parts[1:]:
            coming["the simulator"] = until_it_answers(simulator, state)
        missing = list(coming)

        def still_to_come() -> str:
            return f"still to come: {', '.join(missing)}" if missing else ""

        async def arrival(name: str, answer: Awaitable[None]) -> None:
            await answer
            missing.remove(name)
            announce(still_to_come())

        await asyncio.gather(*(arrival(name, answer) for name, answer in coming.items()))

    def failed(self) -> AtsError | None:
        """Which part has ended, with its last words; None while all live."""
        dead = next((part for part in self._parts if not part.running), None)
        if dead is not None:
            what = f"{dead.name} ended with exit code {dead.exit_code}"
            return error_of(dead.name, dead.exit_code, what, dead.tail())
        return None if self.kafka.running else TryLater("Kafka ended")

    async def stop(self) -> None:
        await asyncio.gather(*(part.stop(GRACE) for part in self._parts), self.kafka.stop())
