"""`ats tail`: entries, filters, units, and the command on a real broker."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from ats.commands.tail.command import TailOptions, moment, printer, start_of
from ats.commands.tail.entries import Entry, entries_of
from ats.commands.tail.reading import FIRST_WINDOW, Last, Reading, Start
from ats.commands.tail.show import json_line, said, text
from ats.commands.tail.where import conditions_of, match
from ats.embedded.kafka import EmbeddedKafka
from ats.runtime import exit_codes
from ats.runtime.running_demo import announced
from bus.connection import KafkaConnection
from bus.publisher import Publisher
from bus.records import Output, Record
from bus.topics import create_topics
from schemas import topics
from schemas.cloud_events import headers_of
from schemas.codec import encode
from schemas.errors import Misconfigured
from schemas.messages import Message
from schemas.topics import PartitionPlan, Topic
from schemas.units import IST, Price, UtcNs
from streams.columns.names import INDICATOR_COLUMNS
from tests.ats.factories import OPEN, TCS, a_batch, a_decision, a_record, a_signal, recorded
from tests.schemas.factories import a_scan

TWO = PartitionPlan(instrument=2, user=2)


def entries(topic: Topic, record: Record) -> list[Entry]:
    return list(entries_of(topic, record))


def the_entry(topic: Topic, message: Message) -> Entry:
    (entry,) = entries(topic, recorded(topic, message, published_at=OPEN))
    return entry


def a_person_sees(entry: Entry) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(text(entry), soft_wrap=True)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


# --- for machines


def test_a_json_line_says_where_the_record_stands_and_repeats_its_value_as_it_is() -> None:
    record = replace(
        recorded(topics.DECISIONS, a_decision(), published_at=1_000_000),
        headers={"ats-cause": b"12:0"},
    )

    (entry,) = entries(topics.DECISIONS, record)

    assert json.loads(json_line(entry)) == {
        "topic": "ats.decisions",
        "partition": 0,
        "offset": 0,
        "published_at": 1_000_000,
        "key": "key",
        "headers": {"ats-cause": "12:0"},
        "value": json.loads(encode(a_decision())),
    }


def test_a_person_is_not_told_in_headers_what_the_value_says() -> None:
    value = encode(a_decision())
    event = dict(headers_of(topics.DECISIONS, b"key", value))
    record = replace(a_record(topics.DECISIONS, value), headers={"ats-cause": b"12:0", **event})

    (entry,) = entries(topics.DECISIONS, record)

    assert a_person_sees(entry).splitlines()[0].endswith("key key  ats-cause 12:0")
    assert set(event) < set(entry.headers)


def test_each_tick_of_a_binary_record_is_a_line_with_its_row() -> None:
    lines = [
        json.loads(json_line(entry))
        for entry in entries(topics.TICKS, a_record(topics.TICKS, a_batch(2), offset=7))
    ]

    assert [(line["offset"], line["row"]) for line in lines] == [(7, 0), (7, 1)]
    assert lines[0]["value"]["instrument"] == "NSE_EQ:0"
    assert lines[0]["value"]["price"] == 100
    assert lines[0]["value"]["exchange_time"] == OPEN


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (topics.DECISIONS, b"\xff\xfe not JSON"),
        (topics.DECISIONS, b"[" * 500 + b"]" * 500),
        (topics.DECISIONS, b'{"symbol": "TCS"}'),
        (topics.DECISIONS, b"[1]"),
        (topics.TICKS, b"AT"),
        (topics.TICKS, b"AH" + b"\0" * 10),
        (topics.TICKS, a_batch(2)[:-1]),
    ],
    ids=["text", "too deep", "no decision", "list", "short", "short history", "cut"],
)
def test_an_odd_record_is_shown_as_odd_with_its_bytes_or_its_json(
    topic: Topic, value: bytes
) -> None:
    (entry,) = entries(topic, a_record(topic, value))

    line = json.loads(json_line(entry))

    assert line["unreadable"]
    assert (line["value"] is None) != (line.get("raw") is None)
    assert "unreadable" in a_person_sees(entry)


def test_a_tombstone_of_a_compacted_topic_is_not_odd() -> None:
    record = replace(a_record(topics.MANIFEST_CONTENTS, b""), value=None)

    (entry,) = entries(topics.MANIFEST_CONTENTS, record)

    assert json.loads(json_line(entry))["value"] is None
    assert not entry.odd
    assert "deleted" in a_person_sees(entry)


# --- for people


def test_a_person_sees_rupees_and_indian_time() -> None:
    entry = the_entry(topics.DECISIONS, a_decision(reference_price=Price(312_050)))

    seen = a_person_sees(entry)

    assert "reference_price ₹3,120.50" in seen
    assert "valid_until 2026-11-20 09:22:00.000 IST" in seen
    assert seen.startswith("2026-11-20 09:15:00.000 IST  ats.decisions-0@0  key key")


def test_prices_among_the_values_of_a_bar_are_rupees_and_the_others_are_not() -> None:
    features = {"ema_9": 300_000.0, "previous_close": 250_000.0, "rsi_14": 55.123456789}
    entry = the_entry(topics.SIGNALS, a_signal().model_copy(update={"features": features}))

    seen = a_person_sees(entry)

    assert "ema_9: ₹3,000.00" in seen
    assert "previous_close: ₹2,500.00" in seen
    assert "rsi_14: 55.1235" in seen


def test_every_column_of_the_engine_can_be_shown() -> None:
    for name in INDICATOR_COLUMNS:
        assert said({name: 1.0}, dict[str, float]) in (f"{{{name}: 1}}", f"{{{name}: ₹0.01}}")


def test_a_text_from_outside_can_neither_steer_nor_colour_the_terminal() -> None:
    entry = the_entry(topics.DECISIONS, a_decision(reasoning="\x1b[2J[red]gone[/]"))

    assert "\\u001b[2J[red]gone[/]" in a_person_sees(entry)


@pytest.mark.parametrize("odd", ["\x9b2J", "\x7f", "\u202eabc", "\u2066", "\u2028", "\U000e0001"])
def test_neither_form_passes_controls_or_turns_the_writing_round(odd: str) -> None:
    entry = the_entry(topics.DECISIONS, a_decision(reasoning=odd))

    line = json_line(entry)

    assert line.isprintable()
    assert a_person_sees(entry).replace("\n", "").isprintable()
    assert json.loads(line)["value"]["reasoning"] == odd


def test_a_terminal_gets_units_a_pipe_gets_json_and_an_option_overrules() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    entry = the_entry(topics.DECISIONS, a_decision())
    terminal, forced, pipe = Terminal(), Terminal(), io.StringIO()

    printer(terminal, as_json=False)(entry)
    printer(forced, as_json=True)(entry)
    printer(pipe, as_json=False)(entry)

    assert "₹" in terminal.getvalue()
    assert forced.getvalue() == pipe.getvalue() == json_line(entry) + "\n"


# --- filters


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        (["symbol=TCS"], True),
        (["symbol=tcs"], True),
        (["symbol=INFY"], False),
        (["symbol=TCS", "action=SELL"], False),
        (["confidence=70"], True),
        (["confidence=seventy"], False),
        (["causation_id=null"], True),
        (["instrument=NSE_EQ:11536", "action=BUY"], True),
    ],
)
def test_every_condition_must_hold(words: list[str], holds: bool) -> None:
    entry = the_entry(topics.DECISIONS, a_decision())

    assert match(entry, conditions_of(words, [topics.DECISIONS])) is holds


@pytest.mark.parametrize(
    ("word", "holds"),
    [
        ("entries.symbol=RELIANCE", True),
        ("entries.features.rsi_14=55.5", True),
        ("entries.symbol=TCS", False),
        ("entries.features.nonsense=1", False),
    ],
)
def test_a_dotted_path_leads_inside_and_through_lists(word: str, holds: bool) -> None:
    entry = the_entry(topics.SCANS, a_scan())

    assert match(entry, conditions_of([word], [topics.SCANS])) is holds


def test_ticks_are_filtered_by_their_instrument() -> None:
    conditions = conditions_of(["instrument=NSE_EQ:0", "price=100"], [topics.TICKS])

    shown = [
        entry
        for entry in entries(topics.TICKS, a_record(topics.TICKS, a_batch(3)))
        if match(entry, conditions)
    ]

    assert len(shown) == 3


def test_what_cannot_be_read_is_never_filtered_away() -> None:
    (entry,) = entries(topics.DECISIONS, a_record(topics.DECISIONS, b"odd"))

    assert match(entry, conditions_of(["symbol=TCS"], [topics.DECISIONS]))


@pytest.mark.parametrize(
    ("word", "of", "said"),
    [
        ("symbol=TCS", topics.SIGNALS, r"symbol: ats\.signals has no such field; it has .*rule"),
        ("symbol=TCS", topics.TICKS, r"ats\.ticks has no such field; it has instrument"),
        ("entries.colour=x", topics.SCANS, r"entries\.colour: .*; entries has scan_id, instr"),
        ("symbol.name=x", topics.DECISIONS, "symbol has no fields"),
        ("symbol", topics.DECISIONS, "FIELD=VALUE"),
        ("=TCS", topics.DECISIONS, "FIELD=VALUE"),
        ("entries..symbol=x", topics.SCANS, "FIELD=VALUE"),
    ],
)
def test_a_field_that_is_not_there_is_answered_with_those_that_are(
    word: str, of: Topic, said: str
) -> None:
    with pytest.raises(Misconfigured, match=said):
        conditions_of([word], [of])


@pytest.mark.parametrize("topic", topics.CATALOGUE, ids=lambda topic: topic.name)
def test_a_field_of_nowhere_is_refused_on_every_topic(topic: Topic) -> None:
    with pytest.raises(Misconfigured, match="no such field"):
        conditions_of(["nowhere=1"], [topic])


# --- where to begin

NOON = UtcNs(OPEN + UtcNs.minutes(165))


@pytest.mark.parametrize(
    ("words", "clock"),
    [
        ("09:15", "2026-11-20 09:15:00"),
        ("9:15:30", None),
        ("09:15:30", "2026-11-20 09:15:30"),
        ("2026-11-19", "2026-11-19 00:00:00"),
        ("2026-11-19T10:00", "2026-11-19 10:00:00"),
        ("2026-11-19T04:30:00Z", "2026-11-19 10:00:00"),
        ("15m", "2026-11-20 11:45:00"),
        ("2h", "2026-11-20 10:00:00"),
        ("1d", "2026-11-19 12:00:00"),
        ("yesterday", None),
        ("25:00", None),
        ("9999999999d", None),
    ],
)
def test_a_moment_is_a_time_of_today_a_date_or_a_span_back(words: str, clock: str | None) -> None:
    if clock is None:
        with pytest.raises(Misconfigured, match="--since"):
            moment(words, NOON)
    else:
        assert f"{moment(words, NOON).ist():%Y-%m-%d %H:%M:%S}" == clock
        assert moment(words, NOON).ist().tzinfo is IST


def options(**changes: object) -> TailOptions:
    whole = TailOptions(["ats.scans"], (), None, False, "", False, False)
    return replace(whole, **changes)  # type: ignore[arg-type]


def test_the_last_ten_are_the_beginning_when_nothing_else_is_asked() -> None:
    assert start_of(options(), NOON) == Last(10)
    assert start_of(options(last=3), NOON) == Last(3)
    assert start_of(options(from_beginning=True), NOON) == "start"


def test_two_beginnings_are_one_too_many() -> None:
    with pytest.raises(Misconfigured, match="--last and --since"):
        start_of(options(last=3, since="09:15"), NOON)


# --- on a real broker


@pytest.fixture
async def decisions(kafka: EmbeddedKafka) -> Topic:
    """A topic of decisions that is this test's own, in two partitions."""
    topic = replace(topics.DECISIONS, name=f"t{uuid4().hex[:8]}.decisions")
    await create_topics(KafkaConnection(kafka.bootstrap_servers), TWO, topics=[topic])
    return topic


async def publish(kafka: EmbeddedKafka, topic: Topic, numbers: Sequence[int]) -> None:
    """Decisions whose confidence is their number; even and odd numbers in a partition each."""
    async with Publisher(KafkaConnection(kafka.bootstrap_servers)) as publisher:
        for number in numbers:
            value = encode(a_decision(confidence=number))
            await publisher.send_and_wait(Output(topic, str(TCS).encode(), value, number % 2))


async def read(
    kafka: EmbeddedKafka, topic: Topic, start: Start, where: Sequence[str] = ()
) -> list[int]:
    reading = Reading(
        KafkaConnection(kafka.bootstrap_servers), [topic], conditions_of(where, [topic])
    )
    return [entry.value["confidence"] async for entry in reading.entries(start, follow=False)]


async def test_the_last_entries_are_the_newest_of_all_partitions_in_order_of_time(
    kafka: EmbeddedKafka, decisions: Topic
) -> None:
    await publish(kafka, decisions, range(9))

    assert await read(kafka, decisions, Last(4)) == [5, 6, 7, 8]
    assert await read(kafka, decisions, Last(40)) == list(range(9))


async def test_the_last_that_match_are_found_however_far_back_they_stand(
    kafka: EmbeddedKafka, decisions: Topic
) -> None:
    await publish(kafka, decisions, [7, 9, *[11] * (FIRST_WINDOW * 6)])

    assert await read(kafka, decisions, Last(3), ["confidence=7"]) == [7]
    assert await read(kafka, decisions, Last(1), ["confidence=9"]) == [9]


async def test_from_the_beginning_everything_comes_once(
    kafka: EmbeddedKafka, decisions: Topic
) -> None:
    await publish(kafka, decisions, range(9))

    assert sorted(await read(kafka, decisions, "start")) == list(range(9))


async def test_following_begins_where_the_last_entries_ended(
    kafka: EmbeddedKafka, decisions: Topic
) -> None:
    await publish(kafka, decisions, [1, 2, 3])
    followed = Reading(KafkaConnection(kafka.bootstrap_servers), [decisions]).entries(
        Last(2), follow=True
    )

    seen = [(await anext(followed)).value["confidence"] for _ in range(2)]
    await publish(kafka, decisions, [4, 5])
    seen += sorted([(await anext(followed)).value["confidence"] for _ in range(2)])
    await followed.aclose()

    assert seen == [2, 3, 4, 5]


# --- the command


@pytest.fixture
async def filled(kafka: EmbeddedKafka) -> EmbeddedKafka:
    """A broker whose `ats.fanouts` holds more odd records than a pipe's buffer."""
    connection = KafkaConnection(kafka.bootstrap_servers)
    await create_topics(connection, TWO, topics=[topics.FANOUTS])
    async with Publisher(connection) as publisher:
        for _ in range(300):
            output = Output(topics.FANOUTS, b"NSE_EQ:1", b'"%s"' % (b"x" * 1_000), 0)
            await publisher.send(output)
        await publisher.flush()
    return kafka


def tail(*words: str, **env: str) -> subprocess.Popen[bytes]:
    bare = {"PATH": os.environ["PATH"], "ATS_ENV_FILE": os.devnull, "HOME": str(Path.home())}
    return subprocess.Popen(
        [sys.executable, "-m", "ats", "tail", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=bare | env,
        # a suite that runs in the background of a script ignores SIGINT, and its children too
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(filled: EmbeddedKafka) -> None:
    process = tail(
        "ats.fanouts", "--from-beginning", KAFKA_BOOTSTRAP_SERVERS=filled.bootstrap_servers
    )
    assert process.stdout is not None
    assert process.stderr is not None

    first = json.loads(process.stdout.readline())
    process.stdout.close()

    assert first["unreadable"]
    assert process.stderr.read() == b""
    assert process.wait() == exit_codes.DONE


def test_ctrl_c_ends_it_without_a_word(filled: EmbeddedKafka) -> None:
    process = tail(
        "ats.fanouts", "--last", "1", "--follow", KAFKA_BOOTSTRAP_SERVERS=filled.bootstrap_servers
    )
    assert process.stdout is not None
    assert process.stdout.readline()

    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()

    assert errors == b""
    assert process.returncode == exit_codes.INTERRUPTED


def test_without_a_setting_the_running_demo_is_found(filled: EmbeddedKafka, tmp_path: Path) -> None:
    with announced(tmp_path, filled.bootstrap_servers):
        out, errors = tail("ats.fanouts", "--last", "2", ATS_STATE_DIR=str(tmp_path)).communicate()

    assert len(out.splitlines()) == 2
    assert filled.bootstrap_servers in errors.decode()


def test_an_empty_result_is_said_and_is_no_failure(filled: EmbeddedKafka) -> None:
    process = tail("ats.fanouts", "--since", "0s", KAFKA_BOOTSTRAP_SERVERS=filled.bootstrap_servers)
    out, errors = process.communicate()

    assert out == b""
    assert b"nothing on ats.fanouts" in errors
    assert process.returncode == exit_codes.DONE
