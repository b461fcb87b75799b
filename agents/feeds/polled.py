"""News of several sources that are polled beside the decisions (`agents.news.NewsSource`).

A question is answered from memory. A source that is slow, away or broken delays nobody: what it
said last counts until it has been silent for too long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import httpx
import structlog

from agents.feeds.config import Feed, NewsConfig
from agents.feeds.documents import read_document
from agents.feeds.fetch import Resolve, fetch, open_feed_client, resolved
from agents.feeds.folder import WatchedFolder
from agents.feeds.items import Item
from agents.feeds.matching import Names
from agents.feeds.shelf import Shelf
from agents.news import Headline
from schemas.errors import AtsError, Misconfigured, TryLater, Unreadable
from schemas.inputs import Answered, SourceAnswer
from schemas.text import clean
from schemas.units import UtcNs

log = structlog.get_logger(__name__)

FIRST_WITHIN: Final = 5.0  # seconds that the first question waits for every source's first answer
NAMES_AGAIN: Final = 300.0  # seconds, when the master did not come
NAMES_EVERY: Final = 86_400.0  # seconds; Dhan publishes a master a day
MOST_PATIENCE: Final = 16  # a source that fails is asked less and less often, up to this factor
_DETAIL: Final = 200  # characters of why a source did not answer

LoadShares = Callable[[], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a source brought: items, and what of it could not be read."""

    items: Sequence[Item]
    wrong: str = ""


class Looked(Protocol):
    """Something that can be looked at again and again."""

    async def look(self) -> Look:
        """What is there now; what was there before may be left out.

        Raises:
            TryLater, Unreadable: nothing, and why.
        """
        ...

    def forget(self) -> None:
        """Bring everything again at the next look."""
        ...


@dataclass(slots=True)
class FeedLooked:
    """A feed behind HTTP."""

    feed: Feed
    http: httpx.AsyncClient
    resolve: Resolve = resolved
    _version: tuple[tuple[str, str], ...] = ()

    async def look(self) -> Look:
        document = await fetch(self.http, self.feed, self._version, resolve=self.resolve)
        if document.body is None:
            return Look(())
        # in a thread: a long document takes a second
        items = await asyncio.to_thread(read_document, document.body, document.charset)
        self._version = document.version
        return Look(items)

    def forget(self) -> None:
        self._version = ()


@dataclass(slots=True)
class FolderLooked:
    """A folder of files."""

    folder: WatchedFolder

    async def look(self) -> Look:
        items, wrong = await asyncio.to_thread(self.folder.changed)
        return Look(items, "; ".join(wrong))

    def forget(self) -> None:
        self.folder.forget()


@dataclass(slots=True)
class _State:
    """How a source is. Moments in UTC ns of the machine."""

    outcome: Answered = Answered.AWAY
    detail: str = "not asked yet"
    answered_at: UtcNs | None = None
    failures: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)


class PolledNews:
    """Headlines of all sources of a configuration."""

    def __init__(
        self,
        config: NewsConfig,
        sources: Mapping[str, Looked],
        *,
        wall: Callable[[], int] = time.time_ns,
        first_within: float = FIRST_WITHIN,
    ) -> None:
        self._config = config
        self._sources = sources
        self._wall = wall
        self._first_within = first_within
        self._names = Names({}, config.aliases, config.ignore)
        self._shelf = Shelf(self._names, UtcNs.minutes(60 * config.max_age_hours))
        self._states = {name: _State() for name in sources}
        self._waited = False

    @property
    def config(self) -> NewsConfig:
        """What it was made from."""
        return self._config

    async def headlines(self, symbol: str, as_of: UtcNs) -> Sequence[Headline]:
        """What was published and seen by `as_of`; asks nobody.

        Raises:
            TryLater: no source has answered for `stale_minutes`.
        """
        if not self._waited:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._first_within):
                    await asyncio.gather(*(each.looked.wait() for each in self._states.values()))
            self._waited = True
        if not any(self._is_fresh(state) for state in self._states.values()):
            told = "; ".join(f"{name}: {state.detail}" for name, state in self._states.items())
            minutes = self._config.stale_minutes
            raise TryLater(f"no source of news answered in the last {minutes} minutes: {told}")
        return self._shelf.of(symbol, as_of)

    def sources(self, symbol: str, as_of: UtcNs) -> tuple[SourceAnswer, ...]:
        """How each source is, and how many headlines on `symbol` it had first."""
        seen = [each.source for each in self._shelf.of(symbol, as_of)]
        return tuple(
            SourceAnswer(
                name=name,
                outcome=state.outcome,
                answered_at=state.answered_at,
                headlines=seen.count(name),
                detail=state.detail,
            )
            for name, state in self._states.items()
        )

    async def keep(self, shares: LoadShares) -> None:
        """Look at every source, for ever; `shares` gives names by symbol, again every day."""
        async with asyncio.TaskGroup() as group:
            await self._renamed(shares)
            group.create_task(self._keep_names(shares))
            for name in self._sources:
                group.create_task(self._keep_looking(name))

    async def look(self, name: str) -> None:
        """Look at one source, once; whatever comes of it is noted."""
        state, first = self._states[name], self._states[name].answered_at is None
        try:
            look = await self._sources[name].look()
        except TryLater as error:
            self._failed(name, Answered.AWAY, str(error))
        except Unreadable as error:
            self._failed(name, Answered.UNREADABLE, str(error))
        except Exception as error:
            # what a stranger sends must not end the process that decides
            log.exception("news_source_broke", source=name)
            self._failed(name, Answered.UNREADABLE, f"reading it raised {type(error).__name__}")
        else:
            now = UtcNs(self._wall())
            self._shelf.put(name, look.items, now, first=first)
            if state.failures:
                log.info("news_source_is_back", source=name)
            state.outcome, state.answered_at, state.failures = Answered.OK, now, 0
            state.detail = clean(look.wrong, _DETAIL)
            if look.wrong:
                log.warning("news_file_unreadable", source=name, reason=state.detail)
        finally:
            state.looked.set()

    def _failed(self, name: str, outcome: Answered, why: str) -> None:
        # names of files and words of servers: what cannot be written down would stop every decision
        state, said = self._states[name], clean(why, _DETAIL)
        if said != state.detail:
            log.warning("news_source_failed", source=name, reason=said)
        state.outcome, state.detail = outcome, said
        state.failures += 1

    async def _keep_looking(self, name: str) -> None:
        while True:
            await self.look(name)
            patience = min(2 ** self._states[name].failures, MOST_PATIENCE)
            await asyncio.sleep(self._config.poll_seconds * patience)

    async def _keep_names(self, shares: LoadShares) -> None:
        known = bool(self._names.shares)
        while True:
            await asyncio.sleep(NAMES_EVERY if known else NAMES_AGAIN)
            known = await self._renamed(shares)

    async def _renamed(self, shares: LoadShares) -> bool:
        try:
            names = self._names.with_shares(await shares())
        except (AtsError, OSError) as error:
            log.warning("names_of_shares_not_read", reason=str(error)[:_DETAIL])
            return False
        self._names = names
        self._shelf.rename(names)
        for source in self._sources.values():
            source.forget()
        return True

    def _is_fresh(self, state: _State) -> bool:
        limit = UtcNs.minutes(self._config.stale_minutes)
        return state.answered_at is not None and self._wall() - state.answered_at <= limit


def polled_news(config: NewsConfig, *, real_money: bool) -> PolledNews:
    """The sources of `config`, unasked as yet.

    Raises:
        Misconfigured: real money, and a feed that may stand on this machine, such as a simulator's.
    """
    inner = [name for name, feed in config.feeds.items() if feed.internal]
    if real_money and inner:
        raise Misconfigured(
            f"feeds {', '.join(inner)} are `internal`, and real money takes no news from this "
            "network, where a simulator may invent it: take them out, or give a watched folder"
        )
    http = open_feed_client()
    sources: dict[str, Looked] = {
        name: FeedLooked(feed, http) for name, feed in config.feeds.items()
    }
    sources |= {
        name: FolderLooked(WatchedFolder(each.path)) for name, each in config.folders.items()
    }
    return PolledNews(config, sources)
