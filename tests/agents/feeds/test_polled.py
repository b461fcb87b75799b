"""News of several sources: what is shown, what is recorded, and that a sick one delays nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from agents.feeds.config import NewsConfig, read_config
from agents.feeds.fetch import open_feed_client
from agents.feeds.folder import WatchedFolder
from agents.feeds.items import Item
from agents.feeds.matching import Names
from agents.feeds.polled import FeedLooked, FolderLooked, Look, Looked, PolledNews, polled_news
from agents.feeds.shelf import Shelf
from agents.recorded_news import NewsCache, RecordedNews
from schemas.errors import Misconfigured, TryLater, Unreadable
from schemas.inputs import Answered, NewsAnswer
from schemas.units import UtcNs
from tests.agents.factories import AS_OF, a_signal
from tests.agents.feeds.publisher import Publisher, answer, at_home, silence
from tests.agents.feeds.shapes import NSE_CSV, NSE_JSON, rss

MINUTE = UtcNs.minutes(1)
BEFORE = UtcNs(AS_OF - 5 * MINUTE)
SHARES = {"RELIANCE": "Reliance Industries Ltd", "TCS": "Tata Consultancy Services", "ITC": "ITC"}
CONFIG = NewsConfig(stale_minutes=30)


def shelf(limit: int = 100) -> Shelf:
    return Shelf(Names(SHARES), UtcNs.minutes(24 * 60), limit)


def texts(on: Shelf, symbol: str = "RELIANCE", as_of: UtcNs = AS_OF) -> list[str]:
    return [each.text for each in on.of(symbol, as_of)]


def test_a_headline_that_was_published_before_a_signal_and_seen_after_it_is_not_shown() -> None:
    kept = shelf()

    kept.put("wire", [Item("RELIANCE wins", BEFORE)], UtcNs(AS_OF + 1))

    assert texts(kept) == []
    assert texts(kept, as_of=UtcNs(AS_OF + 1)) == ["RELIANCE wins"]


def test_a_headline_that_says_it_is_of_the_future_is_not_shown_before() -> None:
    kept = shelf()

    kept.put("wire", [Item("RELIANCE wins", UtcNs(AS_OF + MINUTE))], BEFORE)

    assert texts(kept) == []
    assert texts(kept, as_of=UtcNs(AS_OF + MINUTE)) == ["RELIANCE wins"]


def test_the_same_words_are_shown_once_as_they_were_first_seen() -> None:
    kept = shelf()
    kept.put("wire", [Item("RELIANCE wins: order!", BEFORE)], BEFORE)

    kept.put("paper", [Item("Reliance wins order", AS_OF, symbol="")], AS_OF)
    kept.put("paper", [Item("RELIANCE  wins, order", AS_OF)], AS_OF)

    (only,) = kept.of("RELIANCE", AS_OF)
    assert (only.source, only.published_at) == ("wire", BEFORE)


@pytest.mark.parametrize("misdated", [AS_OF + 10_000 * MINUTE, AS_OF - 2_000 * MINUTE])
def test_the_same_words_count_anew_where_the_first_are_old_or_dated_to_a_day_to_come(
    misdated: int,
) -> None:
    kept = shelf()
    kept.put("wrong", [Item("RELIANCE wins", UtcNs(misdated))], UtcNs(BEFORE - MINUTE))

    kept.put("wire", [Item("RELIANCE wins", BEFORE)], BEFORE)
    kept.put("wrong", [Item("RELIANCE wins", UtcNs(misdated))], BEFORE)

    assert [each.source for each in kept.of("RELIANCE", AS_OF)] == ["wire"]


def test_the_same_announcement_of_two_companies_is_of_both() -> None:
    kept = shelf()

    kept.put("nse", [Item("Updates", BEFORE, "TCS"), Item("Updates", BEFORE, "ITC")], BEFORE)

    assert (texts(kept, "TCS"), texts(kept, "ITC")) == (["Updates"], ["Updates"])


def test_a_headline_older_than_the_age_of_news_is_none() -> None:
    kept = shelf()

    kept.put("wire", [Item("RELIANCE wins", UtcNs(AS_OF - 24 * 60 * MINUTE - 1))], BEFORE)

    assert texts(kept) == []


def test_of_headlines_without_a_time_only_those_that_came_while_we_looked_are_shown() -> None:
    kept = shelf()
    kept.put("wire", [Item("RELIANCE old")], BEFORE, first=True)

    kept.put("wire", [Item("RELIANCE old"), Item("RELIANCE new")], BEFORE)

    assert texts(kept) == ["RELIANCE new"]


def test_a_full_shelf_forgets_what_was_offered_longest_ago() -> None:
    kept = shelf(limit=2)
    first, second, third = (Item(f"RELIANCE {n}", BEFORE) for n in "abc")

    for offered in ([first, second], [first], [third]):
        kept.put("wire", offered, BEFORE)

    assert texts(kept) == ["RELIANCE a", "RELIANCE c"]


class Given:
    """A source that brings what it is told to, or fails."""

    def __init__(self, *looks: Look | Exception) -> None:
        self.looks = list(looks)
        self.forgotten = 0

    async def look(self) -> Look:
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look

    def forget(self) -> None:
        self.forgotten += 1


class Silent(Given):
    async def look(self) -> Look:
        await asyncio.Event().wait()
        raise AssertionError


GOOD = Look((Item("RELIANCE wins", BEFORE),))


class Wall:
    def __init__(self) -> None:
        self.now = int(BEFORE)

    def __call__(self) -> int:
        return self.now


async def shares() -> Mapping[str, str]:
    return SHARES


def polled(wall: Wall, **sources: Given) -> PolledNews:
    news = PolledNews(CONFIG, sources, wall=wall, first_within=0.01)
    news._names = Names(SHARES)
    news._shelf.rename(news._names)
    return news


async def recorded(news: PolledNews) -> tuple[list[str], NewsAnswer]:
    written: list[NewsAnswer] = []

    async def publish(answer_: NewsAnswer) -> None:
        written.append(answer_)

    source = RecordedNews(news, NewsCache(), a_signal(), publish)
    try:
        found = [each.text for each in await source.headlines("RELIANCE", AS_OF)]
    except TryLater as error:
        found = [str(error)]
    return found, written[0]


async def test_what_each_source_answered_is_written_down_with_its_age() -> None:
    wall = Wall()
    news = polled(
        wall,
        wire=Given(GOOD, TryLater("HTTP 503")),
        paper=Given(Look(())),
        blog=Given(Unreadable("neither RSS nor Atom")),
        tv=Silent(),
    )
    for name in ("wire", "paper", "blog"):
        await news.look(name)
    wall.now += 3 * MINUTE
    await news.look("wire")

    found, answered = await recorded(news)

    assert found == ["RELIANCE wins"]
    told = [(s.name, s.outcome, s.answered_at, s.headlines, s.detail) for s in answered.sources]
    assert told == [
        ("wire", Answered.AWAY, BEFORE, 1, "HTTP 503"),
        ("paper", Answered.OK, BEFORE, 0, ""),
        ("blog", Answered.UNREADABLE, None, 0, "neither RSS nor Atom"),
        ("tv", Answered.AWAY, None, 0, "not asked yet"),
    ]


async def test_nobody_answering_for_long_is_a_failure_and_not_an_empty_answer() -> None:
    wall = Wall()
    news = polled(wall, wire=Given(GOOD, TryLater("HTTP 503")))
    await news.look("wire")
    wall.now += 31 * MINUTE
    await news.look("wire")

    (why,), answered = await recorded(news)

    assert why == "no source of news answered in the last 30 minutes: wire: HTTP 503"
    assert (answered.outcome, answered.sources[0].detail) == (Answered.AWAY, "HTTP 503")


async def test_a_source_that_breaks_our_reader_ends_nothing() -> None:
    news = polled(Wall(), wire=Given(ZeroDivisionError()))

    await news.look("wire")

    (source,) = news.sources("RELIANCE", AS_OF)
    assert (source.outcome, source.detail) == (
        Answered.UNREADABLE,
        "reading it raised ZeroDivisionError",
    )


async def test_names_that_come_late_make_every_source_bring_all_again() -> None:
    source = Given(GOOD, GOOD)
    news = PolledNews(CONFIG, {"wire": source}, wall=Wall())
    await news.look("wire")
    assert await news.headlines("RELIANCE", AS_OF) == []  # no master yet, hence no symbols

    await news._renamed(shares)
    await news.look("wire")

    assert source.forgotten == 1
    assert [each.text for each in await news.headlines("RELIANCE", AS_OF)] == ["RELIANCE wins"]


async def test_sources_are_polled_beside_each_other_and_a_silent_one_delays_nobody(
    tmp_path: Path,
) -> None:
    (tmp_path / "nse.json").write_text(NSE_JSON)
    async with open_feed_client() as http, Publisher() as publisher:
        publisher.routes = {"good": answer(rss("Reliance Industries wins")), "sick": silence}
        wall = Wall()
        sources: dict[str, Looked] = {
            "sick": FeedLooked(publisher.feed("sick"), http, at_home),
            "good": FeedLooked(publisher.feed("good"), http, at_home),
            "nse": FolderLooked(WatchedFolder(tmp_path)),
        }
        news = PolledNews(CONFIG, sources, wall=wall, first_within=0.0)
        keeping = asyncio.create_task(news.keep(shares))
        for name in ("good", "nse"):
            await news._states[name].looked.wait()

        found, answered = await recorded(news)

        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    assert [text[:28] for text in found] == [
        "Press Release: Reliance Indu",
        "Reliance Industries wins",
    ]
    assert [each.outcome for each in answered.sources] == [
        Answered.AWAY,
        Answered.OK,
        Answered.OK,
    ]


def test_a_folder_s_files_are_read_when_they_are_new_or_have_changed(tmp_path: Path) -> None:
    folder = WatchedFolder(tmp_path)
    (tmp_path / "a.csv").write_text(NSE_CSV)
    (tmp_path / "b.xml").write_text("<html/>")
    (tmp_path / "c.txt").write_text("not looked at")
    (tmp_path / "d.json.part").write_text("[")
    (tmp_path / "e.json").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "f.json")

    items, wrong = folder.changed()

    assert [item.symbol for item in items] == ["ITC"]
    assert wrong == ["b.xml: neither RSS nor Atom"]
    assert folder.changed() == ([], [])
    (tmp_path / "b.xml").write_text(rss("TCS up"))
    assert [item.text for item in folder.changed()[0]] == ["TCS up"]
    folder.forget()
    assert len(folder.changed()[0]) == 2


async def test_a_file_name_of_any_bytes_can_be_written_down(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"odd\xff\n.xml")).write_bytes(b"junk")
    os.mkfifo(tmp_path / "pipe.xml")
    (tmp_path / "loop.xml").symlink_to("loop.xml")
    news = PolledNews(CONFIG, {"folder": FolderLooked(WatchedFolder(tmp_path))})

    await news.look("folder")

    (source,) = news.sources("RELIANCE", AS_OF)
    assert source.outcome is Answered.OK
    assert source.detail.startswith("odd\ufffd .xml: ")


def test_a_folder_that_is_not_there_is_tried_again_later(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="No such file"):
        WatchedFolder(tmp_path / "no").changed()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        ("[feeds", "no TOML"),
        ("poll_seconds = 60", "neither a feed nor a folder"),
        ("[feeds.a]\nurl = 'ftp://x/y'", "feeds.a.url"),
        ("[feeds.a]\nurl = 'http://me:secret@x/y'", "no name and password"),
        ("[feeds.a]\nurl = 'http://x/y'\nhost = 'z'", "feeds.a.host"),
        ("[feeds.a]\nurl = 'http://x/y'\n[folders.a]\npath = '/x'", "each with its name"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_what_is_wrong(
    tmp_path: Path, content: str | None, why: str
) -> None:
    path = tmp_path / "news.toml"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misconfigured, match=why) as told:
        read_config(path)

    assert "secret" not in str(told.value)


def test_the_example_is_a_configuration() -> None:
    config = read_config(Path("news.example.toml"))

    assert polled_news(config, real_money=True).config.feeds.keys() == {
        "economic-times",
        "businessline",
    }


def test_real_money_takes_no_news_from_a_server_of_this_network() -> None:
    config = NewsConfig.model_validate(
        {"feeds": {"invented": {"url": "http://127.0.0.1:8790/news", "internal": True}}}
    )

    polled_news(config, real_money=False)
    with pytest.raises(Misconfigured, match=r"invented.*real money"):
        polled_news(config, real_money=True)
