"""Which feeds and folders are read, and what else shares are called: a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import Misconfigured

MAX_SOURCES: Final = 32  # as many as a record of `ats.news` names
_MAX_FILE: Final = 1 << 20  # bytes


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL starting with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("must hold no name and password")
    return value


class Feed(_Section):
    """A document that is fetched again and again.

    Attributes:
        hosts: Hosts besides its own that it may redirect to.
        internal: It may stand on this machine or in its network. Never with real money.
    """

    url: Annotated[str, AfterValidator(_address), Field(max_length=2_000)]
    hosts: Annotated[tuple[str, ...], Field(max_length=8)] = ()
    internal: bool = False

    @property
    def host(self) -> str:
        """Its own, in lower case."""
        return urlsplit(self.url).hostname or ""


class Folder(_Section):
    """A folder whose files are read when they are new or have changed."""

    path: Path


Named = Annotated[str, Field(min_length=1, max_length=100)]
SourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}$")]


class NewsConfig(_Section):
    """The file.

    Attributes:
        poll_seconds: Between two looks at a source.
        stale_minutes: A source that has not answered for so long says nothing any more.
        max_age_hours: An older headline is no news.
        aliases: By symbol, what else a share is called, its number at BSE too.
        ignore: Phrases that hold a share's name and are about another.
    """

    poll_seconds: Annotated[int, Field(ge=10, le=3_600)] = 60
    stale_minutes: Annotated[int, Field(ge=1, le=1_440)] = 30
    max_age_hours: Annotated[int, Field(ge=1, le=168)] = 24
    feeds: dict[SourceName, Feed] = {}
    folders: dict[SourceName, Folder] = {}
    aliases: dict[Named, tuple[Named, ...]] = {}
    ignore: tuple[Named, ...] = ()


def read_config(path: Path) -> NewsConfig:
    """The file at `path`.

    Raises:
        Misconfigured: it is missing, no TOML, not of this shape, or names no source.
    """
    try:
        if path.stat().st_size > _MAX_FILE:
            raise Misconfigured(f"{path}: more than {_MAX_FILE:,} bytes")
        config = NewsConfig.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise Misconfigured(
            f"{path}: {error.strerror}; name an existing file in ATS_NEWS_FEEDS"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: no TOML: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Misconfigured(f"{path}: {where}: {first['msg']}; see news.example.toml") from None
    names = [*config.feeds, *config.folders]
    if not names:
        raise Misconfigured(f"{path}: it names neither a feed nor a folder; see news.example.toml")
    if len(names) > MAX_SOURCES or len(set(names)) < len(names):
        raise Misconfigured(f"{path}: at most {MAX_SOURCES} feeds and folders, each with its name")
    return config
