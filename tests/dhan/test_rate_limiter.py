from __future__ import annotations

import pytest

from dhan.rate_limiter import RateLimiter


async def test_an_even_pace_lets_five_requests_a_second_through() -> None:
    now, slept = [100.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    limiter = RateLimiter(5, clock=lambda: now[0], sleep=sleep)

    for _ in range(11):
        await limiter.wait()

    assert now[0] == pytest.approx(102.0)
    assert slept == pytest.approx([0.2] * 10)
