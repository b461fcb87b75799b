"""`ats feed`: Dhan's market feed into `ats.ticks`."""

from __future__ import annotations

from ats.services.context import Context, credentials_of, instrument_master, universe_of
from bus.publisher import Publisher
from bus.topics import check_topics
from schemas import topics
from streams.feed.config import GatewayConfig, GatewayMetrics
from streams.feed.gateway import run_gateway


async def run(context: Context) -> None:
    """Run the gateway until told to stop."""
    settings, metrics = context.settings, GatewayMetrics()
    context.records.append(metrics)
    connection, account = settings.kafka(), credentials_of(settings)
    await check_topics(connection, settings.plan(), (topics.TICKS, topics.FEED))
    config = GatewayConfig(
        url=settings.dhan_feed_url,
        client_id=account.client_id,
        instruments=universe_of(await instrument_master(settings), settings.ats_universe),
        partitions=settings.ats_instrument_partitions,
        live=settings.ats_clock == "wall",
    )

    async def token() -> str:
        return account.access_token.get_secret_value()

    async with Publisher(connection) as publisher:
        await run_gateway(config, publisher, token, context.stop, metrics)
