"""A gateway in this process, people with real tokens, and what they read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import UUID

import aiohttp
import jwt
import orjson

from ats.gateway.board import Board
from ats.gateway.console import (
    AskedApprovals,
    DatabaseView,
    DhanAccount,
    Halt,
    OperatorAction,
    OperatorActions,
)
from ats.gateway.keys import Keys, SharedSecret
from ats.gateway.lags import LagReader
from ats.gateway.market import Hours
from ats.gateway.office import DatabaseAway, NoOperator, Office
from ats.gateway.platform import PlatformFold
from ats.gateway.server import GatewayDeps, GatewayServer
from bus.records import Record, TopicPartition
from bus.stored import Since
from executors.charges.rates import shipped_rates
from schemas import ticks
from schemas.calendar import EVERY_DAY
from schemas.codec import encode
from schemas.errors import TryLater
from schemas.ids import UserId
from schemas.messages import Message
from schemas.topics import CATALOGUE, TICKS, Topic
from schemas.units import UtcNs

SECRET: Final = "a secret of forty characters, for tests.."
EPOCH: Final = "0123456789abcdef"
ASHA: Final = UserId(UUID("aaaaaaaa-1111-4111-8111-111111111111"))
BIMAL: Final = UserId(UUID("bbbbbbbb-2222-4222-8222-222222222222"))
NO_APPROVALS: Final = AskedApprovals(mode=None, waiting=(), answered=())
TOPIC_OF: Final[Mapping[type[Message], Topic]] = {
    topic.message: topic for topic in CATALOGUE if topic.message
}


def claims_of(user: UserId, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims: dict[str, Any] = {
        "sub": str(user), "aud": "authenticated", "role": "authenticated", "iat": now,
        "exp": now + 600,
        "email": f"{user.hex[:4]}@example.org", "app_metadata": {}, "user_metadata": {},
    }  # fmt: skip
    return {name: value for name, value in (claims | changes).items() if value is not None}


def token_of(user: UserId, *, secret: str = SECRET, **changes: Any) -> str:
    return jwt.encode(claims_of(user, **changes), secret, "HS256")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def a_board() -> Board:
    return Board(EPOCH, shipped_rates(), hours=Hours(EVERY_DAY, replayed=True))


def record_of(message: Message) -> Record:
    topic = TOPIC_OF[type(message)]
    key = str(getattr(message, "instrument", "key")).encode()
    return Record(topic.name, 0, 0, key, encode(message), UtcNs(time.time_ns()))


class StoredRecords:
    """A record that is kept in memory: `bus.stored.StoredTopics`."""

    def __init__(self, *messages: Message) -> None:
        self.records: list[Record] = []
        self.away: Exception | None = None
        self.reads = 0
        self.add(*messages)

    def add(self, *messages: Message) -> None:
        for message in messages:
            offset = len(self.records)
            self.records.append(replace(record_of(message), offset=offset))

    async def read(self, topics: Sequence[Topic], since: Since) -> AsyncGenerator[Record, None]:
        self.reads += 1
        if self.away:
            raise self.away
        names = {topic.name for topic in topics}
        begin = since if isinstance(since, int) else 0
        for each in self.records:
            if each.topic in names and each.published_at >= begin:
                yield each

    def read_in_order(self, topics: Sequence[Topic]) -> AsyncGenerator[Record, None]:
        return self.read(topics, "start")

    def extents(self, topics: Sequence[Topic]) -> dict[TopicPartition, tuple[int, int]]:
        return {TopicPartition(topic.name, 0): (0, len(self.records)) for topic in topics}


@dataclass(slots=True)
class OpenOffice:
    """A database that knows its operators by their tokens: `ats.gateway.office.Office`."""

    operators: frozenset[UserId] = frozenset()
    accounts: tuple[DhanAccount, ...] = ()
    halts: tuple[Halt, ...] = ()
    approvals: AskedApprovals = NO_APPROVALS
    done: tuple[OperatorAction, ...] = ()
    away: bool = False

    async def view(self, token: str) -> DatabaseView:
        self._let_in(token)
        return DatabaseView(
            operator="Asha",
            read_at=UtcNs(1),
            accounts=self.accounts,
            halts=self.halts,
            approvals=self.approvals,
        )

    async def actions(self, token: str, before: int | None) -> OperatorActions:
        self._let_in(token)
        return OperatorActions(
            actions=tuple(one for one in self.done if one.id < (before or 2**31))
        )

    def _let_in(self, token: str) -> None:
        if self.away:
            raise DatabaseAway("away")
        claims = jwt.decode(token, SECRET, ["HS256"], audience="authenticated")
        if UserId(UUID(claims["sub"])) not in self.operators:
            raise NoOperator("none")


@dataclass(slots=True)
class Clock:
    """The wall's, and how far a test has moved it on."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass(slots=True)
class SseEvent:
    name: str
    data: Any
    id: str


@dataclass(slots=True)
class Stream:
    """An open stream, read event by event; `raw` is all that came."""

    response: aiohttp.ClientResponse
    raw: bytearray = field(default_factory=bytearray)
    last_id: str = ""
    _lines: dict[str, str] = field(default_factory=dict)

    async def next(self) -> SseEvent | None:
        """The next event; None at the end."""
        async for line in self.response.content:
            self.raw += line
            text = line.decode().rstrip("\n")
            if text:
                name, _, value = text.partition(": ")
                self._lines[name] = value
                continue
            self.last_id = self._lines.pop("id", self.last_id)
            if "data" in self._lines:
                lines, self._lines = self._lines, {}
                return SseEvent(lines["event"], orjson.loads(lines["data"]), self.last_id)
        return None

    async def until(self, name: str) -> SseEvent:
        while True:
            event = await self.next()
            assert event, f"the stream ended before {name}"
            if event.name == name:
                return event


@dataclass(slots=True)
class Gate:
    """A running gateway."""

    url: str
    board: Board
    deps: GatewayDeps
    server: GatewayServer
    http: aiohttp.ClientSession
    clock: Clock
    record: StoredRecords
    office: OpenOffice

    def tell(self, *messages: Message) -> None:
        for message in messages:
            self.server.told(self.deps.fold.apply(record_of(message)))

    def tell_prices(self, batch: ticks.Batch) -> None:
        record = Record(TICKS.name, 0, 0, None, ticks.encode(batch), UtcNs(time.time_ns()))
        self.server.told(self.deps.fold.apply(record))

    async def get(
        self, path: str, who: UserId | None = ASHA, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        given = (bearer(token_of(who)) if who else {}) | dict(headers or {})
        async with self.http.get(f"{self.url}{path}", headers=given) as response:
            return response.status, await response.read(), dict(response.headers)

    async def json(self, path: str, who: UserId = ASHA) -> Any:
        status, body, _ = await self.get(path, who)
        assert status == 200, body
        return orjson.loads(body)

    @asynccontextmanager
    async def stream(
        self,
        who: UserId = ASHA,
        path: str = "/v1/stream",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        given = bearer(token_of(who)) | dict(headers or {})
        async with self.http.get(f"{self.url}{path}", headers=given) as response:
            assert response.status == 200, await response.text()
            async with asyncio.timeout(120):
                yield Stream(response)


@asynccontextmanager
async def gate(
    *,
    keys: Keys | None = None,
    origins: frozenset[str] = frozenset(),
    most_viewers: int = 10,
    record: StoredRecords | None = None,
    lags: Mapping[str, int] | None = None,
    office: Office | None = None,
) -> AsyncIterator[Gate]:
    clock, stored, known = Clock(), record or StoredRecords(), OpenOffice()
    fold = PlatformFold(shipped_rates(), a_board())

    async def what_waits() -> Mapping[str, int]:
        if lags is None:
            raise TryLater("no broker answers")
        return lags

    deps = GatewayDeps(
        fold=fold,
        keys=keys or SharedSecret(SECRET),
        office=office or known,
        lags=LagReader(what_waits, time.monotonic),
        origins=origins,
        most_viewers=most_viewers,
        record=stored,
        rates=shipped_rates(),
        wall=clock,
        monotonic=time.monotonic,
    )
    deps.ready.set()
    server = GatewayServer(deps)
    port = await server.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{port}"
            yield Gate(url, fold.board, deps, server, http, clock, stored, known)
    finally:
        await server.stop()
