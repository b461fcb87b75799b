"""The command line, settings, the embedded stack, supervision and observability.

The only room that knows them all.
"""

from typing import Final

DISTRIBUTION: Final = "agentic-trading-system"  # as pip knows it
