"""Everything that streams, as one, put together from the settings.

These are market feed, depth feeds, order updates and postbacks.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from simulator.accounts import Accounts
from simulator.config import SimulatorConfig
from simulator.faults import Faults
from simulator.market.tape import Market, Prints
from simulator.matching.order import OrderSnapshot
from simulator.streaming.connection import SocketOptions, Surroundings, connection_numbers
from simulator.streaming.depth import ENDPOINTS as DEPTHS
from simulator.streaming.depth import DepthFeed
from simulator.streaming.feed import ENDPOINT as FEED
from simulator.streaming.feed import Feed, FeedOptions
from simulator.streaming.postbacks import Postbacks
from simulator.streaming.updates import ENDPOINT as UPDATES
from simulator.streaming.updates import UpdateOptions, Updates


class Streams:
    """The streams of one simulator. What the exchange and the order book tell, each hears.

    Attributes:
        feed: The market feed.
        depths: By number of levels.
        updates: Of orders, over a WebSocket.
        postbacks: Of orders, to users' URLs.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        market: Market,
        accounts: Accounts,
        faults: Faults,
        monotonic: Callable[[], float],
    ) -> None:
        sockets = SocketOptions(
            config.feed_connections, config.ping_every, config.drop_after, config.connection_life
        )
        around = Surroundings(faults, sockets, monotonic, connection_numbers())
        options = FeedOptions(
            config.packets_per_frame,
            config.previous_close_for_all,
            config.true_utc,
            config.numeric_ids,
        )
        self.feed = Feed(market, accounts, options, around)
        self.depths = {
            levels: DepthFeed(levels, market, accounts, around, numeric_ids=config.numeric_ids)
            for levels in DEPTHS
        }
        self.updates = Updates(
            accounts,
            config.partners,
            UpdateOptions(config.update_keys, config.acknowledge_login),
            around,
        )
        self.postbacks = Postbacks(accounts, faults)
        self._prints: Prints | None = None

    def routes(self) -> list[web.RouteDef]:
        """The paths of all WebSockets."""
        return [
            web.get(FEED, self.feed.serve),
            web.get(UPDATES, self.updates.serve),
            *(web.get(DEPTHS[levels], depth.serve) for levels, depth in self.depths.items()),
        ]

    def load(self, chunk: Prints) -> None:
        """The prints that `publish` is about to speak of."""
        self._prints = chunk
        self.feed.load(chunk)

    async def publish(self, place: slice) -> None:
        """Show everybody the loaded prints at `place`; returns when all sockets have taken them."""
        assert self._prints is not None, "load() comes before publish()"
        await self.feed.publish(place)
        for depth in self.depths.values():
            await depth.publish(self._prints[place])

    async def announce(self, packet: bytes) -> None:
        """Send a packet to every connection of the market feed."""
        await self.feed.announce(packet)

    def tell(self, order: OrderSnapshot) -> None:
        """An order changed."""
        self.updates.tell(order)
        self.postbacks.tell(order)

    async def close(self) -> None:
        """Close every connection, and stop sending postbacks."""
        await self.postbacks.close()
        await self.updates.close()
        await self.feed.close()
        for depth in self.depths.values():
            await depth.close()
