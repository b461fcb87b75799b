"""A person's whole way, in a real browser: from an empty database to an order, and out again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="no playwright; `make test-web` brings it")

from playwright.async_api import expect

from ats.embedded.postgres import EmbeddedPostgres
from tests.database.fixtures import own_stack
from tests.simulator.factories import USER
from tests.web.browser.leaks import LOGGED, built_files, leaks
from tests.web.browser.people import Keyboard, Person, Pointer, Visit
from tests.web.browser.place import Place, opened
from tests.web.browser.trading import Trading, trading_at
from tests.web.browser.window import Chromium, Size, Window, chromium_at
from tests.web.conftest import APP_SECRET

# Kafka and the order workers are started once; each person then finds a database that knows nobody.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trading(
    program: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Trading]:
    home = tmp_path_factory.mktemp("way")
    async with (
        own_stack(postgres, f"way_{uuid4().hex[:8]}") as stack,
        opened(stack, home / "logs") as place,
        trading_at(place, home) as trading,
    ):
        yield trading


@pytest_asyncio.fixture(loop_scope="module")
async def chromium(program: Path) -> AsyncIterator[Chromium]:
    async with chromium_at(program) as started:
        yield started


@pytest.mark.parametrize(
    ("size", "hands"), [("desktop", "pointer"), ("phone", "pointer"), ("desktop", "keyboard")]
)
async def test_a_person_connects_trades_stops_and_leaves_and_no_secret_was_anywhere(
    trading: Trading, chromium: Chromium, size: Size, hands: str
) -> None:
    place = trading.place
    await place.empty()
    placed_before = len(trading.orders())
    window = await chromium.window(size)
    person: Person = Pointer() if hands == "pointer" else Keyboard(window)
    visit = Visit(window, place.url, person)
    seen = Seen(place, window, f"{size}-{hands}")

    await visit.sign_up()
    await seen.look("signed up")
    await visit.connect()
    (token,) = await place.stored_tokens()
    await seen.look("connected")

    await visit.go_to("Today")
    await visit.ask_to_start()
    await expect(visit.question).to_contain_text("Paper mode.")
    await expect(visit.question).to_contain_text(
        "at most ₹50,000, and there are at most 40 orders a day"
    )
    await seen.look("asked")
    await visit.start_trading()
    await trading.knows_of(active=True)
    decision = await trading.decide(
        "Both analysts agree: the price crossed its average on rising volume."
    )
    await expect(visit.orders).to_have_count(1)
    await expect(visit.orders).to_contain_text(f"{decision.action} {decision.symbol}")
    (order,) = trading.orders()[placed_before:]
    await expect(visit.orders).to_contain_text(
        f"Waits at the exchange: 0 of {int(order.request.quantity)} filled"
    )
    await seen.look("traded")

    await visit.stop_trading()
    await trading.knows_of(active=False)
    await trading.decide("A decision that nobody follows.")
    await trading.nothing_is_left()
    async with visit.page.expect_response("**/api/account"):  # the page has asked again since
        pass
    await expect(visit.orders).to_have_count(1)
    assert trading.orders()[placed_before:] == [order]
    await seen.look("switched off")
    await visit.go_to("History")
    await expect(visit.followed).to_have_count(1)
    await expect(visit.followed).to_contain_text(decision.reasoning)
    await expect(visit.followed).to_contain_text(f"Accepted by the broker, order {order.order_id}")
    await seen.look("looked back")

    await visit.go_to("Account")
    await visit.disconnect()
    assert await place.stored_tokens() == []
    await seen.look("disconnected")
    await visit.sign_out()
    await seen.look("signed out")

    # the browser had nothing to complain of
    assert [said for said in window.said if place.url in said] == []
    all_of_it = await everything(seen, trading)
    assert leaks(secrets(place, token), all_of_it) == []
    # the same search, for what was said
    open_to_all = leaks({"the order": order.order_id}, all_of_it)
    assert {
        "the order in the answer to /api/account",
        "the order in the answer to /api/gateway/stream",
        "the order in a message of ats.executions",
    } <= set(open_to_all)
    assert order.request.client_id == USER.client_id


class Seen:
    """What was seen on the way, with a picture of each step."""

    def __init__(self, place: Place, window: Window, run: str) -> None:
        self.place, self.window, self.run = place, window, run
        self.steps: list[tuple[str, str]] = []

    async def look(self, step: str) -> None:
        await self.window.shoot(f"way/{self.run}-{len(self.steps) + 1}-{step.replace(' ', '-')}")
        self.steps.append((f"the browser when {step}", await self.window.holds()))


def secrets(place: Place, token: str) -> dict[str, str]:
    return {
        "the token": token,
        "the app secret": APP_SECRET,
        "the database key": place.stack.secret_key,
    }


async def everything(seen: Seen, trading: Trading) -> list[tuple[str, str]]:
    """All of the run but what Dhan itself says and logs: each answer, each page, each log, each
    message, each file.
    """
    answers = [
        (f"the answer to {one.path}", f"{one.headers} {one.body}") for one in seen.place.front.heard
    ]
    asked = [("a request of the browser", one) for one in seen.window.asked]
    logs = [(name, (seen.place.logs / name).read_text()) for name in LOGGED]
    messages = [
        (f"a message of {one.topic}", f"{one.key!r} {one.value!r} {one.headers}")
        for one in await trading.records()
    ]
    built = built_files()
    assert all((answers, asked, messages, built, *(text for _, text in logs)))
    return [*answers, *asked, *seen.steps, *logs, *messages, *built]
