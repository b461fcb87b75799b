"""No name that means something else to a trader or to a Kafka engineer comes back.

Looked for as whole identifiers: in Python's names, and between backticks in docstrings, comments
and pages. Where the field's own sense is meant, the row is limited to the room that misused the
word, or names the files that use it right.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tools.house.tree import AROUND, PRODUCT, pages, sources

ANYWHERE: Final = ("",)
CODE: Final = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*")


class Retired(NamedTuple):
    """Names we gave up."""

    names: str  # separated by blanks
    why: str  # what they mean in the field
    instead: str
    rooms: tuple[str, ...] = ANYWHERE  # beginnings of paths: where the name is wrong
    rightly: tuple[str, ...] = ()  # beginnings of paths that use it in the field's sense


RETIRED: Final = (
    Retired(
        "Settlement Settled settle settled settle_order",
        "the exchange of cash and shares on T+1",
        "OrderOutcome, RecordedOutcome, record_outcome, record_order_outcome",
        ("executors/", "tests/executors/", "docs/"),
        # a person settles an open claim: `ats claims settle`, and a state of the database's answer
        ("docs/operations.md", "docs/database.md"),
    ),
    Retired(
        "look_ahead Ahead open_ahead",
        "the bias of a backtest that sees tomorrow",
        "provisional_values, ProvisionalBuffers",
    ),
    Retired("Book", "bids and asks", "OrderManager", ("simulator/",)),
    Retired(
        "AnswerBook ScanBook RuleBook QuoteBook _Book",
        "bids and asks",
        "LlmCallCache, ScanCache, RuleSet, QuoteCache, MasterBuilder",
    ),
    Retired("_book", "bids and asks", "_lookup_client, _orders", ("dhan/", "simulator/")),
    Retired("spread", "bid-ask spread", "distribute_volume", ("streams/engine/",)),
    Retired(
        "Desk OrderDesk RiskDesk ConsentDesk ModelDesk",
        "people who trade",
        "LlmGateway, OrderClient, MarginEngine, ConsentApi, ChatApi",
    ),
    Retired("ladder Ladder", "a ladder of prices", "tiers, Tier", ("agents/", "tests/agents/")),
    Retired("AgentTerms ScoutTerms", "a contract", "AgentOptions, ScoutOptions"),
    Retired("_terms", "a contract", "_identity", ("ats/services/universe.py",)),
    Retired("follow follower", "a replica of a partition", "read_topics, reader", ("bus/",)),
    Retired("Shard", "a shard of Kinesis", "TopicPartition"),
    Retired(
        "moves moving begin_move", "orders and prices move", "generation, rebalancing", ("bus/",)
    ),
    Retired("shown _show show_every", "nothing", "committed, commit_interval", ("bus/",)),
    Retired("direction", "long or short", "adx", ("streams/engine/indicators.py",)),
    Retired("Broker", "Dhan", "BrokerFactory", ("executors/", "tests/executors/")),
    Retired("user", "an account holder", "prompt", ("agents/journal.py", "agents/model.py")),
    Retired("Frame", "a frame of a WebSocket", "TalibWindow", ("streams/engine/",)),
    Retired("_Engine", "the engine of indicators", "_PartitionState", ("bus/",)),
)
# A module is named as its path says.
RETIRED_MODULES: Final = {
    "ats/exits.py": "an exit closes a position: exit_codes.py",
    "bus/follower.py": "a follower is a replica: reader.py",
    "simulator/matching/terms.py": "terms are a contract: enums.py",
    "ats/services/desk.py": "a desk is people who trade: llm.py",
    "agents/books.py": "a book is bids and asks: caches.py",
}
# Name -> how often it stands somewhere still. Lower the number when you have renamed some, and take
# the name out with the last: the rule fails when there are more than that, or none.
NOT_YET: Final[dict[str, int]] = {}
MODULES_NOT_YET: Final[frozenset[str]] = frozenset()


class Use(NamedTuple):
    """A retired name where it stands."""

    name: str
    place: str  # file:line
    row: Retired


def broken(root: Path) -> list[str]:
    """A line for each retired name that is back, and for each stale entry of the lists of those
    left.
    """
    found = list(uses(root))
    counts = Counter(use.name for use in found)
    lines = [
        f"{use.place}: {use.name} is {use.row.why} in this field; say {use.row.instead}"
        for use in found
        if use.name not in NOT_YET
    ]
    lines += [
        f"NOT_YET: {name} stands {counts[name]} times, {most} were left; rename the new ones"
        for name, most in NOT_YET.items()
        if counts[name] > most
    ]
    lines += [f"NOT_YET: {name} is gone, take it out" for name in NOT_YET if not counts[name]]
    back = {name for name in RETIRED_MODULES if (root / name).exists()}
    lines += [f"{name}: {RETIRED_MODULES[name]}" for name in sorted(back - MODULES_NOT_YET)]
    lines += [f"MODULES_NOT_YET: {name} is gone" for name in sorted(MODULES_NOT_YET - back)]
    return lines


def report(root: Path) -> list[str]:
    """How many retired names are left."""
    counts = Counter(use.name for use in uses(root))
    return [f"{name:16} {count:4} left" for name, count in counts.most_common()]


def uses(root: Path) -> Iterator[Use]:
    """Every place where a retired name stands in code or pages."""
    for path in sources(root, (*PRODUCT, *AROUND)):
        name = str(path.relative_to(root))
        if not name.startswith("tools/house/"):
            yield from _among(name, _of_code(path.read_text(encoding="utf-8")))
    for path in pages(root):
        name = str(path.relative_to(root))
        if name != "CHANGELOG.md":  # it tells what was renamed
            yield from _among(name, _quoted(path.read_text(encoding="utf-8"), 1))


def _among(name: str, words: Iterator[tuple[str, int]]) -> Iterator[Use]:
    rows = {
        old: row
        for row in RETIRED
        if name.startswith(row.rooms) and not (row.rightly and name.startswith(row.rightly))
        for old in row.names.split()
    }
    if not rows:
        return
    for word, line in words:
        if word in rows:
            yield Use(word, f"{name}:{line}", rows[word])


def _of_code(source: str) -> Iterator[tuple[str, int]]:
    """Identifiers of Python, and what its strings and comments hold between backticks."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.string, token.start[0]
        elif token.type in {tokenize.STRING, tokenize.COMMENT}:
            yield from _quoted(token.string, token.start[0])


def _quoted(text: str, line: int) -> Iterator[tuple[str, int]]:
    """Identifiers between backticks, each with its line; `line` is that of the text's beginning."""
    for code in CODE.finditer(text):
        for word in IDENTIFIER.finditer(code[0]):
            yield word[0], line + text.count("\n", 0, code.start() + word.start())
