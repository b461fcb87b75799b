"""Whether Dhan sees a member's requests come from the address that is registered for them.

Asked before the first order of the day, and again whenever another address is declared. What is
wrong is looked at again after half a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import httpx
import structlog

from dhan.static_ip import SeenAddress, seen_address
from executors.clock import MonotonicClock
from executors.members import MemberBoard
from executors.modes import ModeRules
from executors.risk.situation import Address
from executors.store import Claimed, Connected
from schemas.ids import DhanClientId, UserId

log = structlog.get_logger(__name__)

# Seconds after which a wrong address is looked at again: a router that restarts takes about as
# long, and one more call in it is nothing beside the account's limits.
LOOK_AGAIN: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen: on which day, of which declared address, at which machine time."""

    day: date
    declared: str
    address: Address
    at: float


def judge_address(declared: str, seen: SeenAddress) -> Address:
    """What Dhan's answer says of the address that the operator declared. Pure."""
    if seen.detected is None:
        return Address.UNVERIFIED
    known = not seen.registered or declared in seen.registered
    matches = seen.detected == declared and known and seen.orders_allowed is not False
    return Address.AS_REGISTERED if matches else Address.ANOTHER


class Addresses:
    """What Dhan has said about where members' requests come from."""

    def __init__(
        self,
        rules: ModeRules,
        http: httpx.AsyncClient,
        members: MemberBoard,
        machine: MonotonicClock,
    ) -> None:
        self._rules = rules
        self._http = http
        self._members = members
        self._machine = machine
        self._looks: dict[DhanClientId, _Look] = {}

    async def seen(self, user: UserId, claimed: Claimed | Connected, day: date) -> Address:
        """What is known of the address on `day`, asked of Dhan where nothing is.

        Nobody is asked about an account that is no member's.
        """
        if known := self._known(user, claimed, day):
            return known
        account = claimed.credentials.client_id
        member = self._members.of(user, account)
        assert member is not None  # else nobody is asked
        answer = await seen_address(self._http, self._rules.base_url, claimed.credentials)
        address = Address.UNVERIFIED
        if isinstance(answer, SeenAddress):
            address = judge_address(member.address, answer)
        if address is not Address.AS_REGISTERED:
            log.error(
                "address_differs" if address is Address.ANOTHER else "address_unverified",
                user=str(user),
                registered=member.address,
                seen=answer.detected if isinstance(answer, SeenAddress) else answer.reason,
            )
        look = _Look(day, member.address, address, self._machine.monotonic())
        self._looks[account] = look
        return look.address

    def must_ask(self, user: UserId, claimed: Claimed | Connected, day: date) -> bool:
        """Whether nothing that holds on `day` is known of a member's address."""
        return self._known(user, claimed, day) is None

    def _known(self, user: UserId, claimed: Claimed | Connected, day: date) -> Address | None:
        account = claimed.credentials.client_id
        member = self._members.of(user, account)
        if not self._members.needed or member is None:
            return Address.AS_REGISTERED
        look = self._looks.get(account)
        return look.address if look and self._holds(look, member.address, day) else None

    def _holds(self, look: _Look, declared: str, day: date) -> bool:
        """Whether a look still counts: a good one for the day, another for half a minute."""
        if (look.day, look.declared) != (day, declared):
            return False
        recent = self._machine.monotonic() - look.at < LOOK_AGAIN
        return look.address is Address.AS_REGISTERED or recent
