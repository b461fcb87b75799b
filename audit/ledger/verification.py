"""Compares records with their log, and says where they part. Pure.

First the log is held against what was signed: roots, and, where a root differs, the seal of each
leaf. Then each partition's records are held against the leaves that stood the test. What an
attacker computed again differs from its signature; what he left alone differs from the record.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from audit.ledger.checkpoints import Checkpoint
from audit.ledger.entries import Entry
from audit.ledger.log import Logs, origin_of, seal_holds
from audit.ledger.merkle import MerkleTree
from audit.ledger.notes import Note, PublicKey
from bus.records import TopicPartition
from schemas.errors import Unreadable
from schemas.ledger import LedgerBatch, LedgerCheckpoint

AHEAD: Final = 200  # leaves that are tried to find where a log or a partition goes on
MANY: Final = 50  # forged leaves after which nobody looks where each may have gone


class Kind(StrEnum):
    """What became of a record, or of the log."""

    CHANGED = "changed"  # other bytes, another stamp or other headers than were logged
    DROPPED = "dropped"
    INSERTED = "inserted"
    SWAPPED = "swapped"  # the record of another place
    TRUNCATED = "truncated"  # from here to the end
    FORGED = "forged"  # a leaf, or a head, that the ledger did not sign
    LOST = "lost"  # leaves that were signed and stand on `ats.ledger` no more


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was signed.

    Attributes:
        place: `TOPIC-PARTITION@OFFSET`; of a head or of lost leaves what is known of them.
        note: What else is known.
    """

    kind: Kind
    place: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value:<9} {self.place}" + (f": {self.note}" if self.note else "")


@dataclass(frozen=True, slots=True)
class Trust:
    """Which keys are believed.

    Attributes:
        witnesses: Keys that have to have cosigned the newest head; none asks for none.
    """

    log: PublicKey
    witnesses: tuple[PublicKey, ...] = ()


@dataclass(slots=True)
class DayLog:
    """One day's log as the topics have it.

    Attributes:
        entries: Leaves, in their order.
        positions: Of each partition the first offset that no log has a leaf of.
        heads: Messages of `ats.checkpoints`, in their order.
    """

    day: date
    entries: list[Entry] = field(default_factory=list)
    positions: Mapping[TopicPartition, int] = field(default_factory=dict)
    heads: list[LedgerCheckpoint] = field(default_factory=list)

    @classmethod
    def of(
        cls, day: date, batches: Iterable[LedgerBatch], heads: Iterable[LedgerCheckpoint]
    ) -> DayLog:
        """Fold all batches of the topic; keep what is of `day`."""
        logs, found = Logs(), cls(day)
        for batch in batches:
            entries = logs.accept(batch)
            if batch.day == day:
                found.entries += entries
        found.positions = logs.positions
        found.heads = [head for head in heads if head.day == day]
        return found


@dataclass(slots=True)
class Verdict:
    """What a verification came to.

    Attributes:
        signed: Leaves that the newest head covers.
        root: Of that head.
        cosigned: Leaves that the newest head of all asked witnesses covers.
        checked: Records that were compared.
        pending: Records that have no leaf yet.
    """

    findings: list[Finding] = field(default_factory=list)
    signed: int = 0
    root: bytes = b""
    cosigned: int = 0
    checked: int = 0
    pending: int = 0


def verify(
    log: DayLog, records: Mapping[TopicPartition, Sequence[Entry]], trust: Trust,
    kept: Collection[str] = (),
) -> Verdict:  # fmt: skip
    """Hold `records`, by partition in their order, against the log.

    `kept` are signed heads that were kept elsewhere, as they stand: they tell when the end of the
    log was cut off together with its heads.
    """
    verdict = Verdict()
    heads = list(_heads(log, trust, kept, verdict))
    if not heads:
        verdict.findings.append(Finding(Kind.FORGED, "the log", f"no head of {trust.log.name}"))
    authentic = _authentic(log, heads, records, trust, verdict)
    by_place = dict[TopicPartition, list[Entry]]()
    for each in authentic:
        by_place.setdefault(each.topic_partition, []).append(each)
    for place in sorted(by_place.keys() | records.keys()):
        expected = sorted(by_place.get(place, ()), key=lambda each: each.offset)
        ends = max(log.positions.get(place, 0), expected[-1].offset + 1 if expected else 0)
        found = records.get(place, ())
        logged = [each for each in found if each.offset < ends]
        differing = differences(expected, logged)
        pending = len(found) - len(logged)
        if pending and (more := sum(each.kind is Kind.INSERTED for each in differing)):
            # what was put in between moved the last ones behind the end
            pending = max(0, pending - more)
            differing = differences(expected, found[: len(found) - pending])
        verdict.findings += differing
        verdict.pending += pending
        verdict.checked += len(found) - pending
    return verdict


@dataclass(frozen=True, slots=True)
class _Head:
    checkpoint: Checkpoint
    signers: frozenset[PublicKey]


def _heads(log: DayLog, trust: Trust, kept: Collection[str], verdict: Verdict) -> Iterator[_Head]:
    """Signed heads; what is not signed by the ledger is a finding."""
    origin = origin_of(trust.log.name, log.day)
    for whole in (*(head.note for head in log.heads), *kept):
        try:
            note = Note.parse(whole)
            checkpoint = Checkpoint.of_note(note)
            signers = note.verified_by((trust.log, *trust.witnesses))
            if trust.log not in signers:
                raise Unreadable(f"not signed by {trust.log.name}")
        except Unreadable as error:
            verdict.findings.append(Finding(Kind.FORGED, "a head of the log", str(error)))
            continue
        if checkpoint.origin != origin:
            text = f"of {checkpoint.origin}, not of {origin}"
            verdict.findings.append(Finding(Kind.FORGED, "a head of the log", text))
            continue
        yield _Head(checkpoint, signers)


def _authentic(
    log: DayLog,
    heads: Sequence[_Head],
    records: Mapping[TopicPartition, Sequence[Entry]],
    trust: Trust,
    verdict: Verdict,
) -> list[Entry]:
    """The leaves as they were signed; of one that is not, its place with nothing known in it."""
    tree = MerkleTree(each.leaf for each in log.entries)
    broken = forged = bool(verdict.findings)
    for head in sorted(heads, key=lambda each: each.checkpoint.size):
        size, root = head.checkpoint.size, head.checkpoint.root
        if size > tree.size or tree.root(size) != root:
            broken = True
            continue
        verdict.signed, verdict.root = size, root
        if set(trust.witnesses) <= head.signers:
            verdict.cosigned = size
    held = verdict.signed
    if not broken and trust.witnesses and verdict.cosigned < held:
        text = f"{verdict.cosigned} of {held} leaves are cosigned"
        verdict.findings.append(Finding(Kind.FORGED, "the newest head", text))
    if not broken and held < tree.size:
        text = f"{tree.size - held} leaves from here on are not signed by {trust.log.name}"
        verdict.findings.append(Finding(Kind.FORGED, str(log.entries[held]), text))
    if not broken:
        return log.entries
    walk = _Walk(log, trust.log, records, held)
    walk.run(max((each.checkpoint.size for each in heads), default=0))
    verdict.findings += walk.findings
    if not walk.findings and not forged:  # each leaf is sealed, and yet a root differs
        _suspect(log, heads, verdict)
    return walk.authentic


class _Walk:
    """Leaves and seals side by side, from the last head that holds."""

    def __init__(
        self,
        log: DayLog,
        key: PublicKey,
        records: Mapping[TopicPartition, Sequence[Entry]],
        held: int,
    ) -> None:
        self.findings: list[Finding] = []
        self.authentic = log.entries[:held]
        self._entries = log.entries
        self._key = key
        self._origin = origin_of(key.name, log.day)
        self._held = held
        self._seals = dict[int, set[str]]()
        self._places = dict[int, str]()
        for head in log.heads:
            for nth, seal in enumerate(head.seals):
                self._seals.setdefault(head.since + nth, set()).add(seal)
            self._places.update(enumerate(head.places, head.since))
        known = set(log.entries)
        # records without a leaf: one of them may be what a lost leaf was of
        self._spare = [each for those in records.values() for each in those if each not in known][
            :AHEAD
        ]
        self._used = set[int]()
        self._displaced: list[int] = []
        self._more = 0

    def run(self, signed: int) -> None:
        """Walk up to the last sealed leaf; `signed` is the size of the largest head."""
        shift, last = 0, max(self._seals, default=-1)
        for index in range(self._held, max(signed, last + 1)):
            shift = self._step(index, shift)
        for at in range(self._held, len(self._entries)):
            if at not in self._used:
                self._note(Kind.FORGED, str(self._entries[at]), "a leaf that nobody signed")
        if not self.findings:  # else they only stand behind what is gone, or was put in
            for at in self._displaced:
                self._note(Kind.FORGED, str(self._entries[at]), "not in its place")
        if self._more:
            self.findings.append(Finding(Kind.FORGED, "the log", f"{self._more} more leaves"))

    def _step(self, index: int, shift: int) -> int:
        """Find the leaf of `index`, `shift` places behind it; returns the shift of the next one."""
        at = index + shift
        if self._holds(index, at):
            self._use(at)
        elif (other := self._elsewhere(index, at)) is not None:
            self._use(other)
            self._displaced.append(other)
            if self._holds(index + 1, other + 1) or not self._holds(index + 1, at + 1):
                return other - index
        elif at in self._used:
            self._lose(index)
        elif self._is_of_later(index, at):
            self._lose(index)
            return shift - 1
        else:
            self._used.add(at)
            self._note(Kind.FORGED, str(self._entries[at]), "not as it was signed")
            self.authentic.append(_unknown(self._entries[at]))
        return shift

    def _holds(self, index: int, at: int) -> bool:
        fits = self._held <= at < len(self._entries) and at not in self._used
        return fits and self._is_sealed(index, self._entries[at])

    def _is_sealed(self, index: int, entry: Entry) -> bool:
        seals = self._seals.get(index, ())
        return any(seal_holds(self._key, self._origin, index, entry, seal) for seal in seals)

    def _elsewhere(self, index: int, at: int) -> int | None:
        """Where the leaf of `index` stands instead. Not searched any more when much is forged."""
        if len(self.findings) >= MANY:
            return None
        near = (each for n in range(1, AHEAD) for each in (at + n, at - n))
        return next((each for each in near if self._holds(index, each)), None)

    def _is_of_later(self, index: int, at: int) -> bool:
        """Whether what stands at `at` comes behind leaf `index`, which is gone then."""
        if at >= len(self._entries):
            return True
        if len(self.findings) >= MANY:
            return False
        return any(self._holds(index + n, at) for n in range(1, AHEAD))

    def _use(self, at: int) -> None:
        self._used.add(at)
        self.authentic.append(self._entries[at])

    def _lose(self, index: int) -> None:
        for each in self._spare:
            if self._is_sealed(index, each):
                self._note(Kind.LOST, str(each), "its leaf is gone, the record is as signed")
                self.authentic.append(each)
                return
        after = f"behind {self.authentic[-1]}" if self.authentic else "at the begin"
        place = self._places.get(index, after)
        self._note(Kind.LOST, place, "its signed leaf is gone, and the record as it was")

    def _note(self, kind: Kind, place: str, note: str) -> None:
        if len(self.findings) < MANY:
            self.findings.append(Finding(kind, place, note))
        else:
            self._more += 1


def _suspect(log: DayLog, heads: Sequence[_Head], verdict: Verdict) -> None:
    """Between which heads the log was rewritten by somebody who has the ledger's key."""
    tree = MerkleTree(each.leaf for each in log.entries)
    good, bad = set[int](), set[int]()
    for head in heads:
        size, root = head.checkpoint.size, head.checkpoint.root
        (good if size <= tree.size and tree.root(size) == root else bad).add(size)
    end = min(bad)
    begin = max((size for size in good if size < end), default=0)
    suspects = log.entries[begin:end]
    place = f"{suspects[0]} to {suspects[-1]}" if suspects else "the end of the log"
    note = f"one of {len(suspects)} leaves was written again with the ledger's own key"
    verdict.findings.append(Finding(Kind.FORGED, place, note))


def _unknown(entry: Entry) -> Entry:
    return Entry(entry.topic, entry.partition, entry.offset, 0, b"", b"")


def differences(expected: Sequence[Entry], found: Sequence[Entry]) -> list[Finding]:
    """Where the records of one partition, `found`, part from the leaves, both in their order."""
    findings: list[Finding] = []
    places = {each.message: each for each in expected}
    held = {each.offset: each.message for each in found}
    at = to = shift = 0
    while at < len(expected) and to < len(found):
        leaf, record = expected[at], found[to]
        if leaf.message == record.message:
            if record.offset - leaf.offset != shift:
                note = f"stands at offset {record.offset}"
                findings.append(Finding(Kind.CHANGED, str(leaf), note))
                shift = record.offset - leaf.offset
            if (leaf.published_ms, leaf.headers) != (record.published_ms, record.headers):
                findings.append(Finding(Kind.CHANGED, str(leaf), "another stamp or other headers"))
            at, to = at + 1, to + 1
            continue
        gone, come = _gap(expected, found, at, to), _gap(found, expected, to, at)
        if swapped := _swapped(leaf, record, places, held):
            findings.append(swapped)
            at, to = at + 1, to + 1
        elif _goes_on(expected, found, at + 1, to + 1) or not (gone or come):
            other = places.get(record.message)
            note = f"holds the message of {other}" if other else ""
            findings.append(Finding(Kind.CHANGED, str(leaf), note))
            at, to = at + 1, to + 1
        elif gone and (not come or gone <= come):
            findings += [Finding(Kind.DROPPED, str(each)) for each in expected[at : at + gone]]
            at, shift = at + gone, found[to].offset - expected[at + gone].offset
        else:
            findings += [Finding(Kind.INSERTED, str(each)) for each in found[to : to + come]]
            to, shift = to + come, found[to + come].offset - expected[at].offset
    if at < len(expected):
        note = f"{len(expected) - at} records are gone"
        findings.append(Finding(Kind.TRUNCATED, str(expected[at]), note))
    findings += [Finding(Kind.INSERTED, str(each), "it has no leaf") for each in found[to:]]
    return findings


def _gap(longer: Sequence[Entry], shorter: Sequence[Entry], at: int, to: int) -> int:
    """How many of `longer` from `at` on are missing in the other one, which goes on at `to`."""
    wanted = shorter[to].message
    for n in range(1, min(AHEAD, len(longer) - at)):
        if longer[at + n].message == wanted:
            return n
    return 0


def _goes_on(expected: Sequence[Entry], found: Sequence[Entry], at: int, to: int) -> bool:
    if at >= len(expected) or to >= len(found):
        return at >= len(expected) and to >= len(found)
    return expected[at].message == found[to].message


def _swapped(
    leaf: Entry, record: Entry, places: Mapping[bytes, Entry], held: Mapping[int, bytes]
) -> Finding | None:
    other = places.get(record.message)
    if other is None or held.get(other.offset) != leaf.message:
        return None
    return Finding(Kind.SWAPPED, str(leaf), f"with {other}")
