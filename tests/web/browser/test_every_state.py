"""Every page in every state: it says what it is, nothing is wrong for a screen reader, nothing
moves, nothing sticks out.
"""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("playwright", reason="no playwright; `make test-web` brings it")

from playwright.async_api import expect

from tests.simulator.factories import USER
from tests.web.browser.days import an_order, busy
from tests.web.browser.people import Keyboard, Pointer, Visit
from tests.web.browser.place import Place
from tests.web.browser.states import (
    DAYS,
    STATES,
    TRADING,
    USED_UP,
    Arrange,
    State,
    connected,
    forget,
    limited,
    make,
    reported,
)
from tests.web.browser.window import SIZES, THEMES, Chromium, Size, Window
from tests.web.front import Answer

PARTS = 3  # of all states: on a busy machine a test would be over its time with all of them


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_state_has_its_words_and_axe_finds_nothing_wrong_at_any_size_in_any_theme(
    place: Place, chromium: Chromium, part: int
) -> None:
    windows = {size: await chromium.window(size) for size in SIZES}
    wrong: list[str] = []
    for state in (*STATES, *DAYS)[part::PARTS]:
        await make(state, [*windows.values()], place)
        for faults in await asyncio.gather(
            *(faults_of(state, size, window) for size, window in windows.items())
        ):
            wrong += faults
        await forget([*windows.values()], place)

    assert wrong == []


async def faults_of(state: State, size: Size, window: Window) -> list[str]:
    """What is wrong with a state as one window shows it. Keeps a picture of each theme."""
    await expect(window.page.locator("body")).to_contain_text(state.words)
    faults = []
    for theme in THEMES:
        await window.theme(theme)
        await window.shoot(f"states/{state.name}-{size}-{theme}")
        faults += await window.violations()
    faults += [f"moved: {moved}" for moved in await window.shifts()]
    if wider := await window.wider_than_the_window():
        faults.append(f"{wider} pixels too wide")
    return [f"{state.name}, {size}: {fault}" for fault in faults]


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_nothing_moves_while_a_person_trades_is_refused_and_loses_the_line(
    place: Place, chromium: Chromium, size: Size
) -> None:
    window = await chromium.window(size)
    await make(State("", "", (reported(), connected())), [window], place)
    visit = Visit(window, place.url, Pointer())
    before = await places_of_headings(window)

    await visit.ask_to_start()
    await visit.start_trading()
    after_start = await places_of_headings(window)
    ((user,),) = await place.sql("select id from auth.users")
    place.gate.tell(an_order(user))
    await expect(visit.orders).to_have_count(1)
    after_orders = await places_of_headings(window)
    place.front.instead = {"POST /api/account/switch": Answer(503, '{"problem": "database_away"}')}
    await visit.switch.click()
    await expect(window.page.get_by_text("Our database does not answer.")).to_be_visible()
    await expect(visit.switch).to_be_checked()  # what the database says, not what was clicked
    after_refusal = await places_of_headings(window)
    await window.shoot(f"states/switch-refused-{size}-light")
    await visit.button("Dismiss").click()
    await expect(visit.button("Dismiss")).to_have_count(0)
    place.front.away = True
    await come_back(window)
    await expect(window.page.get_by_text("This application does not answer.")).to_be_visible()
    after_loss = await places_of_headings(window)
    place.front.away, place.front.instead = False, {}
    await come_back(window)
    await expect(window.page.get_by_text("This application does not answer.")).to_have_count(0)
    await visit.stop_trading()

    assert (
        before
        == after_start
        == after_orders
        == after_refusal
        == after_loss
        == await places_of_headings(window)
    )


async def test_orders_stay_in_sight_whatever_was_denied_after_them_and_denials_open(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window()
    await make(State("", "", (*TRADING, *USED_UP), "/history"), [window], place)
    visit = Visit(window, place.url, Pointer())
    rows = visit.followed
    used_up, stale, newest_order = rows.nth(0), rows.nth(1), rows.nth(2)

    await expect(rows).to_have_count(42)
    await expect(used_up).to_contain_text("34 decisions not followed")
    await expect(used_up).to_contain_text("20 Nov, 11:14 IST")
    await expect(used_up).to_contain_text("Your orders of the day were used up.")
    await expect(stale).to_contain_text("3 decisions not followed")
    await expect(newest_order).to_contain_text("BUY RELIANCE")
    await expect(newest_order).to_contain_text("20 Nov, 10:39 IST")

    await Keyboard(window).press(used_up.locator("summary"))

    await expect(used_up.get_by_role("listitem")).to_have_count(10)
    await expect(used_up.get_by_role("listitem").first).to_contain_text("11:14")
    assert await window.violations() == []
    await window.shoot("states/denials-open-desktop-light")


@pytest.mark.parametrize(
    ("arranged", "words"),
    [
        ((reported(halted="outside_session"), connected(on=True)), "the market is closed"),
        ((reported(halted="kill_switch"), connected(on=True)), "has stopped all trading"),
        ((reported(halted="feed_dead"), connected(on=True)), "no market data comes in"),
        (
            (reported(halted="of_tomorrow"), connected(on=True)),
            "all trading is halted (of_tomorrow)",
        ),
        ((reported(age="5 min"), connected(on=True)), "no order worker is running"),
        ((reported("self", "1100000099"), connected(on=True)), "does not trade your account"),
        ((*TRADING, *USED_UP), "the day's 40 orders are used up"),
    ],
)
async def test_nobody_reads_that_their_account_follows_the_decisions_while_it_does_not(
    place: Place, chromium: Chromium, arranged: tuple[Arrange, ...], words: str
) -> None:
    window = await chromium.window()
    await make(State("", "", arranged), [window], place)

    line = window.page.locator("#trading-state")
    await expect(line).to_contain_text("On, but")
    await expect(line).to_contain_text(words)
    await expect(window.page.get_by_text("follows the decisions")).to_have_count(0)


async def test_the_question_says_what_trading_risks_and_what_it_can_add_up_to(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window()
    await make(State("", "", (reported(), connected()), asking=True), [window], place)
    visit = Visit(window, place.url, Pointer())
    question = visit.question

    for words in (
        "That makes ₹20,00,000 a day at most.",
        "Each position gets a stop-loss order.",
        "ATS also sells short",
        "ATS closes its positions before the end of the day",
    ):
        await expect(question).to_contain_text(words)
    await expect(question).not_to_contain_text("Dhan itself closes")
    await visit.button("Cancel").click()
    await make_live(place)
    await come_back(window)
    await expect(window.page.get_by_role("heading", name="Today’s checks")).to_be_visible()
    await window.page.get_by_role("switch").click()

    await expect(question).to_contain_text("those you bought by hand too")
    await expect(question).to_contain_text("it does not sell short")


async def test_a_limit_is_tightened_and_widened_up_to_the_ceiling_from_the_keyboard(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window("phone")
    arranged = (reported(), connected(), limited(max_daily_loss_paise=20_000_000))
    await make(State("", "", arranged, "/account"), [window], place)
    page, keys = window.page, Keyboard(window)
    row = page.get_by_role("listitem").filter(has_text="Loss of a day")

    await keys.press(row.locator("summary"))
    await expect(row.get_by_text("those you bought by hand too")).to_be_visible()
    await row.get_by_label("At most").fill("2,00,001")
    await keys.press(row.get_by_role("button", name="Widen"))
    await expect(row.get_by_role("alert")).to_have_text(
        "Loss of a day: up to ₹2,00,000, set by the operator."
    )
    assert await window.violations() == []
    await window.shoot("states/limits-refused-phone-light")
    await row.get_by_label("At most").fill("1500.50")
    await keys.press(row.get_by_role("button", name="Tighten"))
    await expect(row.locator("summary")).to_contain_text("at most ₹1,500.50")
    await expect(row.locator("summary")).to_be_focused()
    await row.get_by_label("At most").fill("150000")
    await keys.press(row.get_by_role("button", name="Widen"))
    line = row.get_by_text("at most ₹1,500.50 now, at most ₹1,50,000 from then on.")
    await expect(line).to_be_focused()
    assert await window.violations() == []
    await window.shoot("states/limits-question-phone-light")
    await keys.press(row.get_by_role("button", name="Widen to ₹1,50,000"))

    await expect(row.locator("summary")).to_contain_text("your choice; up to ₹2,00,000")
    await keys.press(page.get_by_text("Changes of your limits"))
    await expect(page.get_by_text("Loss of a day: ₹1,500.50 → ₹1,50,000")).to_be_visible()
    await keys.press(page.locator("summary").filter(has_text="Segments"))
    assert await window.violations() == []
    for theme in THEMES:
        await window.theme(theme)
        await window.shoot(f"states/limits-phone-{theme}")


async def come_back(window: Window) -> None:
    """Somebody looks at the page again."""
    await window.page.evaluate("window.dispatchEvent(new Event('focus'))")


async def make_live(place: Place) -> None:
    """The order workers of a moment later trade real money."""
    for (user,) in await place.sql("select id from auth.users"):
        await reported("self", USER.client_id)(place, user)


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_the_simulated_login_says_that_it_is_not_dhan_and_axe_finds_nothing_wrong(
    place: Place, chromium: Chromium, size: Size
) -> None:
    window = await chromium.window(size)
    await make(State("", "", (reported(),), "/account"), [window], place)
    visit = Visit(window, place.url, Pointer())

    await visit.ask_to_connect()

    await expect(window.page.get_by_role("banner")).to_have_text("Simulated: this is not Dhan")
    state = State("simulated-login", "Log in to Dhan")
    assert await faults_of(state, size, window) == []


async def test_nothing_moves_while_the_page_comes_tag_by_tag(
    place: Place, chromium: Chromium
) -> None:
    windows = [await chromium.window(size) for size in SIZES]
    place.front.dripping = True

    await make(State("", "", (*TRADING, busy())), windows, place)

    assert [await window.shifts() for window in windows] == [[], []]


async def places_of_headings(window: Window) -> list[tuple[str, float]]:
    """Where each part of the page stands, from the page's upper edge."""
    found: list[tuple[str, float]] = await window.page.evaluate(
        "[...document.querySelectorAll('h1, h2')].map((h) => [h.id, "
        "h.getBoundingClientRect().top + scrollY])"
    )
    return found


async def test_a_client_id_that_cannot_be_one_is_stopped_in_the_field(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window()
    await make(State("", "", (), "/account"), [window], place)
    field = window.page.get_by_label("Dhan client id")

    for typed in ("", "12ab", "123", "1" * 21, "11 22 33"):
        await field.fill(typed)
        await window.page.get_by_role("button", name="Connect", exact=True).click()

        assert await field.evaluate(
            "input => !input.checkValidity() && input === document.activeElement"
        ), typed
    assert [asked for asked in window.asked if "/api/dhan/auth" in asked] == []


async def test_axe_would_have_found_it(chromium: Chromium) -> None:
    window = await chromium.window()
    faults = "<h1 style='color: #999; background: #fff'>Pale</h1><img src='x'>"
    await window.page.set_content(
        f"<!doctype html><html lang='en'><title>Faulty</title><main>{faults}</main>"
    )

    assert {"color-contrast", "image-alt"} <= {
        found.split()[0] for found in await window.violations()
    }
