"""The engine as `ats streams` runs it, in a process of its own.

A shell that is unsure of its state ends its process: that must not be pytest's.

python -m tests.streams.engine_process BOOTSTRAP
"""

import asyncio
import sys

from ats.services.streams import service_of
from ats.settings import Settings
from bus.connection import KafkaConnection
from bus.stateful import run_stateful
from schemas.calendar import EVERY_DAY
from streams.service import EngineStats
from tests.bus.programs.process import stop_on_signal
from tests.streams.conftest import PLAN


async def main(bootstrap: str) -> None:
    stop = stop_on_signal()
    service = service_of(Settings(), EngineStats(), EVERY_DAY)
    await run_stateful(service, KafkaConnection(bootstrap), PLAN, instance="test", stop=stop)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
