"""What every test program does at its start: die with its parent, and turn signals into a stop."""

import asyncio
import ctypes
import signal

PR_SET_PDEATHSIG = 1


def stop_on_signal() -> asyncio.Event:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
