"""Looks at a running demo as an operator on a terminal and as a user in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from ats.commands.db_serve import local_keys
from ats.runtime.running_demo import Running, running
from simulator.supabase import tokens
from tests.conftest import unused_port


def as_user(state: Path, user: str) -> dict[str, Any]:
    """What `ats gateway` beside the running demo shows one user: the first event of a stream."""
    demo = running(state)
    assert demo
    secret = local_keys(Path(demo.keys)).jwt_secret
    claims = {"id": user, "email": "", "role": "authenticated"}
    token, _ = tokens.sign(
        secret, demo.supabase, claims | {"app_metadata": {}, "user_metadata": {}}, "session"
    )
    with _gateway(demo, secret) as url:
        headers = {"Authorization": f"Bearer {token}"}
        return _until_read_up(f"{url}/v1/today", headers)


@contextmanager
def _gateway(demo: Running, secret: str) -> Iterator[str]:
    port = unused_port()
    env = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": demo.kafka,
        "SUPABASE_JWT_SECRET": secret,
        "ATS_GATEWAY_PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "ats", "gateway"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(10) == 0, "told to stop, it ends in order"
    finally:
        process.kill()
        process.wait()


def _until_read_up(url: str, headers: dict[str, str]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = httpx.get(url, headers=headers)
        except httpx.TransportError:
            answer = None  # not listening yet
        if answer and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            answer.raise_for_status()
            return dict(answer.json())
        assert time.monotonic() < deadline
        time.sleep(0.2)
