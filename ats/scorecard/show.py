"""The card in the terminal, and as one JSON object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.scorecard.card import Card, Line, demotions, remarks
from audit.scorecard.intervals import METHOD, Estimate
from audit.scorecard.peers import RandomAgents
from audit.scorecard.prices import COLUMNS, JUDGED
from audit.scorecard.traded import Traded
from audit.scorecard.wording import days_in_words, estimate_words, percent, traded_words
from audit.shown import clean


def as_json(card: Card) -> str:
    """One object, as `as_dict` has it."""
    return clean(orjson.dumps(as_dict(card)).decode())


def as_dict(card: Card) -> dict[str, Any]:
    """Shares from 0 to 1, gains in basis points, money in paise."""
    return {
        "days": [each.isoformat() for each in card.days],
        "decisions": card.decisions,
        "unpriced": card.unpriced,
        "orphans": card.orphans,
        "acted": _line(card.acted),
        "sections": {each.title: [_line(one) for one in each.lines] for each in card.sections},
        "peers": [_line(each) for each in card.peers],
        "random": _random(card.random) if card.random else None,
        "reliability": [
            {
                "count": each.count,
                "confidence": each.confidence,
                "share": each.share,
                "low": each.low,
                "high": each.high,
            }
            for each in card.reliability
        ],
        "base_brier": card.base_brier,
        "traded": _traded(card.traded),
        "round_trip_bp": card.cost,
        "method": METHOD,
        "seed": card.seed,
        "demotions": demotions(card),
        "remarks": list(remarks(card)),
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "count": estimate.count,
    }


def _returns(returns: Sequence[Estimate]) -> dict[str, Any]:
    return {name: _estimate(each) for name, each in zip(COLUMNS, returns, strict=True)}


def _line(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "count": line.count,
        "instrument_days": line.days,
        "too_few": line.too_few,
        "hits": _estimate(line.hits),
        "returns_bp": _returns(line.returns),
        "profit_factor": _estimate(line.profit_factor),
        "brier": _estimate(line.brier),
    }


def _random(random: RandomAgents) -> dict[str, Any]:
    return {
        "hits": _estimate(random.hits),
        "returns_bp": _returns(random.returns),
        "beaten": random.beaten,
    }


def _traded(traded: Traded) -> dict[str, Any]:
    return {
        "decisions": len(traded.by_decision),
        "gross": traded.gross,
        "charges": traded.charges,
        "profit_factor": traded.profit_factor,
        "fills_of_no_decision": traded.strangers,
    }


def show(console: Console, card: Card) -> None:
    """For people: who did how well, and what that is worth."""
    _say(console, days_in_words(card))
    console.print(table("Against others", [card.acted, *card.peers], card.random))
    for each in card.sections:
        if each.lines:
            console.print(table(each.title, each.lines))
    _say(console, f"At the broker: {traded_words(card.traded)}")
    if card.base_brier is not None and card.acted.brier.value is not None:
        said = f"{card.acted.brier.value:.3f}: always saying the mean had {card.base_brier:.3f}"
        _say(console, f"Brier {said}, always 50 % 0.250.")
    for remark in remarks(card):
        _say(console, remark)
    _say(console, f"{METHOD}; seed {card.seed}.", style="dim")


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(Text(clean(text), style=style), soft_wrap=True)


def table(title: str, lines: Iterable[Line], random: RandomAgents | None = None) -> Table:
    """Lines with their intervals; dim where there are too few."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    made.add_column("", max_width=34)
    made.add_column("number", justify="right")
    made.add_column(f"right, {COLUMNS[JUDGED]}", justify="right")
    for name in COLUMNS:
        made.add_column(f"bp, {name}", justify="right")
    made.add_column("profit factor", justify="right")
    made.add_column("Brier", justify="right")
    for line in lines:
        made.add_row(*_cells(line), style="dim" if line.too_few else "")
    if random:
        cells = [_told(random.hits, percent), *(_told(each, _gain) for each in random.returns)]
        made.add_row("random, same turnover", "", *cells, "", "")
    return made


def _cells(line: Line) -> list[str]:
    name = f"{clean(line.name)} (too few)" if line.too_few else clean(line.name)
    return [
        name,
        f"{line.count:,}",
        _told(line.hits, percent),
        *(_told(each, _gain) for each in line.returns),
        _told(line.profit_factor, "{:.2f}".format),
        _told(line.brier, "{:.3f}".format),
    ]


def _told(estimate: Estimate, written: Any) -> str:
    if estimate.value is None:
        return "–"
    between = estimate_words(estimate, written)
    return f"{written(estimate.value)}\n{between}" if between else written(estimate.value)


def _gain(value: float) -> str:
    return f"{value:+z.1f}"
