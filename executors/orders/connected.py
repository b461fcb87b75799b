"""Who is observed here: everybody with a living token whose user's partition is ours.

Whether a user's switch is on does not matter: what they hold has to be watched and may have to be
closed. While the database is away, who is observed goes on to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from traceback import extract_tb
from typing import Final, NamedTuple, cast

import structlog

from bus.database import StoreAway
from bus.partition_state import Machine
from bus.records import Record
from executors.accounts import Accounts
from executors.modes import ModeRules
from executors.orders.book import DayBook
from executors.orders.book_machine import BookMachine
from executors.orders.last_owned import LastOwned
from executors.orders.observer import Observer, ObserverDeps
from executors.orders.projection import Projection
from executors.risk.situation import Account
from executors.store import Connected, KeyRow, Keys, Store
from schemas.codec import decode
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.ids import DhanClientId, UserId
from schemas.messages import OrderEvent
from schemas.topics import user_partition

log = structlog.get_logger(__name__)

POLL_EVERY: Final = 1.0
ASK_AGAIN: Final = 15.0  # seconds, where a token was not handed out or its account not confirmed


class _Key(NamedTuple):
    """What a row says of the stored token; another token has another end."""

    client_id: DhanClientId | None
    token_expiry: datetime | None
    token_refused: bool


@dataclass(slots=True)
class _Watched:
    observer: Observer
    task: asyncio.Task[None]


class ConnectedAccounts:
    """Starts and stops observers; a `bus.partition_state.StateListener`."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        rules: ModeRules,
        deps: ObserverDeps,
        projection: Projection,
        *,
        partitions: int,
        wall: Callable[[], datetime],
        minds: Callable[[UserId, DhanClientId], bool] = lambda *_: True,
        last_owned: LastOwned | None = None,
    ) -> None:
        """`partitions` is how many `ats.order-events` has.

        `minds` says whether a user and account are, or were, among those that the mode trades;
        `last_owned` is told which partitions are ours.
        """
        self._minds = minds
        self._store = store
        self._accounts = accounts
        self._rules = rules
        self._deps = deps
        self._projection = projection
        self._partitions = partitions
        self._wall = wall
        self._last_owned = last_owned
        self._machines: Mapping[int, BookMachine] = {}
        self._keys: Keys | None = None
        self._rows: Mapping[UserId, _Key] = {}
        self._watched: dict[UserId, _Watched] = {}
        self._asked: dict[UserId, tuple[_Key, float]] = {}
        self._moved = asyncio.Event()

    # As the shell's listener

    def owned(self, machines: Mapping[int, Machine]) -> None:
        """Observe the users of these partitions from now on, and nobody else."""
        self._machines = {number: cast("BookMachine", each) for number, each in machines.items()}
        self._projection.owned(self._machines)
        if self._last_owned:
            self._last_owned.remember(machines)
        for user in [user for user in self._watched if not self._is_ours(user)]:
            self._stop(user)
        self._moved.set()

    def applied(self, record: Record) -> None:
        """Tell the projection, and the user's observer."""
        try:
            event = decode(OrderEvent, record.value)
        except Unreadable:
            return  # a dead letter by now
        self._projection.applied(record.partition, record.offset, event)
        if watched := self._watched.get(event.user_id):
            watched.observer.applied(event)

    # Who is connected

    async def run(self) -> None:
        """Look at the stored keys for ever; cancelling it ends every observer."""
        try:
            while True:
                await self.poll()
                self._moved.clear()
                await self._deps.machine.sleep_or(POLL_EVERY, self._moved)
        finally:
            for user in list(self._watched):
                self._stop(user)

    async def poll(self) -> None:
        """One look: start who has come, stop who is gone or has another token."""
        try:
            self._keys = await self._store.keys_since(self._keys)
        except (StoreAway, Misconfigured) as error:
            log.warning("connected_accounts_unknown", error=str(error))
        else:
            now = self._wall()
            self._rows = {row.user: _key_of(row) for row in self._keys.rows if _lives(row, now)}
        for user in [user for user in self._watched if user not in self._rows]:
            self._stop(user)
        due = [user for user in self._rows if self._is_ours(user) and self._is_due(user)]
        await asyncio.gather(*(self._look_at(user) for user in due))
        self._count()

    def _is_ours(self, user: UserId) -> bool:
        return user_partition(user, self._partitions) in self._machines

    def _is_due(self, user: UserId) -> bool:
        """Whether to ask for this user's token: at first, when it changed, when it was in vain."""
        key, asked_at = self._asked.get(user, (None, 0.0))
        if key != self._rows[user]:
            return True
        watched = self._watched.get(user)
        works = watched is not None and not watched.task.done()
        return not works and self._deps.machine.monotonic() - asked_at >= ASK_AGAIN

    async def _look_at(self, user: UserId) -> None:
        key = self._rows[user]
        watched = self._watched.get(user)
        known = watched.observer.connected if watched and not watched.task.done() else None
        self._asked[user] = (key, self._deps.machine.monotonic())
        try:
            connected = await self._store.account_credentials(user, known)
        except (StoreAway, Misconfigured) as error:
            log.warning("credentials_unknown", user=str(user), error=str(error))
            return
        except Unreadable as error:  # of this account alone
            log.error("credentials_unreadable", user=str(user), reason=str(error))
            return
        if connected is known and known is not None:
            return
        self._stop(user)
        if connected and await self._may_be_watched(user, connected) and self._is_ours(user):
            self._start(user, connected)

    async def _may_be_watched(self, user: UserId, connected: Connected) -> bool:
        """Whether the mode trades this account, and the token is of it."""
        account = connected.credentials.client_id
        if not self._rules.allows(account) or not self._minds(user, account):
            return False
        return await self._accounts.seen(user, connected) is Account.AS_STORED

    def _start(self, user: UserId, connected: Connected) -> None:
        observer = Observer(user, connected, self._book_of, self._deps)
        task = asyncio.create_task(self._keep(observer), name=f"observer of {user}")
        self._watched[user] = _Watched(observer, task)
        log.info("account_observed", user=str(user))

    def _stop(self, user: UserId) -> None:
        if watched := self._watched.pop(user, None):
            watched.task.cancel()
            self._asked.pop(user, None)
            log.info("account_left", user=str(user))

    async def _keep(self, observer: Observer) -> None:
        """Run one observer; what it stumbles over stops itself alone."""
        try:
            await observer.run()
        except* (TryLater, Misconfigured) as group:
            log.error("observer_ended", user=str(observer.user), reason=str(group.exceptions[0]))
        except* Exception as group:  # noqa: BLE001  # of this account alone
            for error in group.exceptions:
                log.error(
                    "observer_failed",
                    user=str(observer.user),
                    error=type(error).__name__,
                    where=_where(error),
                )

    def _book_of(self, user: UserId, day: date) -> DayBook | None:
        machine = self._machines.get(user_partition(user, self._partitions))
        return machine.books.get(user, {}).get(day) if machine else None

    def _count(self) -> None:
        observers = [watched.observer for watched in self._watched.values()]
        self._deps.metrics.accounts = len(observers)
        self._deps.metrics.oldest_reading = min(
            (observer.seen_at for observer in observers), default=None
        )


def _where(error: BaseException) -> str:
    """Where it was raised; neither its text nor any value, which may hold a token."""
    frames = extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def _key_of(row: KeyRow) -> _Key:
    return _Key(row.client_id, row.token_expiry, row.token_refused)


def _lives(row: KeyRow, now: datetime) -> bool:
    """Whether the stored token may still be accepted; `now` is machine time."""
    return (
        row.client_id is not None
        and row.token_expiry is not None
        and row.token_expiry > now
        and not row.token_refused
    )
