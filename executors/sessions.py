"""Who may trade: looks at the keys twice a second, tells `ats.sessions`, keeps the active set.

Fails closed: when the database stays away longer than `KEEP_FOR`, nobody is active until it answers
again.

`ats.sessions` keeps every change, `ats.sessions-latest` the last of each user.

Where the guarantee stops: the set is up to half a second old. The switch itself is read by the
claim, at the last moment. A process that dies between both topics leaves the second one change
behind until its next start, when it tells all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from bus.database import StoreAway
from bus.records import Output, message_output
from executors.clock import MonotonicClock
from executors.reasons import Reason
from executors.risk.denial import Denial
from executors.store import KeyRow, Keys, Store
from schemas.ids import DhanClientId, UserId, derive
from schemas.messages import UserSession
from schemas.topics import SESSIONS, SESSIONS_LATEST
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

_NEVER: Final = datetime.min.replace(tzinfo=UTC)
_FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)
POLL_EVERY: Final = 0.5  # a user who flips the switch sees the effect within a second
KEEP_FOR: Final = 5.0  # a database restart behind a pooler takes about three

ACTIVE: Final = "active"
SWITCHED_OFF: Final = Reason.SWITCHED_OFF.value
NO_TOKEN: Final = Reason.NO_TOKEN.value
TOKEN_EXPIRED: Final = Reason.TOKEN_EXPIRED.value
TOKEN_REFUSED: Final = Denial.TOKEN_REFUSED.value
REMOVED: Final = "removed"
DATABASE_AWAY: Final = Reason.DATABASE_AWAY.value

Publish = Callable[[Output], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class UserState:
    """Whether one user may trade, and why not.

    Attributes:
        since: When that began, by the database's clock: the change of the row, or the token's end.
            None where no row says so. Two states that differ in nothing else are one.
    """

    reason: str
    client_id: DhanClientId | None = None
    token_expiry: datetime | None = None
    since: datetime | None = field(default=None, compare=False)

    @property
    def active(self) -> bool:
        return self.reason == ACTIVE


def state_of(row: KeyRow, now: datetime) -> UserState:
    """What a row means at `now` (machine time: a token's expiry is no market event)."""
    since = row.changed_at
    if not row.enabled:
        reason = SWITCHED_OFF
    elif row.token_expiry is None or row.client_id is None:
        reason = NO_TOKEN
    elif row.token_expiry <= now:
        reason, since = TOKEN_EXPIRED, max(row.token_expiry, row.changed_at)
    elif row.token_refused:
        reason = TOKEN_REFUSED
    else:
        reason = ACTIVE
    return UserState(reason, row.client_id, row.token_expiry, since)


def changes(
    before: Mapping[UserId, UserState], after: Mapping[UserId, UserState], seen_at: UtcNs
) -> Iterable[tuple[UserId, UserSession]]:
    """The messages that turn a reader's view of `before` into `after`, by user.

    Time and id are those of the cause: whoever tells of it, and however often, tells the same. What
    no row causes (a row that is gone, a database that stays away and comes back) has the moment at
    which this process saw it.
    """
    for user in sorted(before.keys() | after.keys()):
        state = after.get(user) or UserState(REMOVED)
        told = before.get(user, None if user in after else state)
        if told == state:
            continue
        back = told is not None and told.reason == DATABASE_AWAY
        caused = None if back else state.since
        yield user, _session(user, state, UtcNs.from_datetime(caused) if caused else seen_at)


def _session(user: UserId, state: UserState, at: UtcNs) -> UserSession:
    expiry = state.token_expiry.isoformat() if state.token_expiry else ""
    return UserSession(
        id=derive("session", user, state.reason, int(at), expiry),
        event_time=at,
        user_id=user,
        active=state.active,
        reason=state.reason,
        token_expiry=state.token_expiry,
    )


class ActiveUsers:
    """The last known states, worthless for new orders once they are older than `KEEP_FOR`."""

    def __init__(self, machine: MonotonicClock) -> None:
        self._machine = machine
        self._states: Mapping[UserId, UserState] = {}
        self._known_at = float("-inf")
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Wait for the first look at the database: a start is not everyone's absence."""
        await self._ready.wait()

    @property
    def stale(self) -> bool:
        return self._machine.monotonic() - self._known_at > KEEP_FOR

    def replace(self, states: Mapping[UserId, UserState], known_at: float) -> None:
        """Take a new view, as of machine time `known_at`."""
        self._states, self._known_at = states, known_at
        self._ready.set()

    @property
    def states(self) -> Mapping[UserId, UserState]:
        """Everybody as last known, however long ago."""
        return self._states

    def users(self) -> list[UserId]:
        """Everyone active, in a stable order."""
        return sorted(user for user in self._states if self.is_active(user))

    def is_active(self, user: UserId) -> bool:
        return not self.stale and user in self._states and self._states[user].active

    def still_active(self, user: UserId, since: float) -> bool:
        """Whether nothing later than `since`, when the database itself said yes, says otherwise.

        `since` is machine time.
        """
        return self._known_at <= since or (user in self._states and self._states[user].active)


class SessionPoller:
    """Keeps `ActiveUsers` and `ats.sessions` true, each at its own pace.

    A slow broker makes no set stale.
    """

    def __init__(
        self,
        store: Store,
        active: ActiveUsers,
        publish: Publish,
        wall: Callable[[], datetime],
        machine: MonotonicClock,
        *,
        on_change: Callable[[], None] = lambda: None,
        connected: Callable[[UserId, DhanClientId], None] | None = None,
    ) -> None:
        """What else wants to know what was seen.

        `on_change` is called when anybody's state is another than at the last look; `connected`
        with the account that each user's row names, also without a token.
        """
        self._store = store
        self._connected = connected
        self._active = active
        self._publish = publish
        self._wall = wall
        self._machine = machine
        self._on_change = on_change
        self._keys: Keys | None = None
        self._states: Mapping[UserId, UserState] = {}
        self._states_hold = (_NEVER, _NEVER)  # from, until: machine time
        self._told: Mapping[UserId, UserState] = {}
        self._seen: Mapping[UserId, UserState] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Poll and tell for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_polling())
            tasks.create_task(self._keep_telling())

    async def _keep_polling(self) -> None:
        while True:
            await self.poll()
            await self._machine.sleep(POLL_EVERY)

    async def _keep_telling(self) -> None:
        while True:
            await self._news.wait()
            await self.tell()

    async def poll(self) -> None:
        """One look at the database. What is new is told by `tell`."""
        asked_at = self._machine.monotonic()
        try:
            keys = await self._store.keys_since(self._keys)
        except StoreAway as error:
            if self._active.stale:
                log.error("nobody_is_active", reason=DATABASE_AWAY, error=str(error))
                self._note({user: UserState(DATABASE_AWAY) for user in self._seen})
            return
        self._judge(keys, self._wall())
        self._active.replace(self._states, asked_at)
        self._note(self._states)

    def _judge(self, keys: Keys, now: datetime) -> None:
        """Keep everybody's state until a row changes or a token expires."""
        since, until = self._states_hold
        if keys is self._keys and since <= now < until:
            return
        expiries = (row.token_expiry for row in keys.rows if row.token_expiry)
        self._keys = keys
        self._states = {row.user: state_of(row, now) for row in keys.rows}
        self._states_hold = now, min((each for each in expiries if each > now), default=_FOR_EVER)
        self._tell_accounts(keys.rows)

    def _tell_accounts(self, rows: Sequence[KeyRow]) -> None:
        """Who disconnected keeps the account in mind, until another user has connected it."""
        held = {row.client_id for row in rows if row.token_expiry}
        for row in rows:
            theirs = row.token_expiry or row.client_id not in held
            if self._connected and row.client_id and theirs:
                self._connected(row.user, row.client_id)

    def _note(self, states: Mapping[UserId, UserState]) -> None:
        if states != self._seen:
            self._on_change()
        self._seen = states
        if states != self._told:
            self._news.set()

    async def tell(self) -> None:
        """Publish what differs from what was told last.

        States that came and went while the broker was slow are left out.
        """
        self._news.clear()
        states = self._seen
        for user, session in changes(self._told, states, UtcNs.from_datetime(self._wall())):
            log.info("user_session", user=str(user), reason=session.reason)
            await self._publish(message_output(SESSIONS, session, str(user)))
            await self._publish(message_output(SESSIONS_LATEST, session, str(user)))
        self._told = states
