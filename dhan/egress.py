"""From which address of this machine the requests of an account leave.

Dhan takes orders of an account from its registered static address only, and no two users may have
the same (`docs/facts/market-rules.md`). So each account has a source address and connections of its
own. Which are used follows from the very header that tells Dhan whose request it is: a request
cannot name one account and leave from the address of another.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import httpx

from schemas.errors import Misconfigured
from schemas.ids import DhanClientId

ACCOUNT_HEADER: Final = "client-id"  # each request of `dhan.transport.DhanTransport` has it
# Dhan takes 10 orders and 20 other calls of an account in one second; a call lasts 3 s at most, and
# usually a twentieth of one
CONNECTIONS_OF_AN_ACCOUNT: Final = 30
MAX_ACCOUNTS: Final = 64  # each has its own connections; a family is smaller
_CLIENT_ID: Final = re.compile(r"[0-9A-Za-z]{1,32}")


class NoSourceAddress(httpx.ConnectError):
    """The account has no source address, so nothing of it leaves; add it to ATS_EGRESS."""


@dataclass(frozen=True, slots=True)
class Egress:
    """Source addresses by account.

    Attributes:
        addresses: Of this machine; no two accounts share one.
        named_only: An account without an address is refused. Otherwise it leaves from wherever the
            machine's routes say.
    """

    addresses: Mapping[DhanClientId, str] = field(default_factory=lambda: MappingProxyType({}))
    named_only: bool = False

    @classmethod
    def parse(cls, entries: Iterable[str], *, named_only: bool = False) -> Egress:
        """Read the entries of ATS_EGRESS, such as `1100000001=203.0.113.7`.

        Raises:
            Misconfigured: naming the entry that is no account and address, or that repeats one.
        """
        addresses: dict[DhanClientId, str] = {}
        for entry in entries:
            account, address = _entry(entry)
            if account in addresses:
                raise Misconfigured(f"ATS_EGRESS names account {account} twice")
            if address in addresses.values():
                raise Misconfigured(
                    f"ATS_EGRESS gives {address} to two accounts: Dhan wants an address of its own "
                    "for each"
                )
            addresses[account] = address
        if len(addresses) > MAX_ACCOUNTS:
            raise Misconfigured(f"ATS_EGRESS names more than {MAX_ACCOUNTS} accounts")
        return cls(MappingProxyType(addresses), named_only)

    def admits(self, account: DhanClientId | None) -> bool:
        """Whether requests of `account` may leave."""
        return not self.named_only or account in self.addresses

    def source(self, account: DhanClientId) -> str | None:
        """The address that `account` leaves from; None: wherever the machine's routes say.

        Raises:
            NoSourceAddress: it must have one, and has none.
        """
        address = self.addresses.get(account)
        if address is None and self.named_only:
            raise NoSourceAddress("no source address for this account")
        return address

    def absent(self) -> list[str]:
        """The addresses that this machine does not have: nothing can leave from there."""
        return [address for address in self.addresses.values() if not _is_here(address)]


class AccountTransport(httpx.AsyncBaseTransport):
    """Sends each request through the connections of its account, which all begin at its address."""

    def __init__(
        self, egress: Egress, open_pool: Callable[[str | None], httpx.AsyncBaseTransport]
    ) -> None:
        """`open_pool` opens the connections that begin at one address of this machine."""
        self._egress = egress
        self._open_pool = open_pool
        self._pools: dict[str | None, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send `request`.

        Raises:
            NoSourceAddress: it names no account, or one without an address; nothing left.
        """
        source = self._egress.source(DhanClientId(request.headers.get(ACCOUNT_HEADER, "")))
        if source not in self._pools:
            self._pools[source] = self._open_pool(source)
        return await self._pools[source].handle_async_request(request)

    async def aclose(self) -> None:
        """Close every account's connections."""
        for pool in self._pools.values():
            await pool.aclose()


def _entry(text: str) -> tuple[DhanClientId, str]:
    account, separator, address = (part.strip() for part in text.partition("="))
    if not separator or not _CLIENT_ID.fullmatch(account):
        raise Misconfigured(
            f"ATS_EGRESS={text!r} is not usable: write Dhan client id and address, such as "
            "1100000001=203.0.113.7, separated by commas"
        )
    try:
        source = ipaddress.ip_address(address)
    except ValueError:
        raise Misconfigured(
            f"ATS_EGRESS={text!r} is not usable: {address!r} is no IP address"
        ) from None
    if source.is_unspecified or source.is_multicast:
        raise Misconfigured(f"ATS_EGRESS={text!r} is not usable: nothing can leave from {source}")
    return DhanClientId(account), str(source)


def _is_here(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
