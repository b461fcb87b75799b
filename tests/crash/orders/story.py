"""What happens in one run, told by its seed alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What can happen."""

    DECIDE = "decide"
    KILL = "kill"  # a process of ours, SIGKILL; started again at once
    FREEZE = "freeze"  # a process of ours, SIGSTOP, and SIGCONT after `lasting`
    JOIN = "join"  # a second `ats books`, until the run's end
    KILL_DATABASE = "kill the database"
    KILL_BROKER = "kill the broker"
    FAULT = "fault"
    STORM = "storm"  # faults of one kind, `lasting` of them as they come
    SILENCE = "silence"  # Dhan answers 5xx to everything for `lasting`
    ODD_UPDATES = "odd updates"
    SWITCH_OFF = "switch off"
    HALT = "halt"  # without `flatten`: no entry more, and stops stay
    KILL_TOKEN = "kill the token"  # a kind of event
    NEW_TOKEN = "new token"  # of a user whose token was killed
    PHONE = "order from the phone"
    LOSE_STOP = "lose a stop"
    BELL = "ends with the square-off"  # instead of a halt with `flatten`


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
STORMS = ("accept_then_500", "accept_then_drop_reply", "empty_body", "html_429")
# what happens to order updates on their way
ODD_UPDATES = ("lose", "duplicate", "out_of_order", "reset")
PROCESSES = ("a", "b", "books")  # two order workers, and the one that keeps the books
BOOKS = PROCESSES.index("books")
WINDOW = 2.0  # seconds in which everything begins


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens.

    Attributes:
        at: Seconds after the run's begin.
        who: Number of a user, of a process, or a decision's turn.
        what: The kind of a fault; the side of a decision, or of an order from the phone.
        lasting: Seconds; of a storm how many requests it strikes.
    """

    at: float
    kind: Kind
    who: int = 0
    what: str = ""
    lasting: float = 0.0

    def __str__(self) -> str:
        rest = f" {self.what}" if self.what else ""
        long = f" for {self.lasting:.1f}" if self.lasting else ""
        return f"{self.at:5.2f} s  {self.kind} {self.who}{rest}{long}"


@dataclass(frozen=True, slots=True)
class Story:
    """One run.

    Attributes:
        numbers: Of its events in the story that the seed tells; some may be left out.
    """

    seed: int
    nth: int
    users: int
    events: tuple[Event, ...]
    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(len(self.events))))

    def only(self, numbers: Iterable[int]) -> Story:
        """The story of these events alone, by their numbers."""
        kept = dict(zip(self.numbers, self.events, strict=True))
        chosen = tuple(number for number in self.numbers if number in set(numbers))
        return replace(self, events=tuple(kept[n] for n in chosen), numbers=chosen)

    def __str__(self) -> str:
        named = zip(self.numbers, self.events, strict=True)
        lines = [f"  {number:2} {event}" for number, event in named]
        events = ",".join(map(str, self.numbers))
        again = f"--seed {self.seed} --only {self.nth} --events {events}"
        return "\n".join([f"{again}: {self.users} users", *lines])


def story_of(seed: int, nth: int) -> Story:
    """The story of the nth run: the same for the same numbers."""
    chance = Random(f"{seed}/{nth}")
    users = chance.randint(2, 4)
    events = [*_trading(chance), *_deaths(chance), *_dhan(chance), *_users(chance, users)]
    if chance.random() < 0.3:
        events.append(Event(WINDOW + 1.0, Kind.LOSE_STOP, chance.randrange(users)))
    if chance.random() < 0.25:
        events.append(Event(WINDOW + 1.0, Kind.BELL))
    return Story(seed, nth, users, tuple(sorted(events, key=lambda event: event.at)))


def _trading(chance: Random) -> Iterable[Event]:
    for turn in range(chance.randint(2, 5)):
        side = chance.choice(["BUY", "BUY", "SELL"])
        yield Event(_moment(chance), Kind.DECIDE, turn, side)


def _deaths(chance: Random) -> Iterable[Event]:
    for _ in range(chance.randint(1, 3)):
        yield Event(_moment(chance), Kind.KILL, chance.randrange(2))
    if chance.random() < 0.2:
        frozen = chance.choice([0.5, 2.0, 7.0])
        yield Event(_moment(chance), Kind.FREEZE, chance.randrange(len(PROCESSES)), "", frozen)
    if chance.random() < 0.15:
        yield Event(_moment(chance), Kind.KILL, BOOKS)
    if chance.random() < 0.1:
        yield Event(_moment(chance), Kind.JOIN)
    if chance.random() < 0.15:
        yield Event(_moment(chance), Kind.KILL_DATABASE)
    if chance.random() < 0.04:
        yield Event(_moment(chance), Kind.KILL_BROKER)


def _dhan(chance: Random) -> Iterable[Event]:
    for _ in range(chance.randint(0, 4)):
        reply = chance.choice(ODD_REPLIES)
        lasting = chance.choice([0.2, 1.5, 4.0]) if reply in {"slow_reply", "late_reject"} else 0.0
        yield Event(chance.uniform(0, 0.5), Kind.FAULT, 0, reply, lasting)
    if chance.random() < 0.15:
        struck = float(chance.randint(3, 8))
        yield Event(_moment(chance), Kind.STORM, 0, chance.choice(STORMS), struck)
    if chance.random() < 0.1:
        yield Event(_moment(chance), Kind.SILENCE, 0, "", chance.choice([0.5, 3.0]))
    if chance.random() < 0.4:
        yield Event(chance.uniform(0, 0.5), Kind.ODD_UPDATES, 0, chance.choice(ODD_UPDATES))


def _users(chance: Random, users: int) -> Iterable[Event]:
    if chance.random() < 0.3:
        yield Event(_moment(chance), Kind.SWITCH_OFF, chance.randrange(users))
    if chance.random() < 0.15:
        yield Event(_moment(chance), Kind.HALT, chance.randrange(users))
    if chance.random() < 0.2:
        died, who = _moment(chance), chance.randrange(users)
        yield Event(died, Kind.KILL_TOKEN, who)
        if chance.random() < 0.6:
            yield Event(died + chance.uniform(0.3, 2.5), Kind.NEW_TOKEN, who)
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        side = chance.choice(["BUY", "SELL"])
        yield Event(_moment(chance) + 0.5, Kind.PHONE, chance.randrange(users), side)


def _moment(chance: Random) -> float:
    return chance.uniform(0.0, WINDOW)
