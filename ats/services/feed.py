"""`ats feed`: Dhan's market feed into `ats.ticks`, and its order books into `ats.depth`."""

from __future__ import annotations

import asyncio

from ats.services.calendars import announce, calendar_of
from ats.services.context import Context, credentials_of
from ats.services.manifests.common import log_of, universe_inputs
from ats.services.manifests.ticks import feed_inputs
from ats.services.universe import Universe, report
from ats.settings import Settings
from bus.publisher import Publisher
from bus.topics import check_topics
from dhan.instruments import Master
from schemas import topics
from schemas.market import Instrument
from streams.feed.config import GatewayConfig, GatewayMetrics, Mode
from streams.feed.gateway import run_gateway
from streams.feed.previous_run import last_clock
from streams.feed.tasks import cancel
from streams.feed.watchlist import Watchlist


async def run(context: Context) -> None:
    """Run the gateway until told to stop."""
    settings, metrics = context.settings, GatewayMetrics()
    context.records.append(metrics)
    connection, account = settings.kafka(), credentials_of(settings)
    mode = mode_of(settings)
    books = (topics.DEPTH,) if mode is Mode.FULL else ()
    await check_topics(connection, settings.plan(), (topics.TICKS, topics.FEED, *books))
    calendar = calendar_of(settings)
    announce(calendar, settings)
    manifests, watchlist = log_of(connection, settings, "feed"), Watchlist()

    def renewed(watched: tuple[Instrument, ...], master: Master) -> None:
        manifests.change(universe_inputs(watched, master))

    universe = Universe(settings, on_read=renewed)
    config = GatewayConfig(
        url=settings.dhan_feed_url,
        client_id=account.client_id,
        instruments=await universe.read(),
        partitions=settings.ats_instrument_partitions,
        connections=settings.ats_feed_connections,
        live=settings.ats_clock == "wall",
        calendar=calendar,
        mode=mode,
    )
    assert universe.master is not None, "it was read just now"
    await manifests.record(feed_inputs(settings, config, universe.master))
    previous = await last_clock(connection, config)

    async def token() -> str:
        return account.access_token.get_secret_value()

    keeper = asyncio.create_task(universe.keep(watchlist), name="universe")
    keeper.add_done_callback(report)
    try:
        async with Publisher(connection) as publisher:
            await run_gateway(
                config,
                publisher,
                token,
                context.stop,
                metrics,
                watchlist=watchlist,
                previous=previous,
            )
    finally:
        await cancel(keeper)


def mode_of(settings: Settings) -> Mode:
    """What is subscribed to: order books come with Full packets only."""
    return Mode.FULL if settings.ats_depth == "on" else Mode.QUOTE
