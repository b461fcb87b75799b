"""The programs of docs/simulator.md, run as they are written; only the port differs."""

from __future__ import annotations

import asyncio
import re
import sys
import textwrap
from pathlib import Path

from simulator.config import SimulatedUser
from tests.simulator.factories import running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"


async def test_the_pages_bot_trades_on_an_unmodified_dhanhq(tmp_path: Path) -> None:
    box, bot = (
        textwrap.dedent(code)
        for code in re.findall(
            r"^   ```python\n(.*?)^   ```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
        )
    )
    user = SimulatedUser("1000000001", "simulated-token")
    async with running(users=(user,), speed=10.0, autostart=True, packets_per_frame=1) as simulator:
        port = simulator.url.rsplit(":", 1)[1]
        (tmp_path / "box.py").write_text(box.replace("8790", port))
        (tmp_path / "bot.py").write_text(bot)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "bot.py",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, wrong = await asyncio.wait_for(process.communicate(), 60)

    assert process.returncode == 0, wrong.decode()
    assert re.fullmatch(
        r"cash 1000000(\.0)?\nRELIANCE [\d.]+\norder (TRADED|PART_TRADED) at [\d.]+\n",
        said.decode(),
    )
