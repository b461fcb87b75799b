"""Debian's Chromium over the whole way in: page server, database, simulated Dhan, Kafka and the
order workers.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from ats.embedded.postgres import EmbeddedPostgres
from tests.database.fixtures import SupabaseStack, own_stack
from tests.web.browser.place import Place, opened
from tests.web.browser.window import Chromium, chromium_at


@pytest.fixture(scope="session")
def program(built: None) -> Path:
    """`make test-web` installs what is missing; a plain `make test` goes on without."""
    pytest.importorskip("playwright", reason="no playwright; `make test-web` brings it")
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium; `make test-web` brings it")
    return Path(found)


@pytest_asyncio.fixture
async def chromium(program: Path) -> AsyncIterator[Chromium]:
    async with chromium_at(program) as started:
        yield started


@pytest_asyncio.fixture
async def supabase_stack(postgres: EmbeddedPostgres) -> AsyncIterator[SupabaseStack]:
    """An empty database nobody else uses: order workers trade for every active user they find."""
    async with own_stack(postgres, f"browser_{uuid4().hex[:8]}") as stack:
        yield stack


@pytest_asyncio.fixture
async def place(
    program: Path, supabase_stack: SupabaseStack, tmp_path: Path
) -> AsyncIterator[Place]:
    async with opened(supabase_stack, tmp_path / "logs") as place:
        yield place
