"""Two people who do the same: one points and clicks, one has nothing but a keyboard."""

from __future__ import annotations

import re
from typing import Protocol

from playwright.async_api import Locator, expect

from tests.database.fixtures import PASSWORD
from tests.simulator.factories import USER
from tests.web.browser.window import Window

EMAIL = "asha@example.test"
# ms: an order worker reports every 15 s, the page asks after it, and until then the switch is off
PATIENCE = 30_000


class Person(Protocol):
    """How somebody works a page."""

    async def press(self, control: Locator) -> None:
        """Make a button or a link do what it does."""

    async def write(self, field: Locator, text: str) -> None: ...


class Pointer:
    """Somebody with a mouse, or a finger."""

    async def press(self, control: Locator) -> None:
        await control.click()

    async def write(self, field: Locator, text: str) -> None:
        await field.fill(text)


class Keyboard:
    """Somebody who goes from control to control with Tab, sees where they are, and presses Space or
    Enter.
    """

    MOST_STOPS = 40  # more than any page has

    def __init__(self, window: Window) -> None:
        self._page = window.page

    async def press(self, control: Locator) -> None:
        await self._go_to(control)
        button = await control.evaluate("element => element.tagName === 'BUTTON'")
        await self._page.keyboard.press("Space" if button else "Enter")

    async def write(self, field: Locator, text: str) -> None:
        await self._go_to(field)
        await self._page.keyboard.type(text)

    async def _go_to(self, control: Locator) -> None:
        await expect(control).to_be_enabled(timeout=PATIENCE)
        for _ in range(self.MOST_STOPS):
            if await control.evaluate("element => element === document.activeElement"):
                await self._see_it(control)
                return
            await self._page.keyboard.press("Tab")
        raise AssertionError(f"Tab never came to {control}")

    @staticmethod
    async def _see_it(control: Locator) -> None:
        """The ring around the focused control: there, thick enough, inside the window."""
        await expect(control).to_be_in_viewport()
        style, width = await control.evaluate(
            "element => { const s = getComputedStyle(element); return [s.outlineStyle, "
            "parseFloat(s.outlineWidth)] }"
        )
        assert style != "none", f"{control} shows no focus"
        assert width >= 1, f"{control} shows no focus"


class Visit:
    """The way through the application, step by step, each ending with what a person then sees."""

    def __init__(self, window: Window, url: str, person: Person) -> None:
        self.window, self.page, self.url, self.person = window, window.page, url, person

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def switch(self) -> Locator:
        return self.page.get_by_role("switch", name="Trading")

    @property
    def question(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def orders(self) -> Locator:
        """Of the day, live."""
        return self.page.get_by_role("region", name="Orders of the day").get_by_role("listitem")

    @property
    def followed(self) -> Locator:
        """What was made of each decision, on the page of the days before."""
        return self.page.get_by_role("region", name="Your orders").get_by_role("listitem")

    async def go_to(self, page: str) -> None:
        """By the way around that every page has."""
        await self.person.press(
            self.page.get_by_role("navigation").get_by_role("link", name=page, exact=True)
        )
        heading = "Your account" if page == "Account" else page
        await expect(self.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()

    async def sign_up(self) -> None:
        await self.page.goto(self.url)
        await self.person.press(self.page.get_by_role("link", name="Create an account"))
        await expect(self.page.get_by_role("heading", name="Create an account")).to_be_visible()
        await self.person.write(self.page.get_by_label("Email"), EMAIL)
        await self.person.write(self.page.get_by_label("Password"), PASSWORD)
        await self.person.press(self.button("Create account"))
        await expect(self.page.get_by_role("heading", name="Your account")).to_be_visible()

    async def ask_to_connect(self) -> None:
        """As far as Dhan's own page, which is the simulator's."""
        await self.person.write(self.page.get_by_label("Dhan client id"), USER.client_id)
        await self.person.press(self.button("Connect"))
        await expect(self.page).to_have_title("Simulated Dhan login")

    async def connect(self) -> None:
        await self.ask_to_connect()
        await self.person.press(self.button("Log in and allow"))
        await expect(self.page).to_have_url(re.compile(re.escape(self.url)))
        await expect(self.page.get_by_text(f"Connected as {USER.client_id}")).to_be_visible()

    async def ask_to_start(self) -> None:
        """On the page of the day."""
        await expect(self.switch).to_be_enabled(timeout=PATIENCE)
        await expect(self.switch).not_to_be_checked()
        await self.person.press(self.switch)
        await expect(self.question).to_be_visible()

    async def start_trading(self) -> None:
        await self.person.press(self.question.get_by_role("button", name="Start trading"))
        await expect(self.switch).to_be_checked()
        # who uses a keyboard goes on from where they were
        await expect(self.switch).to_be_focused()

    async def stop_trading(self) -> None:
        await self.person.press(self.switch)
        await expect(self.switch).not_to_be_checked()

    async def disconnect(self) -> None:
        await self.person.press(self.button("Disconnect and delete the token"))
        await expect(self.page.get_by_text("Disconnected.")).to_be_visible()

    async def sign_out(self) -> None:
        await self.person.press(self.button("Sign out"))
        await expect(self.page.get_by_text("You are signed out.")).to_be_visible()
