"""What every test program does at its start.

It dies with its parent, turns signals into a stop, and fetches with the client that it is told to.
"""

import asyncio
import ctypes
import os
import signal
from dataclasses import replace
from typing import cast

from bus.connection import FetchClient, KafkaConnection

PR_SET_PDEATHSIG = 1
FETCH_CLIENT = "FETCH_CLIENT"  # whoever sets it runs all tests of the bus with that client


def kafka_at(bootstrap: str) -> KafkaConnection:
    usual = KafkaConnection(bootstrap)
    client = os.environ.get(FETCH_CLIENT, usual.fetch_client)
    return replace(usual, fetch_client=cast("FetchClient", client))


def stop_on_signal() -> asyncio.Event:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
