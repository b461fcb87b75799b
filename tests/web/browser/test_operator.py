"""The operator's console on a bad day: what is wrong comes first, a deed is kept, and nobody else
has such a page.
"""

from __future__ import annotations

import re
from typing import Final
from uuid import UUID

import pytest

pytest.importorskip("playwright", reason="no playwright; `make test-web` brings it")

from playwright.async_api import Locator, expect

from schemas.market import Action
from schemas.messages import DeadLetter, FeedState, Position, Preflight, Signal
from tests.executors.factories import RELIANCE, TEN_O_CLOCK, a_decision, some_ticks
from tests.gateway.filled import DAY, Marks, filled, rising
from tests.web.browser.approving import working
from tests.web.browser.days import busy, quiet
from tests.web.browser.people import Keyboard
from tests.web.browser.place import Place
from tests.web.browser.states import State, chosen, connected, limited, make, stopped
from tests.web.browser.test_chart_decisions_why import MOST_SCRIPT, scripts
from tests.web.browser.test_every_state import faults_of
from tests.web.browser.window import PATIENCE_MS, SIZES, THEMES, Chromium, Size, Window

UNTIL: Final = re.compile(r"Waits for the operator’s yes until \d\d:\d\d:\d\d IST")
# of a control, in its row's own list, however the window or the list is scrolled
PLACE: Final = "e => e.getBoundingClientRect().top - e.closest('ul').getBoundingClientRect().top"
OTHERS: Final = ("bimal@example.test", "chetan@example.test")


async def operates(place: Place, user: UUID) -> None:
    await place.sql("select add_operator($1, 'Asha', 'Bimal')", user)


async def bad_day(place: Place, user: UUID) -> None:
    """A mute feed, records that cannot be read, a position without a stop, a red morning."""
    await busy(FeedState.STALE)(place, user)
    for at, email in enumerate(OTHERS):
        other = await place.sql("insert into auth.users (email) values ($1) returning id", email)
        (id_,) = other[0]
        await place.sql(
            "insert into user_trading_keys (user_id, dhan_client_id, dhan_access_token, "
            "token_expiry, is_trading_enabled) values "
            "($1, $2, 'a-token-nobody-sees', now() + interval '5 h', true)",
            *(id_, f"110000007{at}"),
        )
        marks = Marks(email[:5], 10**6)
        held = filled(Position, marks, user_id=str(id_), net=10, resting_stop=10 * at)
        today = {"trading_date": DAY, "instrument": RELIANCE.id, "agrees": True}
        place.gate.tell(held.model_copy(update=today))
        look = filled(
            Preflight, marks, user_id=str(id_), green=bool(at), reds=[] if at else ["no_funds"]
        )
        place.gate.tell(look.model_copy(update={"trading_date": DAY}))
    place.gate.tell(
        filled(DeadLetter, Marks("d", 1), topic="ats.ticks", reason="torn in the middle")
    )


async def wrong(state: State, windows: dict[Size, Window], place: Place) -> list[str]:
    await make(state, [*windows.values()], place)
    faults = list[str]()
    for size, window in windows.items():
        faults += await faults_of(state, size, window)
    return faults


async def test_the_console_says_what_is_wrong_and_axe_finds_nothing_wrong_with_it(
    place: Place, chromium: Chromium
) -> None:
    windows = {size: await chromium.window(size) for size in SIZES}
    calm = State("operator-calm", "No feed was heard.", (operates,), "/operator")
    faults = await wrong(calm, windows, place)
    await place.empty()
    bad = State(
        "operator-bad-day",
        "without a stop for all of it",
        (operates, connected(on=True), bad_day, stopped),
        "/operator",
    )
    faults += await wrong(bad, windows, place)
    first = windows["desktop"].page.get_by_role("main").locator("section").first
    for words in ("Feed 1 is mute", "could not be read", "has a red preflight", "is halted"):
        await expect(first).to_contain_text(words)
    place.database.away = True
    window = windows["phone"]
    await told(window, "The database does not answer our gateway.")
    faults += await faults_of(
        State("operator-database-away", "stop at Dhan itself"), "phone", window
    )
    place.database.away, place.gateway.away = False, True
    await told(window, "our gateway does not answer")
    faults += await faults_of(State("operator-stale", "What you see is of"), "phone", window)

    assert faults == []


async def told(window: Window, words: str) -> None:
    """The page asks every three seconds."""
    region = window.page.get_by_role("region", name="What is wrong", exact=True)
    await expect(region.get_by_text(words)).to_be_visible(timeout=PATIENCE_MS)


async def test_every_page_has_its_name_in_full_and_the_console_is_as_light_as_the_others(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window("phone")
    await make(State("", "", (operates,), "/operator"), [window], place)

    pages = window.page.get_by_role("navigation")
    await expect(pages.get_by_role("link")).to_have_count(6)
    cut_off = await pages.evaluate(
        "nav => [nav, ...nav.children].filter(each => each.scrollWidth > each.clientWidth)"
        ".map(each => each.textContent)"
    )
    await expect(window.page.get_by_text("Nothing yet.")).to_be_visible(timeout=PATIENCE_MS)

    assert cut_off == []
    assert await scripts(window.page) <= MOST_SCRIPT


async def test_a_user_is_halted_from_the_keyboard_with_a_reason_that_stays_in_sight(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window("phone")
    await make(State("", "", (operates, connected(), bad_day), "/operator"), [window], place)
    page, keys = window.page, Keyboard(window)

    ((chetan,),) = await place.sql("select id from auth.users where email like 'chetan%'")
    await limited(max_orders_per_day=12, max_open_positions=4)(place, chetan)
    await chosen(max_orders_per_day=10)(place, chetan)
    await page.get_by_label("Find").fill("chetan")
    await keys.press(page.get_by_role("button", name="Act on chetan@example.test"))
    await keys.press(page.locator("summary").filter(has_text="Limits"))
    limits = page.get_by_role("table", name="Limits of the user")
    orders = limits.get_by_role("row", name="Orders a day").get_by_role("cell")
    await expect(orders).to_have_text(["12", "10", "10"])
    await expect(limits.get_by_role("row", name="Positions").get_by_role("cell")).to_have_text(
        ["4", "–", "4"]
    )
    await page.get_by_role("radio", name="Flatten").check()
    await keys.write(page.get_by_role("dialog").get_by_label("Why"), "mute feed")
    await window.shoot("states/operator-deed-phone-light")
    assert await window.violations() == []
    await keys.press(page.get_by_role("button", name="Flatten this user"))

    deeds = page.get_by_role("region", name="What operators did")
    await expect(deeds.get_by_text("Asha: mute feed")).to_be_visible(timeout=PATIENCE_MS)
    row = page.get_by_role("row", name="chetan")
    await expect(row.get_by_text("REDUCING")).to_be_visible(timeout=PATIENCE_MS)
    ((action, flatten),) = await place.sql(
        "select action, flatten from operator_actions, trading_halts"
    )
    assert (action, flatten) == ("flatten", True)


async def test_an_order_leaves_after_a_yes_from_the_keyboard_and_no_button_moves_meanwhile(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window("phone")
    await make(State("", "", (operates, quiet(), connected(on=True)), "/operator"), [window], place)
    asking = await ask_before_anything_is_entered(window)
    trader = await window.page.context.new_page()
    await trader.goto(f"{place.url}/today")
    orders = trader.get_by_role("region", name="Orders of the day").get_by_role("listitem")
    async with working(place) as worker:
        place.gate.tell_prices(some_ticks((RELIANCE, TEN_O_CLOCK, 151_250)))
        await worker.decide()
        await worker.decide(action=Action.SELL)
        await expect(asking.get_by_role("timer")).to_have_count(2, timeout=PATIENCE_MS)
        await expect(orders).to_have_text([UNTIL, UNTIL])
        assert await pictures(window, "approvals") == []
        next_row = asking.get_by_role("button", name="Approve SELL")
        before = await next_row.evaluate(PLACE)

        await Keyboard(window).press(asking.get_by_role("button", name="Approve BUY"))

        answered = asking.get_by_role("listitem").first
        await expect(answered).to_contain_text("approved by Asha at", timeout=PATIENCE_MS)
        assert await next_row.evaluate(PLACE) == before
        await expect(answered).to_contain_text("Volume confirms the break")
        await expect(orders.filter(has_text="On its way.")).to_contain_text("BUY RELIANCE")
        await expect(orders.filter(has_text=UNTIL)).to_contain_text("SELL RELIANCE")
        assert await pictures(window, "approvals-answered") == []


async def test_a_second_operator_is_told_that_another_was_first(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window("desktop")
    await make(State("", "", (operates, quiet()), "/operator"), [window], place)
    page = window.page
    asking = await ask_before_anything_is_entered(window)
    async with working(place) as worker:
        decision = await worker.decide()
        await expect(asking.get_by_role("timer")).to_have_count(1, timeout=PATIENCE_MS)
        assert await pictures(window, "approvals") == []
        await page.route("**/operator/console", lambda route: route.abort())  # it learns no more

        await place.sql("select answer_approval($1, false, 'Bimal')", decision.id)
        await asking.get_by_role("button", name="Approve BUY").click()

        told = page.get_by_text("Another operator answered first. Their answer stands.")
        await expect(told).to_be_visible()
        await page.unroute("**/operator/console")
        await expect(asking).to_contain_text("The last one: BUY RELIANCE, refused by Bimal at")


async def ask_before_anything_is_entered(window: Window) -> Locator:
    """The part of the console with what waits."""
    page, keys = window.page, Keyboard(window)
    asking = page.get_by_role("region", name="Waiting for a yes")
    await keys.press(asking.get_by_role("button", name="Ask before anything is entered"))
    await page.get_by_label("Seconds to answer").fill("300")
    await keys.write(page.get_by_label("Why", exact=True), "expiry day")
    await keys.press(page.get_by_role("button", name="Ask from now on"))
    await expect(asking).to_contain_text("by Asha: expiry day")
    await expect(asking.get_by_role("button", name="Ask no more")).to_be_visible()
    return asking


async def pictures(window: Window, name: str) -> list[str]:
    """One of each theme; what axe finds."""
    found, size = [], "phone" if await window.page.evaluate("innerWidth < 640") else "desktop"
    for theme in THEMES:
        await window.theme(theme)
        await window.shoot(f"states/{name}-{size}-{theme}")
        found += await window.violations()
    return found


async def test_the_days_score_card_is_shown_when_it_is_asked_for(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window("phone")
    await make(State("", "", (operates, quiet()), "/operator"), [window], place)
    decision = a_decision()
    signal = filled(Signal, Marks("s", 10**6), id=str(decision.signal_id))
    named = {"instrument": decision.instrument, "rule": "rsi_reversal"}
    place.gate.record.add(
        *(signal.model_copy(update=named), decision), *(rising(minute) for minute in range(20))
    )

    await Keyboard(window).press(window.page.get_by_role("button", name="Score the day"))

    card = window.page.get_by_role("region", name="Score card")
    await expect(card).to_contain_text("rsi_reversal", timeout=PATIENCE_MS)
    await expect(card).to_contain_text("Too few to say anything")
    assert await pictures(window, "scores") == []


async def test_who_operates_nothing_finds_no_link_and_no_page(
    place: Place, chromium: Chromium
) -> None:
    window = await chromium.window()
    await make(State("", "", ()), [window], place)
    ((user,),) = await place.sql("select id from auth.users")

    await expect(window.page.get_by_role("link", name="Operator")).to_have_count(0)
    answer = await window.page.goto(f"{place.url}/operator")
    refused = await window.page.request.post(
        f"{place.url}/api/operator/act",
        data={"deed": "halt", "user": None, "reason": "mine"},
        headers={"Origin": place.url},
    )
    approved = await window.page.request.post(
        f"{place.url}/api/operator/approve",
        data={"asked": "approvals_off", "decision": None, "seconds": None, "reason": "mine"},
        headers={"Origin": place.url},
    )
    await operates(place, user)
    await window.page.goto(f"{place.url}/today")

    assert answer
    assert (answer.status, refused.status, approved.status) == (404, 404, 404)
    assert await place.sql("select 1 from trading_halts") == []
    await expect(window.page.get_by_role("link", name="Operator")).to_be_visible()
