"""What the database's own tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from tests.database.fixtures import SupabaseStack, postgres, supabase_stack

__all__ = ["postgres", "supabase_stack"]


@pytest_asyncio.fixture
async def superuser(supabase_stack: SupabaseStack) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Past grants and policies: to arrange what no API can, and to see what no API shows."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(supabase_stack.dsn)
    yield connection
    await connection.close()
