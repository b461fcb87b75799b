"""What decides ticks and past bars; knows nothing of the engine, which the feed does without."""

from __future__ import annotations

from collections.abc import Iterable

from ats.services.manifests.build import build_of
from ats.services.manifests.common import clock_of, host_of, universe_inputs
from ats.settings import Settings
from dhan.instruments import Master
from schemas.calendar import Calendar
from schemas.manifest import Inputs, plain
from schemas.market import Instrument
from streams.feed.config import GatewayConfig


def feed_inputs(settings: Settings, config: GatewayConfig, master: Master) -> Inputs:
    """Of `ats feed`."""
    return {
        "build": build_of(("schemas", "dhan", "streams"), ()),
        "clock": clock_of(settings),
        "calendar": plain(config.calendar),
        "endpoint": host_of(config.url),
        "feed": {
            "mode": config.mode.name,
            "gateway": config.gateway,
            "connections": config.connections,
            "heartbeat_s": config.heartbeat,
            "stale_after_s": config.stale_after,
            "give_up_after_s": config.give_up_after,
        },
        **universe_inputs(config.instruments, master),
    }


def warm_up_inputs(
    settings: Settings, watched: Iterable[Instrument], master: Master, calendar: Calendar
) -> Inputs:
    """Of `ats warm-up`."""
    return {
        "build": build_of(("schemas", "dhan", "streams"), ()),
        "clock": clock_of(settings),
        "calendar": plain(calendar),
        "endpoint": host_of(settings.dhan_data_url),
        **universe_inputs(watched, master),
    }
