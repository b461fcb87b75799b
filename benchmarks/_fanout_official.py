"""The official `dhanhq` client in threads, for `benchmarks.fanout`.

python -m benchmarks._fanout_official BROKER_URL ORDERS THREADS

As its documentation shows it: one client for each user, `place_order` for each order. A thread
pool takes the users in turn. It claims nothing, checks nothing and records nothing. Prints seconds
from the first call to the last answer, seconds of CPU and how many were not accepted.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from dhanhq import DhanContext, dhanhq
from dhanhq.dhan_http import DhanHTTP


def place(user: int) -> bool:
    client = dhanhq(DhanContext(str(4_400_000_000 + user), f"token-of-the-benchmark-{user}"))
    answer = client.place_order(
        security_id="2885",
        exchange_segment="NSE_EQ",
        transaction_type="BUY",
        quantity=10,
        order_type="LIMIT",
        product_type="INTRADAY",
        price=1503.0,
        tag=f"official-{time.time_ns() % 10**12}-{user}",
    )
    return bool(answer["status"] == "success")


def main() -> None:
    url, orders, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    DhanHTTP.API_BASE_URL = url
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(place, range(threads)))  # threads and modules are ready
        began, cpu = time.perf_counter(), time.process_time()
        accepted = sum(pool.map(place, range(orders)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "failed": orders - accepted}))


if __name__ == "__main__":
    main()
