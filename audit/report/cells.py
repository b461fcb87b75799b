"""Cards, tables and amounts of our HTML pages. Pure; every text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from audit.amounts import rupees
from audit.sheet import scrolled


class Cell(NamedTuple):
    """HTML of one cell, and its class."""

    html: str
    kind: str = ""


def card(name: str, value: str, note: str) -> str:
    """One figure with its name, as HTML; `value` is HTML."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return f"<div><dt>{escape(name)}</dt><dd>{value}{small}</dd></div>"


def money(paise: float | None) -> str:
    """Rupees, coloured by their sign."""
    if paise is None:
        return "–"
    side = "up" if paise > 0 else "down" if paise < 0 else ""
    return f'<span class="{side}">{escape(rupees(paise))}</span>'


def plain(paise: float | None) -> str:
    """Rupees; a dash where nobody knows."""
    return "–" if paise is None else escape(rupees(paise))


def share(value: float | None) -> str:
    """Percent of a share."""
    return "–" if value is None else f"{value * 100:.1f} %"


def number(value: float | None) -> str:
    """Two digits after the point."""
    return "–" if value is None else f"{value:.2f}"


def points(value: float | None) -> str:
    """Basis points with their sign."""
    return "–" if value is None else f"{value:+.1f} bp"


def table(label: str, head: Sequence[str], rows: Iterable[Iterable[Cell]]) -> str:
    """A table that scrolls by itself."""
    names = "".join(f"<th scope=col>{escape(each)}</th>" for each in head)
    lines = "".join(f"<tr>{''.join(map(as_html, row))}</tr>\n" for row in rows)
    return scrolled(f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>", label)


def as_html(cell: Cell) -> str:
    """One cell of a row."""
    kind = f" class={cell.kind}" if cell.kind else ""
    return f"<td{kind}>{cell.html}</td>"


def text(text: str, kind: str = "") -> Cell:
    """A cell of plain text."""
    return Cell(escape(text), kind)
