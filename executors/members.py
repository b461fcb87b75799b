"""Who is declared as a member of the family, as the database said last: read once a second.

Where the guarantee stops: what is known here is a second old, and while the database is away as old
as that. The claim asks the database itself, at the last moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from supabase import AsyncClient

from bus.database import Answers, RowRefused, StoreAway
from executors.clock import MonotonicClock
from schemas.errors import Misconfigured
from schemas.ids import DhanClientId, UserId

log = structlog.get_logger(__name__)

_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"
POLL_EVERY: Final = 1.0  # an ended declaration holds within two seconds, at the claim at once


@dataclass(frozen=True, slots=True)
class Member:
    """A user and the account that is declared for them.

    Attributes:
        address: Registered at Dhan, as Dhan sees it.
        in_force: Entries may leave; otherwise it was ended, and only what is held is minded.
    """

    user: UserId
    account: DhanClientId
    address: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class Members:
    """All that were ever declared, each (user, account) once; `digest` names this very state."""

    digest: str
    all: tuple[Member, ...]


OnMembers: TypeAlias = Callable[[Members], object]


class MemberStore:
    """The declarations in the database."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._answers = Answers(_REMEDY)

    async def declared(self, known: Members | None = None) -> Members:
        """All declarations; `known` itself while they are the same. Cheap: ask often.

        Raises:
            StoreAway, Misconfigured: as `bus.database.Answers`.
        """
        call, arguments = "members_declared", {"p_known": known.digest if known else None}
        try:
            answer = await self._answers.of(call, self._client.rpc(call, arguments).execute)
            match answer:
                case {"digest": str(digest), "members": None} if known and digest == known.digest:
                    return known
                case {"digest": str(digest), "members": list(rows)}:
                    return Members(digest, tuple(_member(row) for row in rows))
        except (RowRefused, KeyError, TypeError, ValueError):
            pass
        raise self._answers.misfit(call, "answered in a form this version does not know")


class MemberBoard:
    """The members, as far as this process knows; before the first look nobody is one."""

    def __init__(self, *, needed: bool) -> None:
        """`needed`: the mode trades declared members only; otherwise everybody is admitted."""
        self.needed = needed
        self.known: Members | None = None
        self._by_key: dict[tuple[UserId, DhanClientId], Member] = {}

    def replace(self, members: Members) -> None:
        """Take a new view."""
        self.known = members
        self._by_key = {(each.user, each.account): each for each in members.all}

    def of(self, user: UserId, account: DhanClientId) -> Member | None:
        """The last declaration of this account of this user, in force or ended."""
        return self._by_key.get((user, account))

    def admits(self, user: UserId, account: DhanClientId) -> bool:
        """Whether entries of the account may leave."""
        member = self.of(user, account)
        return not self.needed or (member is not None and member.in_force)

    def minds(self, user: UserId, account: DhanClientId) -> bool:
        """Whether what the account holds is watched and protected; after a declaration too."""
        return not self.needed or self.of(user, account) is not None


class MemberPoller:
    """Keeps a board true."""

    def __init__(
        self,
        store: MemberStore,
        board: MemberBoard,
        machine: MonotonicClock,
        on_change: OnMembers = lambda _: None,
    ) -> None:
        """`on_change` hears of declarations that are others, before they hold."""
        self._store, self._board, self._machine = store, board, machine
        self._on_change = on_change

    async def run(self) -> None:
        """Poll for ever, where the mode trades declared members."""
        while self._board.needed:
            await self.poll()
            await self._machine.sleep(POLL_EVERY)

    async def poll_if_needed(self) -> None:
        """One look, where the mode trades declared members."""
        if self._board.needed:
            await self.poll()

    async def poll(self) -> None:
        """One look at the database. While it is away, what was known last holds."""
        known = self._board.known
        try:
            members = await self._store.declared(known)
        # a database that does not fit is as good as none: exits must go on without it
        except (StoreAway, Misconfigured) as error:
            log.warning("members_unknown", error=str(error))
            return
        if known is None or members.digest != known.digest:
            in_force = sum(member.in_force for member in members.all)
            log.info("members_declared", count=in_force)
            self._on_change(members)
            self._board.replace(members)


def _member(row: dict[str, Any]) -> Member:
    return Member(
        UserId(UUID(row["user_id"])),
        DhanClientId(str(row["dhan_client_id"])),
        str(row["address"]),
        row["in_force"] is True,
    )
