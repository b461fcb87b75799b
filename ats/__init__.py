"""The command line, settings, supervision and observability: the room that knows all others."""

from typing import Final

DISTRIBUTION: Final = "agentic-trading-system"  # as pip knows it
