"""Whatever is changed in a recorded day is found, and where: Show 1 of the ledger."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from audit.ledger.log import Logs, batches_of, signed
from audit.ledger.notes import KeyType, Signer
from audit.ledger.verification import Kind, Trust
from schemas.units import UtcNs
from tests.audit.ledger.tampering import (
    DAY,
    LOG,
    NOON,
    PLACES,
    TAMPERINGS,
    TRUST,
    Tampering,
    a_day,
    a_record,
    cosigned,
    judged,
    logged,
    missed,
)

THIEF = Signer.of("ats.example/ledger", KeyType.LOG, bytes(32))


def test_a_day_that_nobody_touched_is_as_it_was_signed() -> None:
    day, order = a_day(random.Random(1), 100)

    verdict = judged(day, *logged(order))

    assert verdict.findings == []
    assert (verdict.signed, verdict.cosigned, verdict.checked) == (100, 100, 100)


@pytest.mark.parametrize("again", [False, True], ids=["records only", "every hash above it too"])
@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda each: each.__name__)
def test_what_was_changed_at_any_place_is_found_there(tamper: Tampering, again: bool) -> None:
    """Ten places each; `python -m tests.audit.ledger.thousand` tries a thousand."""
    assert missed(random.Random(f"{tamper.__name__} {again}"), tamper, 10, again=again) == []


def test_the_kind_of_each_change_is_named() -> None:
    day, order = a_day(random.Random(2), 60)
    batches, heads = logged(order)
    place, chance = PLACES[0], random.Random(3)

    kinds = []
    for tamper in TAMPERINGS:
        records, _ = tamper(chance, day[place], 4)
        kinds.append(judged({**day, place: records}, batches, heads).findings[0].kind)

    expected = [Kind.CHANGED, Kind.DROPPED, Kind.INSERTED, Kind.SWAPPED, Kind.TRUNCATED]
    assert kinds == expected


def test_heads_that_a_thief_signed_with_a_key_of_his_own_are_no_heads() -> None:
    day, order = a_day(random.Random(4), 30)
    place = order[20].topic_partition
    forged = replace(order[20], value=b"forged")
    changed = [*order[:20], forged, *order[21:]]
    day[place][forged.offset] = forged
    theirs, heads = logged(changed, signer=THIEF)
    ours = logged(order)[1]

    verdict = judged(day, theirs, [*ours[:4], *heads[4:]])

    assert str(forged) in {each.place for each in verdict.findings}
    assert any("not signed by" in each.note for each in verdict.findings)


def test_a_ledger_whose_key_was_stolen_is_given_away_by_what_the_witness_signed() -> None:
    day, order = a_day(random.Random(5), 30)
    forged = replace(order[20], value=b"forged")
    day[forged.topic_partition][forged.offset] = forged
    ours = logged(order)[1]
    theirs, heads = logged([*order[:20], forged, *order[21:]])
    theirs_uncosigned = [head for head in heads if head.seals]

    (finding,) = judged(day, theirs, [*ours[1::2], *theirs_uncosigned]).findings

    assert finding.kind is Kind.FORGED
    assert "the ledger's own key" in finding.note
    assert finding.place == f"{order[14]} to {order[20]}"


def test_a_head_that_no_witness_cosigned_is_told() -> None:
    day, order = a_day(random.Random(6), 14)
    batches, heads = logged(order)

    (finding,) = judged(day, batches, heads[:-1]).findings

    assert finding.note == "7 of 14 leaves are cosigned"
    assert judged(day, batches, heads[:-1], trust=Trust(LOG.public)).findings == []


def test_leaves_that_were_never_signed_are_told() -> None:
    day, order = a_day(random.Random(7), 14)
    batches, heads = logged(order)

    (finding,) = judged(day, batches, heads[:2]).findings

    assert finding.place == str(order[7])


def test_an_end_that_was_cut_off_with_its_heads_is_told_by_a_head_that_was_kept() -> None:
    day, order = a_day(random.Random(8), 14)
    batches, heads = logged(order)
    short = {place: [each for each in those if each in order[:7]] for place, those in day.items()}

    without = judged(short, batches[:1], heads[:2])
    with_kept = judged(short, batches[:1], heads[:2], kept=[heads[-1].note])

    assert without.findings == []
    assert {each.kind for each in with_kept.findings} == {Kind.LOST}


def test_a_record_that_no_leaf_is_of_yet_is_pending_and_no_finding() -> None:
    day, order = a_day(random.Random(9), 14)
    place = PLACES[0]
    day[place].append(a_record(place, len(day[place]), "just written"))

    verdict = judged(day, *logged(order))

    assert (verdict.findings, verdict.pending) == ([], 1)


def test_records_of_two_days_are_leaves_of_two_logs() -> None:
    next_day = UtcNs.minutes(24 * 60)
    records = [a_record(PLACES[0], 0, "a"), a_record(PLACES[0], 1, "b", UtcNs(NOON + next_day))]
    logs = Logs()

    first, second = batches_of(records, logs)

    assert (first.day.day, second.day.day) == (20, 21)
    assert [len(logs.accept(each)) for each in (first, second)] == [1, 1]
    assert judged({PLACES[0]: records[:1]}, [first, second], heads_of(records)).findings == []


def heads_of(records: list) -> list:  # type: ignore[type-arg]
    logs, heads = Logs(), []
    for batch in batches_of(records, logs):
        head = signed(logs, batch.day, 0, logs.accept(batch), LOG)
        heads += [head, cosigned(head)]
    return heads


def test_a_batch_that_comes_second_is_no_part_of_the_log() -> None:
    _, order = a_day(random.Random(10), 14)
    logs, others = Logs(), Logs()
    (first,) = batches_of(order[:7], logs)
    (longer,) = batches_of(order[:9], others)

    assert logs.accept(first)
    assert logs.accept(longer) == ()
    assert logs.accept(first) == ()
    assert logs.size(DAY) == 7


def test_a_batch_that_leaves_some_leaves_out_is_no_part_of_the_log() -> None:
    _, order = a_day(random.Random(12), 14)
    logs, others = Logs(), Logs()
    for each in (logs, others):
        (first,) = batches_of(order[:5], each)
        each.accept(first)
    (second,) = batches_of(order[5:7], others)
    others.accept(second)
    (third,) = batches_of(order[7:9], others)

    assert logs.accept(third) == ()


def test_two_ledgers_that_read_one_topic_sign_one_tree() -> None:
    _, order = a_day(random.Random(11), 14)
    (first,), (second,) = batches_of(order[:7], Logs()), batches_of(order[:9], Logs())
    one, other = Logs(), Logs()

    heads = []
    for logs in (one, other):
        entries = [*logs.accept(first), *logs.accept(second)]
        heads.append(signed(logs, DAY, 0, entries, LOG))

    assert heads[0] == heads[1]
    assert TRUST.log.name in heads[0].note
