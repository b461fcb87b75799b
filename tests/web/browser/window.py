"""A browser window of one size and theme, and what can be seen in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ats.commands.web import WEB

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Request

SHOTS = WEB.parent / "test-results" / "web"  # ignored by git
AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
# No GPU, no sandbox (CI runs as root) and no conversation of the browser's own with anybody.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip

Size = Literal["desktop", "phone"]
Theme = Literal["light", "dark"]
SIZES: dict[Size, tuple[int, int]] = {"desktop": (1280, 860), "phone": (390, 844)}
# for what takes 2 s: the page asks every two seconds, and CI machines are slow
PATIENCE_MS = 15_000
THEMES: tuple[Theme, ...] = ("light", "dark")

# Adds up what moved without a person's doing, as browsers report it (Layout Instability API).
_COUNT_SHIFTS = """
window.atsShifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const moved = entry.sources.map((source) => source.node?.outerHTML?.slice(0, 80) ?? "?");
    if (!entry.hadRecentInput) window.atsShifts.push([entry.value, ...moved]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


class Window:
    """One page of a browser. Remembers each address it asked for and all its console said."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.said: list[str] = []
        page.context.on("request", self._note)
        page.on(
            "console",
            lambda message: self.said.append(
                f"{message.type} at {message.location['url']}: {message.text}"
            ),
        )
        page.on("pageerror", lambda error: self.said.append(f"error at {page.url}: {error}"))

    def _note(self, request: Request) -> None:
        self.asked.append(f"{request.method} {request.url} {request.headers} {request.post_data}")

    async def theme(self, theme: Theme) -> None:
        await self.page.emulate_media(color_scheme=theme)

    async def shoot(self, name: str) -> None:
        """Keep a picture of the whole page."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)

    async def violations(self) -> list[str]:
        """What axe finds wrong, of any severity, best practices included."""
        if not await self.page.evaluate("'axe' in window"):
            # through the debugger: the page's own policy stays in force
            await self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = await self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']})"
        )
        return [
            f"{violation['id']} ({violation['impact']}): {violation['help']}: "
            f"{[node['html'] for node in violation['nodes']]}"
            for violation in found["violations"]
        ]

    async def shifts(self) -> list[Any]:
        """What moved since the page was loaded, without anybody touching anything."""
        moved: list[Any] = await self.page.evaluate("window.atsShifts")
        return moved

    async def wider_than_the_window(self) -> int:
        """How many pixels one would have to scroll sideways."""
        width: int = await self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return width

    async def holds(self) -> str:
        """All that the browser keeps: the page as it stands, cookies and storages."""
        stores = await self.page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
        )
        return "\n".join(
            [await self.page.content(), repr(await self.page.context.cookies()), str(stores)]
        )


@dataclass(frozen=True, slots=True)
class Chromium:
    """A running browser. Every window is a person of its own: nothing is shared, nothing was there
    before.
    """

    browser: Browser

    async def window(self, size: Size = "desktop", theme: Theme = "light") -> Window:
        width, height = SIZES[size]
        phone = size == "phone"
        context = await self.browser.new_context(
            viewport={"width": width, "height": height},
            is_mobile=phone,
            has_touch=phone,
            device_scale_factor=2 if phone else 1,
            color_scheme=theme,
            reduced_motion="reduce",
            # neither the page's language nor its time zone: nothing may depend on the browser's
            locale="de-DE",
            timezone_id="America/New_York",
        )
        context.set_default_timeout(PATIENCE_MS)
        await context.add_init_script(_COUNT_SHIFTS)
        return Window(await context.new_page())


@asynccontextmanager
async def chromium_at(program: Path) -> AsyncIterator[Chromium]:
    """With a new profile, which is deleted with it."""
    from playwright.async_api import async_playwright  # noqa: PLC0415  a plain `make test` runs without it

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        try:
            yield Chromium(browser)
        finally:
            await browser.close()
