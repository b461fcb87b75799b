"""What happens in one run, told by its seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What can happen."""

    DECIDE = "decide"
    KILL = "kill"  # a process of ours, SIGKILL; started again at once
    FREEZE = "freeze"  # a process of ours, SIGSTOP, and SIGCONT after `lasting`
    KILL_DATABASE = "kill the database"
    KILL_BROKER = "kill the broker"
    FAULT = "fault"
    ODD_UPDATES = "odd updates"
    SWITCH_OFF = "switch off"
    KILL_TOKEN = "kill the token"  # a kind of event
    PHONE = "order from the phone"
    LOSE_STOP = "lose a stop"


# what Dhan does to one request to place an order
ODD_REPLIES = (
    "accept_then_drop_reply",
    "accept_then_500",
    "slow_reply",
    "html_429",
    "empty_body",
    "late_reject",
    "fill_before_reply",
)
# what happens to order updates on their way
ODD_UPDATES = ("lose", "duplicate", "out_of_order", "reset")
PROCESSES = ("a", "b", "books")  # two order workers, and the one that keeps the books
WINDOW = 2.0  # seconds in which everything begins


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens.

    Attributes:
        at: Seconds after the run's begin.
        who: Number of a user, of a process, or a decision's turn.
        what: The kind of a fault; the side of a decision.
        lasting: Seconds.
    """

    at: float
    kind: Kind
    who: int = 0
    what: str = ""
    lasting: float = 0.0

    def __str__(self) -> str:
        rest = f" {self.what}" if self.what else ""
        long = f" for {self.lasting:.1f} s" if self.lasting else ""
        return f"{self.at:5.2f} s  {self.kind} {self.who}{rest}{long}"


@dataclass(frozen=True, slots=True)
class Story:
    """One run."""

    seed: int
    nth: int
    users: int
    events: tuple[Event, ...]

    def __str__(self) -> str:
        head = f"seed {self.seed}, run {self.nth}: {self.users} users"
        return "\n".join([head, *(f"  {event}" for event in self.events)])


def story_of(seed: int, nth: int) -> Story:
    """The story of the nth run: the same for the same numbers."""
    chance = Random(f"{seed}/{nth}")
    users, decisions = chance.randint(2, 4), chance.randint(2, 5)

    def moment() -> float:
        return chance.uniform(0.0, WINDOW)

    events = [
        Event(moment(), Kind.DECIDE, turn, chance.choice(["BUY", "BUY", "SELL"]))
        for turn in range(decisions)
    ]
    events += [Event(moment(), Kind.KILL, chance.randrange(2)) for _ in range(chance.randint(1, 3))]
    for _ in range(chance.randint(0, 4)):
        reply = chance.choice(ODD_REPLIES)
        lasting = chance.choice([0.2, 1.5, 4.0]) if reply in {"slow_reply", "late_reject"} else 0.0
        events.append(Event(chance.uniform(0, 0.5), Kind.FAULT, 0, reply, lasting))
    if chance.random() < 0.2:
        frozen = chance.choice([0.5, 2.0, 7.0])
        events.append(Event(moment(), Kind.FREEZE, chance.randrange(len(PROCESSES)), "", frozen))
    if chance.random() < 0.4:
        what = chance.choice(ODD_UPDATES)
        events.append(Event(chance.uniform(0, 0.5), Kind.ODD_UPDATES, 0, what))
    if chance.random() < 0.15:
        events.append(Event(moment(), Kind.KILL_DATABASE))
    if chance.random() < 0.04:
        events.append(Event(moment(), Kind.KILL_BROKER))
    for kind, share in ((Kind.SWITCH_OFF, 0.3), (Kind.KILL_TOKEN, 0.1), (Kind.PHONE, 0.2)):
        if chance.random() < share:
            events.append(Event(moment(), kind, chance.randrange(users)))
    if chance.random() < 0.3:
        events.append(Event(WINDOW + 1.0, Kind.LOSE_STOP, chance.randrange(users)))
    return Story(seed, nth, users, tuple(sorted(events, key=lambda event: event.at)))
