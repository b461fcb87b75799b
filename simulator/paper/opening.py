"""What a day of paper trading begins with. It is the first entry of the day's journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from schemas.errors import Misconfigured
from schemas.ids import InstrumentId
from schemas.units import Paise, Quantity, UtcNs
from simulator.matching.ledger import Holding
from simulator.paper.journal import Entry

KIND = "day"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Opening:
    """The accounts in the morning.

    What the settings say of money and latency is written down too: a day that is read again under
    other settings is still the same day.

    Attributes:
        fresh: Paise an account has when it is first seen.
        latency: Nanoseconds from an order's acceptance to its arrival at the exchange.
        positions: Of each partition of the tape, the offset to read next.
        funds: Of accounts that have traded before, paise.
        holdings: Shares of theirs.
    """

    day: date
    fresh: Paise
    latency: UtcNs
    positions: Mapping[int, int] = field(default_factory=dict)
    funds: Mapping[str, Paise] = field(default_factory=dict)
    holdings: Mapping[str, Mapping[InstrumentId, Holding]] = field(default_factory=dict)

    def entry(self) -> Entry:
        """As the journal keeps it."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "day": self.day.isoformat(),
            "fresh": int(self.fresh),
            "latency": int(self.latency),
            "at": {str(partition): offset for partition, offset in self.positions.items()},
            "funds": {who: int(amount) for who, amount in self.funds.items()},
            "holdings": {
                who: {
                    str(key): [int(one.quantity), int(one.average_cost), int(one.pledged)]
                    for key, one in held.items()
                }
                for who, held in self.holdings.items()
            },
        }

    @classmethod
    def read(cls, entry: Entry) -> Opening:
        """The opening of a journal.

        Raises:
            Misconfigured: the journal begins with something else, or is of another version.
        """
        if (entry.get("kind"), entry.get("format")) != (KIND, FORMAT):
            raise Misconfigured(
                f"the journal of paper orders does not begin with a day of format {FORMAT}: move "
                "the folder away to begin with new paper accounts"
            )
        return cls(
            date.fromisoformat(entry["day"]),
            Paise(entry["fresh"]),
            UtcNs(entry["latency"]),
            {int(partition): offset for partition, offset in entry["at"].items()},
            {who: Paise(amount) for who, amount in entry["funds"].items()},
            {
                who: {
                    InstrumentId.parse(key): Holding(
                        Quantity(quantity), Paise(cost), Quantity(pledged)
                    )
                    for key, (quantity, cost, pledged) in held.items()
                }
                for who, held in entry["holdings"].items()
            },
        )
