"""Five stop-outs, a circuit, a ban, a mute feed, the day's loss, a halt; and the morning after."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import httpx

from executors.risk.denial import Denial
from schemas.ids import InstrumentId, Segment
from schemas.market import Action, Instrument
from schemas.units import Paise
from tests.bad_day.account import PLATFORM, TradingAccount, Watched, session
from tests.executors.factories import USER

FIRST, NEXT = date(2026, 11, 23), date(2026, 11, 24)
BANS = "Securities in Ban For Trade Date 23-NOV-2026:\n1,SAIL\n"


class Broken(Exception):
    """A protection did not act at its limit."""


def hold(what: str, seen: object, wanted: object) -> None:
    """Raises Broken unless both are the same."""
    if seen != wanted:
        raise Broken(f"{what}: {seen}, expected {wanted}")


class Story:
    """The two days, on one account."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.account = TradingAccount(http)

    async def play(self) -> Watched:
        """Raises Broken at the first protection that does not act."""
        async with session(self.account, FIRST):
            await self._morning()
            await self._stop_outs_and_limits()
            await self._circuit_and_ban()
            await self._mute_feed()
            await self._the_fifth_stop()
            await self._loss_and_halt()
            self._nothing_passed()
        async with session(self.account, NEXT):
            await self._next_morning()
        return self.account.watched

    async def _morning(self) -> None:
        account = self.account
        share = await self._first_share()
        hold("before the book was read", await account.decide(share), Denial.BOOK_NOT_RECONCILED)
        await account.look()

    async def _first_share(self) -> Instrument:
        await self.account.read_master(FIRST)
        shares = [each for each in self.account.instruments.values() if each.tradable]
        future = replace(
            shares[0],
            id=InstrumentId(Segment.NSE_FNO, 52_001),
            symbol="SAIL-Nov2026-FUT",
            kind="FUTSTK",
            underlying="SAIL",
        )
        await self.account.read_master(FIRST, future)
        self.account.read_bans(BANS)
        self.shares, self.future = shares, future
        for each in shares:
            self.account.print_at(each, middle(each))
        self.account.last[future.id] = middle(shares[0])
        self.account.wait(seconds=1)
        return shares[0]

    async def _stopped_out(self, share: Instrument) -> None:
        """Entered, and given up at its stop."""
        account = self.account
        hold(f"an entry in {share.symbol}", await account.decide(share), "accepted")
        await self._falls_to_its_stop(share)

    async def _falls_to_its_stop(self, share: Instrument) -> None:
        account, before = self.account, self.account.stop_outs
        account.wait(minutes=1)
        account.print_at(
            share, account.last[share.id] * 99 // 100 // share.tick_size * share.tick_size
        )
        await account.look()
        hold(f"stop-outs after {share.symbol}", account.stop_outs, before + 1)
        hold(f"held of {share.symbol}", account.held(share), 0)
        account.say(
            f"stop-out {account.stop_outs}: {share.symbol}, day's result {Paise(account.result)}"
        )

    async def _stop_outs_and_limits(self) -> None:
        account, (a, b, c, d, e, *_) = self.account, self.shares
        await self._stopped_out(a)
        hold("again at once", await account.decide(a), Denial.COOLING_DOWN)
        await self._stopped_out(b)
        for each in (c, d):
            hold(f"an entry in {each.symbol}", await account.decide(each), "accepted")
        hold("more of the same", await account.decide(c), Denial.SYMBOL_EXPOSURE_TOO_LARGE)
        hold("a third position", await account.decide(e), Denial.EXPOSURE_TOO_LARGE)
        hold("a short", await account.decide(e, Action.SELL), Denial.LONG_ONLY)

    async def _circuit_and_ban(self) -> None:
        account, locked = self.account, self.shares[5]
        assert locked.band
        account.wait(minutes=1)
        account.print_at(locked, locked.band.upper)
        hold("at the circuit", await account.decide(locked), Denial.LOCKED_AT_CIRCUIT)
        account.print_at(locked, locked.band.lower + 2 * locked.tick_size)
        hold("near the circuit", await account.decide(locked), Denial.STOP_OUTSIDE_BAND)
        hold("a banned share's future", await account.decide(self.future), Denial.UNDERLYING_BANNED)

    async def _mute_feed(self) -> None:
        account, share = self.account, self.shares[4]
        account.mute = True
        account.wait(seconds=12)
        hold("no market data", await account.decide(share), Denial.FEED_DEAD)
        account.mute = False
        account.wait(seconds=1)

    async def _the_fifth_stop(self) -> None:
        account, (a, _, c, d, e, *_) = self.account, self.shares
        for each in (c, d):
            await self._falls_to_its_stop(each)
        hold("before the fifth stop", await account.decide(e), "accepted")
        account.wait(minutes=15)
        await self._stopped_out(a)
        hold(
            "after the fifth stop", await account.decide(self.shares[6]), Denial.TOO_MANY_STOP_OUTS
        )

    async def _loss_and_halt(self) -> None:
        account, share = self.account, self.shares[4]
        falls = 20 * share.tick_size
        limit = Paise(-account.result + falls * account.held(share))
        account.tighten(max_daily_loss=limit)
        account.say(f"the user tightens their loss limit to {limit}")
        account.print_at(share, account.last[share.id] - falls + share.tick_size)
        await account.look()
        hold("a tick before the loss", account.halts.halted(USER), False)
        account.print_at(share, account.last[share.id] - share.tick_size)
        hold(
            "the gate at the loss", await account.decide(self.shares[7]), Denial.DAILY_LOSS_REACHED
        )
        await account.look()
        hold("halted at the loss", account.halts.halted(USER), True)
        hold("the loss to the paisa", -account.result, limit)
        hold("an entry in the halt", await account.decide(self.shares[7]), Denial.HALTED)
        account.print_at(share, account.last[share.id] + share.tick_size)
        await account.look()
        hold("halted when the market turns", account.halts.halted(USER), True)
        hold("the exit in the halt", await account.decide(share, Action.SELL), "accepted")
        hold("held after the exit", account.held(share), 0)
        await account.store.impose_halt(None, "operator", "the day was bad", None)
        await account.look_at_halts()
        account.say("the operator halts everybody")
        self.loss_limit = limit

    def _nothing_passed(self) -> None:
        watched, limits = self.account.watched, self.account.limits.of(USER)
        for name, reached, most in (
            ("orders", watched.orders, limits.max_orders_per_day),
            ("positions", watched.positions, limits.max_open_positions),
            ("exposure in one share", watched.symbol_exposure, limits.max_symbol_exposure),
            ("exposure", watched.exposure, limits.max_exposure),
            ("loss", watched.loss, limits.max_daily_loss),
        ):
            if most is None or reached > most:
                raise Broken(f"{name} reached {reached}, the limit is {most}")
            in_words = f"{reached} of {most}"
            if reached > 1_000:
                in_words = f"{Paise(reached)} of {Paise(most)}"
            self.account.say(f"{name} at most {in_words}")
        hold("stop-outs of the day", self.account.stop_outs, PLATFORM.max_stop_outs_per_day)

    async def _next_morning(self) -> None:
        account, share = self.account, self.shares[0]
        account.print_at(share, middle(share))
        account.last[self.future.id] = middle(share)
        account.wait(seconds=1)
        account.tighten(max_orders_per_day=1)
        await account.look()
        hold("the user's own halt", [halt.user for halt in account.halts.of(USER)], [None])
        hold("the platform's halt", await account.decide(share), Denial.HALTED)
        account.store.lift_the_platforms()
        await account.look_at_halts()
        account.say("the operator lifts the halt")
        hold("a moment later", await account.decide(share), Denial.HALTED)
        account.wait(seconds=5)
        await account.look_at_halts()
        account.master = replace(account.master, read_on=FIRST)
        hold("with yesterday's master", await account.decide(share), Denial.PRICE_BAND_UNKNOWN)
        await account.read_master(NEXT, self.future)
        hold("with yesterday's bans", await account.decide(self.future), Denial.BAN_LIST_UNKNOWN)
        hold("unlocked", await account.decide(share), "accepted")
        hold("stop-outs of the new day", account.stop_outs, 0)
        other = self.shares[1]
        account.print_at(other, middle(other))
        hold("a second order", await account.decide(other), Denial.ORDERS_OF_THE_DAY_USED_UP)


def middle(share: Instrument) -> int:
    """The price in the middle of the day's band, on the tick grid."""
    assert share.band
    return on_grid(share, (share.band.lower + share.band.upper) // 2)


def on_grid(share: Instrument, price: int) -> int:
    """The next price below that the exchange takes."""
    return price // share.tick_size * share.tick_size
