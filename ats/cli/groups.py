"""Groups of commands, and what they answer to a word that is no command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperGroup


class Commands(TyperGroup):
    """A group that answers an unknown word with the command that was probably meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Typer's, but for a word that is no command of this group."""
        if args and args[0] not in self.commands:
            ctx.fail(unknown(args[0], dict(leaves(self.commands))))
        return super().resolve_command(ctx, args)


def group(help_: str) -> typer.Typer:
    """Commands under a word of their own; without a further word it lists them."""
    return typer.Typer(cls=Commands, help=help_, no_args_is_help=True)


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
