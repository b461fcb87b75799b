"""Groups of commands, and what they answer to a word that is no command."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import copy
from difflib import get_close_matches
from inspect import getdoc
from typing import Any

import typer
from typer.core import TyperGroup
from typer.models import CommandInfo, TyperInfo


class Commands(TyperGroup):
    """A group that lists its commands by panel, and answers an unknown word with the command that
    was probably meant.
    """

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (Typer's signature)
        """Typer's without rich, but in panels, and with the first paragraph of each whole."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            rows = panels.setdefault(getattr(command, "rich_help_panel", None) or "Commands", [])
            rows.append((name, (command.help or "").partition("\n\n")[0]))
        for panel, rows in panels.items():
            with formatter.section(typer.style(panel, bold=True)):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Typer's, but for a word that is no command of this group."""
        if args and args[0] not in self.commands:
            ctx.fail(unknown(args[0], dict(leaves(self.commands))))
        return super().resolve_command(ctx, args)


def group(help_: str) -> typer.Typer:
    """Commands under a word of their own; without a further word it lists them."""
    return typer.Typer(cls=Commands, help=help_, no_args_is_help=True)


def narrowed(app: typer.Typer, words: Collection[str]) -> typer.Typer:
    """`app` for a command line of these words: whole are the commands and groups that they name,
    of any other it knows the name and the help. Typer takes longer to read the options of all
    commands than to print the help.
    """
    narrow = copy(app)
    narrow.registered_commands = [
        info if info.name in words else _unread(info) for info in app.registered_commands
    ]
    narrow.registered_groups = [
        info if info.name in words else _unread_group(info) for info in app.registered_groups
    ]
    return narrow


def _unread_group(info: TyperInfo) -> TyperInfo:
    unread = copy(info)
    unread.typer_instance = info.typer_instance and narrowed(info.typer_instance, ())
    return unread


def _unread(info: CommandInfo) -> CommandInfo:
    unread = copy(info)
    unread.help, unread.callback = info.help or getdoc(info.callback), _not_asked_for
    return unread


def _not_asked_for() -> None:
    """In the place of a command that the command line does not name."""


def leaves(commands: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each command as it is typed below this group, with the word that a person remembers."""
    for name, command in commands.items():
        yield f"{above}{name}", name
        yield from leaves(getattr(command, "commands", {}), f"{above}{name} ")


def unknown(word: str, names: Mapping[str, str]) -> str:
    """What to say to `word`: the nearest command, else all there are at this place."""
    for exact in ([word], get_close_matches(word, names.values(), n=1)):
        if meant := [typed for typed, name in names.items() if name in exact]:
            return f"No such command {word!r}. Did you mean {meant[0]!r}?"
    here = ", ".join(typed for typed in names if " " not in typed)
    return f"No such command {word!r}. There are {here}"
