"""The story of an order as one HTML page: a chart and the sentences. Pure; it fetches nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from audit.amounts import rupees, span
from audit.sentences import Section, Sentence
from audit.story import Story
from schemas.market import Side
from schemas.messages import Candle, OrderIntent, Signal, Trade
from schemas.units import NS_PER_SECOND, UtcNs

WIDTH, HEIGHT, MARGIN = 900, 320, 70
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


@dataclass(frozen=True, slots=True)
class _Scale:
    """From bar and price to the picture's units."""

    bars: Sequence[Candle]
    low: int
    high: int

    def x(self, place: float) -> float:
        step = (WIDTH - 2 * MARGIN) / max(1, len(self.bars))
        return MARGIN + (place + 0.5) * step

    def y(self, price: int) -> float:
        share = (price - self.low) / max(1, self.high - self.low)
        return HEIGHT - 20 - share * (HEIGHT - 40)

    def place_of(self, moment: UtcNs) -> float | None:
        """Between the bars, where a moment of market time stands; None outside of the picture."""
        for place, bar in enumerate(self.bars):
            if bar.start <= moment <= bar.event_time:
                share = (moment - bar.start) / max(1, bar.event_time - bar.start)
                return place - 0.5 + share
        return None


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
    scale = _Scale(shown, min(prices), max(prices))
    parts = [_candle(scale, place, bar) for place, bar in enumerate(shown)]
    parts += [_level(scale, *line) for line in lines]
    parts += [_moment(scale, signals[0].event_time, "signal")]
    parts += [mark for trade in story.of(Trade) if (mark := _mark(scale, trade))]
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


def _candle(scale: _Scale, place: int, bar: Candle) -> str:
    colour = "#1e8e4e" if bar.close >= bar.open else "#c0392b"
    x, half = scale.x(place), (scale.x(1) - scale.x(0)) * 0.35
    top, bottom = scale.y(max(bar.open, bar.close)), scale.y(min(bar.open, bar.close))
    return (
        f'<path d="M{x:.1f} {scale.y(bar.high):.1f}V{scale.y(bar.low):.1f}" stroke="{colour}"/>'
        f'<rect x="{x - half:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
        f'height="{max(1.0, bottom - top):.1f}" fill="{colour}"/>'
    )


def _level(scale: _Scale, name: str, price: int, colour: str) -> str:
    y = scale.y(price)
    return (
        f'<path d="M{MARGIN} {y:.1f}H{WIDTH - MARGIN}" stroke="{colour}" stroke-dasharray="5 4"/>'
        f'<text x="{WIDTH - MARGIN + 4}" y="{y + 4:.1f}">{name}</text>'
        f'<text x="2" y="{y + 4:.1f}">{rupees(price)}</text>'
    )


def _moment(scale: _Scale, moment: UtcNs, name: str) -> str:
    place = scale.place_of(moment)
    if place is None:
        return ""
    x = scale.x(place)
    return (
        f'<path d="M{x:.1f} 20V{HEIGHT - 20}" stroke="#8a6d00" stroke-dasharray="2 3"/>'
        f'<text x="{x + 3:.1f}" y="{HEIGHT - 6}">{name}</text>'
    )


def _mark(scale: _Scale, trade: Trade) -> str:
    """A triangle at a fill: up where it bought."""
    fill = trade.fill
    place = scale.place_of(fill.traded_at or trade.event_time)
    if place is None:
        return ""
    x, y, up = scale.x(place), scale.y(fill.price), fill.side is Side.BUY
    corners = (
        [(x, y), (x - 6, y + 11), (x + 6, y + 11)]
        if up
        else [(x, y), (x - 6, y - 11), (x + 6, y - 11)]
    )
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in corners)
    what = f"{fill.side} {fill.quantity:,} at {rupees(fill.price)}"
    title = f"<title>{escape(what)}</title>"
    return f'<polygon points="{points}" fill="#111" stroke="#fff">{title}</polygon>'
