"""Text from outside, so that whatever shows it stays in charge. Pure."""

from __future__ import annotations


def clean(told: str) -> str:
    """A text from outside cannot steer the terminal: neither with controls (C1 too) nor by turning
    the direction of writing round. What it becomes is JSON's way of writing the same.
    """
    if told.isprintable():
        return told
    return "".join(each if each.isprintable() else _escaped(each) for each in told)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
