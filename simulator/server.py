"""Dhan in a box: one process, one port, one asyncio loop. Start here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from aiohttp import web

from simulator.accounts import Accounts
from simulator.api.charts import Charts
from simulator.api.consent import ConsentApi
from simulator.api.data_guard import DataGuard
from simulator.api.master import Master
from simulator.api.option_chain import OptionChains
from simulator.api.quotes import Quotes
from simulator.api.replies import unknown_path
from simulator.api.silences import Silences
from simulator.config import GENERATED_DAY, SimulatorConfig
from simulator.control import Control
from simulator.control_orders import OrderControl
from simulator.exchange import Exchange
from simulator.faults import Faults
from simulator.llm.endpoint import ChatApi
from simulator.market.clock import Pacer
from simulator.market.generator import Plan, generate
from simulator.market.replay import Replay, replay_file
from simulator.market.tape import Market
from simulator.matching.protection import ProtectionRecord
from simulator.streaming.feed import Feed
from simulator.streaming.hub import Streams
from simulator.trading import Trading

SHUTDOWN: Final = 2.0  # seconds requests in flight may take to end
MAX_BODY: Final = 1 << 20  # bytes; the longest prompt of the agents is a tenth

log = structlog.get_logger(__name__)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Simulator:
    """One simulator. `start` binds the port and prepares the session; `url` is known from then on.

    Attributes:
        replay: The session and, when it came from a file, the rows that could not be used; known
            after `start`.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        now: Callable[[], datetime] = _wall_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._now = now
        self._monotonic = monotonic
        self._runner: web.AppRunner | None = None
        self._exchange: Exchange | None = None
        self._streams: Streams | None = None
        self._faults: Faults | None = None
        self.replay: Replay | None = None
        self.url = ""

    @property
    def market(self) -> Market:
        """The session's listings and prints."""
        return self.exchange.market

    @property
    def feed(self) -> Feed:
        """The market feed. Only after the start."""
        return self.streams.feed

    @property
    def streams(self) -> Streams:
        """Everything that streams. Only after the start."""
        assert self._streams is not None, "the simulator is not started"
        return self._streams

    @property
    def faults(self) -> Faults:
        """The faults that wait to fire. Only after the start."""
        assert self._faults is not None, "the simulator is not started"
        return self._faults

    @property
    def exchange(self) -> Exchange:
        """Clock, prices and orders of the market. Only after the start."""
        assert self._exchange is not None, "the simulator is not started"
        return self._exchange

    async def start(self) -> None:
        """Bind the port.

        Raises:
            Misconfigured: the market file cannot be used.
            OSError: the port is taken.
        """
        self.replay = await asyncio.to_thread(make_market, self._config)
        app = self._application(self.replay)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._config.host, self._config.port)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://{self._config.host}:{port}"
        log.info("simulator.listening", url=self.url, instruments=len(self.market.listings))
        for line in self.replay.said():
            log.warning("simulator.market_file", said=line)
        if self._config.autostart:
            self.exchange.open_market()

    async def stop(self) -> None:
        """End the session and close every connection."""
        if self._exchange:
            await self._exchange.stop()
        if self._streams:
            await self._streams.close()
        if self._runner:
            await self._runner.cleanup()

    def _application(self, session: Replay) -> web.Application:
        config, market = self._config, session.market
        model = ChatApi(config.model_latency)
        faults = self._faults = Faults(
            config.faults,
            config.fault_seed,
            monotonic=self._monotonic,
            market_now=lambda: self.exchange.now,
        )
        accounts = Accounts(
            config.users, config.seed, self._now, one_token=config.one_token, faults=faults
        )
        self._streams = Streams(config, market, accounts, faults, self._monotonic)
        trading = Trading(config, market, accounts, faults)
        trading.book.on_change(self._streams.tell)
        at_least = config.packets_per_frame if config.speed is None else 1
        pacer = Pacer(config.speed, self._monotonic)
        self._exchange = Exchange(market, trading.book, self._streams, pacer, at_least=at_least)
        self._exchange.on_step = trading.market_moved
        silences = Silences(self._monotonic)
        data = DataGuard(config, accounts, faults, self._monotonic)
        desks = (
            Charts(self._exchange, config, data),
            Quotes(self._exchange, data),
            OptionChains(self._exchange, data, config.seed),
            Master(market.listings, config.rules),
            ConsentApi(accounts, config, self._now),
            model,
            OrderControl(
                self._exchange,
                trading.super_orders,
                accounts,
                ProtectionRecord(trading.book, self._monotonic),
                silences,
            ),
            Control(
                self._exchange,
                self._streams.feed,
                accounts,
                faults,
                model,
                replay=session,
            ),
        )
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_routes(self._streams.routes())
        app.router.add_routes(
            trading.routes(self._exchange, silences, now=self._now, monotonic=self._monotonic)
        )
        for desk in desks:
            app.router.add_routes(desk.routes())
        app.router.add_route("*", "/v2/{path:.*}", unknown_path)
        return app


def make_market(config: SimulatorConfig) -> Replay:
    """The session `config` asks for, replayed or generated."""
    if config.market is not None:
        made = replay_file(config.market, config.seed, config.day)
        assert made.report is not None, "a file has a report"
        made.report.refuse_broken(config.max_bad_share)
        return made
    plan = Plan(config.shares, config.character, config.characters, config.options)
    return Replay(generate(config.seed, config.day or GENERATED_DAY, plan=plan))
