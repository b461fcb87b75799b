"""The page of commands: what `ats --help` knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import typer.main

from ats.cli import app
from tools.reference.markdown import code, table
from tools.reference.markdown import page as page_of


class Command(Protocol):
    """What the page shows of a command of click's.

    Typer brings a click of its own, so the parameters are `Any`.
    """

    help: str | None

    @property
    def params(self) -> Sequence[Any]: ...


def commands() -> Iterator[tuple[str, Command]]:
    """Every command with its full name, in the order of `--help`."""
    yield from _below("ats", typer.main.get_command(app))


def _below(name: str, command: Command) -> Iterator[tuple[str, Command]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, sub in inner.items():
        yield from _below(f"{name} {word}", sub)


def page() -> str:
    parts = [
        (
            "Every command answers `--help`. What ends a command, and with which number, stands in "
            "[exit codes](exit-codes.md)."
        )
    ]
    for name, command in commands():
        parts += [f"## {name}", _paragraphs(command.help or ""), *_parameters(command)]
    return page_of("Commands", "`ats/cli`", *parts)


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _parameters(command: Command) -> list[str]:
    rows = [
        (_name(parameter), _default(parameter), getattr(parameter, "help", None) or "")
        for parameter in command.params
        if parameter.name != "help"
    ]
    return [table(("Option or argument", "Default", "What it does"), rows)] if rows else []


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return code((parameter.name or "").upper())
    return code(max(parameter.opts, key=len))


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default in {None, "", False} else code(str(parameter.default))
