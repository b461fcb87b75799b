"""What each user may do at most, as the database said last: read twice a second.

Without a first answer nobody's limits are known, and no entry leaves; a row that cannot be read
keeps its own user from entering, and nobody else. Later, what was known last holds while the
database is away; without it no entry can be claimed either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from uuid import UUID

import structlog
from supabase import AsyncClient

from bus.database import Answers, RowRefused, StoreAway
from executors.clock import MonotonicClock
from executors.risk.sizing import UserLimits
from schemas.errors import Misconfigured, Unreadable
from schemas.ids import Segment, UserId
from schemas.units import Paise

log = structlog.get_logger(__name__)

POLL_EVERY: Final = 0.5  # a limit that was tightened holds within a second
_REMEDY: Final = "check SUPABASE_SERVICE_KEY and run `ats db migrate`"


@dataclass(frozen=True, slots=True)
class OwnLimits:
    """One user's row; None is the platform's own."""

    max_order_value: Paise | None = None
    risk_per_trade: Paise | None = None
    max_orders_per_day: int | None = None
    max_open_positions: int | None = None
    max_symbol_exposure: Paise | None = None
    max_exposure: Paise | None = None
    max_daily_loss: Paise | None = None
    segments: frozenset[Segment] | None = None
    products: frozenset[str] | None = None
    long_only: bool | None = None
    stop_out_cooldown: int | None = None
    max_stop_outs_per_day: int | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> OwnLimits:
        """Raises KeyError, TypeError, ValueError: it is no such row."""
        return cls(
            _paise(row["max_order_value_paise"]),
            _paise(row["risk_per_trade_paise"]),
            row["max_orders_per_day"],
            row["max_open_positions"],
            _paise(row["max_symbol_exposure_paise"]),
            _paise(row["max_exposure_paise"]),
            _paise(row["max_daily_loss_paise"]),
            None if row["segments"] is None else frozenset(map(Segment, row["segments"])),
            None if row["products"] is None else frozenset(map(str, row["products"])),
            row["long_only"],
            row["stop_out_cooldown_minutes"],
            row["max_stop_outs_per_day"],
        )

    def within(self, platform: UserLimits, *, real_money: bool) -> UserLimits:
        """The tighter of both, value by value."""
        return replace(
            platform,
            max_order_value=_least(platform.max_order_value, self.max_order_value),
            risk_per_trade=_tighter(platform.risk_per_trade, self.risk_per_trade),
            max_orders_per_day=_least(platform.max_orders_per_day, self.max_orders_per_day),
            max_open_positions=self.max_open_positions,
            max_symbol_exposure=self.max_symbol_exposure,
            max_exposure=self.max_exposure,
            max_daily_loss=self.max_daily_loss,
            segments=self.segments,
            products=self.products,
            long_only=real_money if self.long_only is None else self.long_only,
            stop_out_cooldown=_most(platform.stop_out_cooldown, self.stop_out_cooldown),
            max_stop_outs_per_day=_least(
                platform.max_stop_outs_per_day, self.max_stop_outs_per_day
            ),
        )


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """Everybody's rows.

    Attributes:
        version: Rises with each change.
        unreadable: Users whose row this version does not know how to read.
    """

    version: int
    of_user: Mapping[UserId, OwnLimits]
    unreadable: frozenset[UserId] = frozenset()


OnLimits: TypeAlias = Callable[[LimitsInForce], object]


class LimitStore:
    """The call of the database, answered within `bus.database.ANSWER_WITHIN` or `StoreAway`."""

    def __init__(
        self, client: AsyncClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._answers = Answers(_REMEDY, monotonic)

    async def in_force(self, known: LimitsInForce | None = None) -> LimitsInForce:
        """The limits in force; those of `known` while they are the same. Cheap: ask often."""
        arguments = {"p_known": known.version if known else None}
        call = "limits_in_force"
        try:
            answer = await self._answers.of(call, self._client.rpc(call, arguments).execute)
            match answer:
                case {"version": int(version), "limits": None} if known:
                    return replace(known, version=version)
                case {"version": int(version), "limits": list(rows)}:
                    return _limits(version, rows)
        except (RowRefused, KeyError, TypeError, ValueError):
            pass
        raise self._answers.misfit(call, "answered in a form this version does not know")


class LimitsBoard:
    """The limits in force, as far as this process knows."""

    def __init__(self, platform: UserLimits, *, real_money: bool) -> None:
        self._platform, self._real_money = platform, real_money
        default = OwnLimits().within(platform, real_money=real_money)
        self._default = replace(default, known=False)
        self._of_user: Mapping[UserId, UserLimits] = {}
        self.known: LimitsInForce | None = None

    def replace(self, limits: LimitsInForce) -> None:
        """Take a new view."""
        self.known = limits
        self._default = replace(self._default, known=True)
        self._of_user = {
            user: own.within(self._platform, real_money=self._real_money)
            for user, own in limits.of_user.items()
        } | dict.fromkeys(limits.unreadable, replace(self._default, known=False))

    def of(self, user: UserId) -> UserLimits:
        """The user's; `UserLimits.known` is False while nobody can say what they are.

        That is before the database's first answer, and where it cannot be read.
        """
        return self._of_user.get(user, self._default)


class LimitsPoller:
    """Keeps a board true."""

    def __init__(
        self,
        store: LimitStore,
        board: LimitsBoard,
        machine: MonotonicClock,
        on_change: OnLimits = lambda _: None,
    ) -> None:
        """`on_change` hears of limits that are others, before they hold."""
        self._store, self._board, self._machine = store, board, machine
        self._on_change = on_change

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            await self.poll()
            await self._machine.sleep(POLL_EVERY)

    async def poll(self) -> None:
        """One look at the database. While it is away, what was known last holds."""
        known = self._board.known
        try:
            limits = await self._store.in_force(known)
        except (StoreAway, Misconfigured, Unreadable) as error:
            log.warning("limits_unknown", error=str(error))
            return
        if known is None or limits.version != known.version:
            log.info("limits_in_force", users=len(limits.of_user))
            self._on_change(limits)
            self._board.replace(limits)


def _limits(version: int, rows: Sequence[Mapping[str, Any]]) -> LimitsInForce:
    """Each row by itself: one that cannot be read is one user's trouble, and nobody else's.

    Raises KeyError, TypeError, ValueError: one names no user.
    """
    of_user, unreadable = dict[UserId, OwnLimits](), set[UserId]()
    for row in rows:
        user = UserId(UUID(row["user_id"]))
        try:
            of_user[user] = OwnLimits.read(row)
        except (KeyError, TypeError, ValueError) as error:
            log.error("limits_unreadable", user=str(user), error=type(error).__name__)
            unreadable.add(user)
    return LimitsInForce(version, of_user, frozenset(unreadable))


def _paise(value: int | None) -> Paise | None:
    return None if value is None else Paise(value)


def _tighter(platform: Paise | None, own: Paise | None) -> Paise | None:
    return own if platform is None else _least(platform, own)


def _least(platform: Any, own: Any) -> Any:
    return min((each for each in (platform, own) if each is not None), default=None)


def _most(platform: Any, own: Any) -> Any:
    return max((each for each in (platform, own) if each is not None), default=None)
