"""The story of an order as one HTML page: a chart and the sentences. Pure; it fetches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from audit.amounts import span
from audit.chart import HEIGHT, MARGIN, WIDTH, Scale, candle, level, mark, moment
from audit.sentences import Section, Sentence
from audit.story import Story
from schemas.messages import Candle, OrderIntent, Signal, Trade
from schemas.units import NS_PER_SECOND, UtcNs

BARS_BEFORE, BARS_AFTER = 40, 80  # of the signal's timeframe, around its bar

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2430;background:#fff}
svg{width:100%;height:auto;background:#f7f9fb;border-radius:6px}
h1{font-size:1.3rem} ol{padding-left:0;list-style:none}
li{margin:.6rem 0;padding-left:.8rem;border-left:3px solid #c9d3de}
b{display:inline-block;min-width:6rem;color:#1f5fa8} small{color:#6b7785}
ul{margin:.2rem 0 0;color:#3b4653}
ul li{margin:0;padding:0;border:0}
.in-short{border-color:#1f5fa8;font-weight:600} .in-short ul{font-weight:400}
ul li{overflow-wrap:anywhere;white-space:pre-wrap}
details{margin:.2rem 0;color:#3b4653} summary{cursor:pointer;color:#6b7785}
.missing{border-color:#d98a00} text{font:12px system-ui,sans-serif;fill:#3b4653}
@media(prefers-color-scheme:dark){body{color:#dde4ec;background:#12171e} svg{background:#1a212b}
b{color:#7db4f0} ul{color:#b8c3cf} text{fill:#b8c3cf} li{border-color:#344150}}
"""


def page(story: Story, told: Sequence[Sentence], bars: Iterable[Candle], title: str) -> str:
    """The whole page. What came from outside is escaped; it runs no script and asks no host."""
    return (
        "<!doctype html>\n<html lang=en><meta charset=utf-8>"
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<meta name=viewport content='width=device-width'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>\n{chart(story, bars)}\n<ol>\n"
        f"{''.join(_items(story, told))}</ol>\n</html>\n"
    )


def _items(story: Story, told: Sequence[Sentence]) -> Iterable[str]:
    began = began_at(told)
    for each in told:
        details = "".join(f"<li>{escape(line)}</li>" for line in each.details)
        more = f"<ul>{details}</ul>" if details else ""
        sections = "".join(map(_section, each.sections))
        yield (
            f'<li class="{escape(each.role.replace(" ", "-"))}"><b>{escape(each.role)}</b> '
            f"{escape(each.text)} <small>{escape(_where(each, began))}</small>{more}{sections}"
            "</li>\n"
        )
    for line in story.missing:
        yield f"<li class=missing><b>missing</b> {escape(line)}</li>\n"


def began_at(told: Sequence[Sentence]) -> UtcNs:
    """When the first of the story's own messages was written."""
    return next((each.record.published_at for each in told if each.record), UtcNs(0))


def _where(sentence: Sentence, began: UtcNs) -> str:
    if sentence.record is None:
        return sentence.place
    after = (sentence.record.published_at - began) / NS_PER_SECOND
    return f"{span(after)}, {sentence.place}"


def _section(section: Section) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in section.lines)
    return f"<details><summary>{escape(section.title)}</summary><ul>{lines}</ul></details>"


def around(signal: Signal, bars: Iterable[Candle]) -> list[Candle]:
    """The bars of the signal's instrument and timeframe next to it, each once, by time."""
    kind = (signal.instrument, signal.timeframe)
    once = {bar.start: bar for bar in bars if (bar.instrument, bar.timeframe) == kind}
    day = [once[start] for start in sorted(once)]
    before = [bar for bar in day if bar.event_time <= signal.event_time][-BARS_BEFORE:]
    return before + [bar for bar in day if bar.event_time > signal.event_time][:BARS_AFTER]


def chart(story: Story, bars: Iterable[Candle]) -> str:
    """An SVG of the bars around the signal, with limit, stop, target and trades; empty if none."""
    signals = story.of(Signal)
    shown = around(signals[0], bars) if signals else []
    if not shown:
        return ""
    lines = _lines(story.of(OrderIntent)[:1])
    prices = [int(price) for bar in shown for price in (bar.low, bar.high)]
    prices += [price for _, price, _ in lines]
    scale = Scale(shown, min(prices), max(prices))
    parts = [candle(scale, place, bar) for place, bar in enumerate(shown)]
    parts += [level(scale, *line) for line in lines]
    parts += [moment(scale, signals[0].event_time, "signal")]
    parts += [drawn for trade in story.of(Trade) if (drawn := mark(scale, trade))]
    first, last = shown[0].start, shown[-1].event_time
    label = f"{signals[0].timeframe} bars, {first.ist():%Y-%m-%d %H:%M} to {last.ist():%H:%M} IST"
    parts.append(f"<text x={MARGIN} y=14>{escape(label)}</text>")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role=img aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _lines(intents: Sequence[OrderIntent]) -> list[tuple[str, int, str]]:
    return [
        line
        for intent in intents
        for line in (
            ("limit", int(intent.price), "#1f5fa8"),
            ("stop", int(intent.stop), "#c0392b"),
            ("target", int(intent.target), "#1e8e4e"),
        )
    ]
