"""The chart, the decisions and an order's why, over a morning that the gateway was told."""

from __future__ import annotations

import asyncio
import gzip
import re
from typing import Final
from uuid import UUID

import pytest

pytest.importorskip("playwright", reason="no playwright; `make test-web` brings it")

from playwright.async_api import Page, expect

from ats.commands.web import WEB
from schemas.ids import UserId
from tests.executors.factories import RELIANCE, some_ticks
from tests.gateway.filled import INSTRUMENT
from tests.web.browser import charted
from tests.web.browser.place import Place
from tests.web.browser.states import State, forget, make
from tests.web.browser.test_every_state import faults_of
from tests.web.browser.window import SIZES, Chromium, Size, Window

MOST_SCRIPT: Final = 250_000  # bytes that one page's scripts may take over the line
EMPTY: Final = (
    State("chart-empty", "No share is looked at yet", (), "/chart"),
    State("decisions-empty", "Nothing was decided yet", (), "/decisions"),
    State("why-unknown", "You have no order of this name", (), f"/why/{UUID(int=7)}"),
)
AWAY: Final = (
    State("chart-away", "Not known while live figures do not arrive", (), "/chart"),
    State("decisions-away", "Not known while live figures do not arrive", (), "/decisions"),
)
FULL: Final = (
    State("chart", "What happened", (), "/chart"),
    State("decisions", "Spoke against it", (), "/decisions"),
)


async def arrived(windows: dict[Size, Window], place: Place) -> UserId:
    """Somebody who is signed in at each window, and whose morning the gateway knows."""
    await make(State("", "", (), "/sign-up"), [*windows.values()], place)
    ((user,),) = await place.sql("select id from auth.users")
    return UserId(UUID(str(user)))


def tell(place: Place, user: UserId) -> None:
    place.gate.record.add(*charted.lines(), *charted.public(), *charted.own(user))
    place.gate.tell(*charted.morning(user))


async def shown(state: State, windows: dict[Size, Window], place: Place) -> list[str]:
    """What is wrong with a page of each window, in both themes; pictures are kept."""

    async def one(size: Size, window: Window) -> list[str]:
        await window.page.goto(place.url + state.path)
        await expect(window.page.locator("main")).to_contain_text(state.words)
        await settled(window.page)
        return await faults_of(state, size, window)

    found = await asyncio.gather(*(one(size, window) for size, window in windows.items()))
    return [fault for faults in found for fault in faults]


async def settled(page: Page) -> None:
    """Nothing is awaited any more."""
    await expect(page.locator("[aria-busy=true]")).to_have_count(0)
    await expect(page.locator(".canvas.skeleton")).to_have_count(0)


async def scripts(page: Page) -> int:
    """Bytes of all scripts, compressed as a browser gets them: the relay asks for plain ones."""
    names: list[str] = await page.evaluate(
        "performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)"
    )
    parts = [WEB / ".next" / name.removeprefix("/_next/") for name in names if name.endswith(".js")]
    assert parts, "a page has scripts"
    return sum(len(gzip.compress(part.read_bytes(), 6)) for part in parts)


async def test_a_morning_is_read_on_the_chart_the_decisions_and_an_orders_why(
    place: Place, chromium: Chromium
) -> None:
    windows = {size: await chromium.window(size) for size in SIZES}
    user = await arrived(windows, place)
    wrong: list[str] = []
    for state in EMPTY:
        wrong += await shown(state, windows, place)
    place.gateway.away = True
    for state in AWAY:
        wrong += await shown(state, windows, place)
    place.gateway.away = False
    tell(place, user)
    why = State("why", "In short", (), f"/why/{charted.an_order(user).id}")
    for state in (*FULL, why):
        wrong += await shown(state, windows, place)
        size = await scripts(windows["phone"].page)
        wrong += [f"{state.name}: {size} bytes of scripts"] if size > MOST_SCRIPT else []

    page = windows["desktop"].page
    await windows["desktop"].theme("light")
    await follows_the_market(page, place)
    await leads_from_a_mark_to_its_why(page, place, windows["desktop"])
    said = [said for each in windows.values() for said in each.said]
    wrong += [each for each in said if "/why/" not in each and "503" not in each]  # as arranged
    await forget([*windows.values()], place)
    assert "\n".join(wrong) == ""


async def follows_the_market(page: Page, place: Place) -> None:
    """A bar that closes, and a price, are there without anybody's doing."""
    await page.goto(f"{place.url}/chart?instrument={INSTRUMENT}&timeframe=1m")
    await settled(page)
    chart = page.get_by_role("application")
    await expect(chart).to_have_accessible_name(bars_in_words(charted.BARS))
    place.gate.tell(charted.a_bar(charted.BARS), charted.a_row(charted.BARS))
    await expect(chart).to_have_accessible_name(bars_in_words(charted.BARS + 1))
    moment = charted.minute(charted.BARS + 1) + 5_000_000_000
    place.gate.tell_prices(some_ticks((RELIANCE, moment, 151_515)))
    await expect(page.get_by_text("1,515.15", exact=True)).to_be_visible()


def bars_in_words(count: int) -> re.Pattern[str]:
    return re.compile(f"^RELIANCE, {count} bars")


async def leads_from_a_mark_to_its_why(page: Page, place: Place, window: Window) -> None:
    """By keyboard alone: to the last bar that something happened in, and on to the story."""
    chart = page.get_by_role("application")
    await chart.focus()
    await page.keyboard.press("Home")
    for _ in range(charted.ENTERED):
        await page.keyboard.press("ArrowRight")
    await expect(page.locator("[aria-live=polite]")).to_contain_text("Bought 10 at")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("It filled your order of this decision.")).to_be_visible()
    await window.shoot("states/chart-picked-desktop-light")
    await page.get_by_role("link", name="Why, step by step").and_(page.locator(":visible")).click()
    await expect(page.get_by_role("heading", name="Why RELIANCE")).to_be_visible()
