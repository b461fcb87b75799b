"""`ats demo --serve`: the data that a demo left, to query and to tail. Nothing trades."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from ats.demo.home import is_kept
from ats.demo.stack import Stack
from ats.demo.steps import Step
from ats.demo.web import DemoPage
from ats.demo.words import kept_at
from ats.runtime.logs import configure
from ats.runtime.running_demo import announced
from ats.runtime.shutdown import until_signalled
from ats.settings import load
from schemas.errors import Misconfigured


async def serve(folder: Path, *, web: bool) -> None:
    """Serve what `ats demo --keep FOLDER` left there until told to stop.

    Raises:
        Misconfigured: no such data.
    """
    if not is_kept(folder):
        raise Misconfigured(
            f"--serve {folder}: no demo was kept there; make one with --keep {folder}"
        )
    settings, console = load(), Console()
    configure("demo", style="console", level="error", secrets=())
    page = DemoPage() if web else None
    arguments = page.simulator_arguments if page else None
    stack = Stack(folder, cache=settings.ats_cache_dir, simulator_arguments=arguments)
    try:
        with Step(console, f"starting Kafka and Postgres on {folder}") as step:
            await stack.start(announce=step.now)
        if page:
            await page.open(stack, console)
        other = bool(settings.kafka_bootstrap_servers)
        kafka = stack.kafka.bootstrap_servers
        said = kept_at(kafka, stack.supabase_url, stack.keys_file, other_kafka=other)
        console.print(said, highlight=False, soft_wrap=True)
        with announced(settings.ats_state_dir, kafka):
            await until_signalled()
    finally:
        with Step(console, "ending every process"):
            if page:
                await page.close()
            await stack.stop()
