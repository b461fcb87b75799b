from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.news import (
    MAX_CHARACTERS,
    MAX_HEADLINES,
    FileNews,
    Headline,
    NoNews,
    SampleNews,
    bounded,
)
from schemas.errors import Misconfigured
from schemas.units import UtcNs
from tests.agents.factories import AS_OF


def a_headline(text: str = "Good news", at: int = AS_OF) -> Headline:
    return Headline(published_at=UtcNs(at), source="wire", text=text)


def test_a_headline_of_the_future_is_not_shown() -> None:
    assert bounded([a_headline(at=AS_OF + 1), a_headline("known", AS_OF)], AS_OF) == (
        a_headline("known", AS_OF),
    )


@given(
    st.lists(
        st.builds(a_headline, st.text(max_size=600), st.integers(AS_OF - 10**12, AS_OF)),
        max_size=30,
    )
)
def test_headlines_are_few_short_printable_newest_first_and_independent_of_their_order(
    given: list[Headline],
) -> None:
    shown = bounded(given, AS_OF)

    assert len(shown) == min(len(given), MAX_HEADLINES)
    assert all(len(h.text) <= MAX_CHARACTERS and h.text.isprintable() for h in shown)
    assert [h.published_at for h in shown] == sorted((h.published_at for h in shown), reverse=True)
    assert bounded(given[::-1], AS_OF) == shown


async def test_sample_news_depends_on_symbol_and_day_alone() -> None:
    news = SampleNews()

    first = await news.headlines("RELIANCE", AS_OF)

    assert first == await news.headlines("RELIANCE", UtcNs(AS_OF + UtcNs.minutes(60)))
    assert all("RELIANCE" in headline.text and headline.source == "sample" for headline in first)
    assert (
        len(
            {
                tuple(h.text.replace(s, "") for h in await news.headlines(s, AS_OF))
                for s in "ABCDEFGH"
            }
        )
        > 1
    )
    assert bounded(first, AS_OF)


async def test_a_file_gives_the_headlines_of_its_symbols(tmp_path: Path) -> None:
    path = tmp_path / "news.json"
    path.write_text(
        f'{{"TCS": [{{"published_at": {int(AS_OF)}, "source": "wire", "text": "Good news"}}]}}'
    )

    news = FileNews.read(path)

    assert await news.headlines("TCS", AS_OF) == [a_headline()]
    assert await news.headlines("INFY", AS_OF) == ()
    assert await NoNews().headlines("TCS", AS_OF) == ()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"TCS": [{"text": "x"}]}', None], ids=["empty", "list", "short", "none"]
)
def test_a_news_file_that_cannot_be_used_is_named_with_the_remedy(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "news.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misconfigured, match=r"news\.json"):
        FileNews.read(path)
