"""Archives without Kafka: what was changed is found, and what cannot be read is named."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from ats.archive.verify import run as verify
from ats.runtime import exit_codes
from audit.archive.manifest import FILE, encoded, read_manifest
from audit.archive.stored import open_archive
from audit.archive.writing import archive_day
from bus.connection import KafkaConnection
from bus.records import TopicPartition
from schemas.errors import Misconfigured
from schemas.topics import ORDERS
from tests.audit.archive_days import a_request
from tests.audit.archive_spoiling import Spoilt, a_manifest, missed_byte, missed_records, verified
from tests.audit.ledger.tampering import DAY, TAMPERINGS, Tampering

NOWHERE = KafkaConnection("127.0.0.1:1")


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Spoilt:
    return Spoilt(tmp_path_factory.mktemp("spoilt"), random.Random("archive"))


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda each: each.__name__)
@pytest.mark.parametrize(("manifest", "ledger"), [(False, False), (True, False), (True, True)])
async def test_a_changed_record_is_found_whatever_hashes_were_computed_again(
    spoilt: Spoilt, tamper: Tampering, *, manifest: bool, ledger: bool
) -> None:
    chance = random.Random(f"{tamper.__name__} {manifest} {ledger}")

    missed = await missed_records(spoilt, chance, tamper, manifest=manifest, ledger=ledger)

    assert missed == []


@pytest.mark.parametrize("cut", [False, True])
def test_a_changed_byte_of_a_file_is_found_in_its_row_group(spoilt: Spoilt, *, cut: bool) -> None:
    chance = random.Random(f"{cut}")

    assert [each for _ in range(4) for each in missed_byte(spoilt, chance, cut=cut)] == []


def test_an_archive_as_it_was_made_has_no_finding(spoilt: Spoilt) -> None:
    assert verified(spoilt.anew()) == []


def test_of_a_partition_that_is_gone_altogether_no_other_one_is_doubted(spoilt: Spoilt) -> None:
    gone = TopicPartition("ats.decisions", 0)
    folder = spoilt.with_records(gone, [], manifest=False, ledger=False)

    places = {each.place for each in verified(folder)}

    last = len(spoilt.day[gone]) - 1
    assert places == {"ats.decisions.parquet", f"{gone}@0 to @{last}"}


def test_a_file_of_another_topic_is_not_believed(spoilt: Spoilt) -> None:
    folder = spoilt.anew()
    shutil.copy(folder / "ats.decisions.parquet", folder / "ats.orders.parquet")

    assert any(each.place.startswith("ats.orders-0@") for each in verified(folder))


def test_a_folder_with_the_name_of_another_day_is_found(spoilt: Spoilt) -> None:
    folder = spoilt.anew()

    other = folder.rename(folder.with_name("2026-11-23"))

    assert [each.what for each in verified(other)] == [f"is of {DAY}, and the folder is 2026-11-23"]


def test_a_file_that_the_manifest_does_not_name_is_found_as_readers_of_all_files_read_it(
    spoilt: Spoilt,
) -> None:
    folder = spoilt.anew()
    shutil.copy(folder / "ats.orders.parquet", folder / "ats.orders-2.parquet")

    assert [each.place for each in verified(folder)] == ["ats.orders-2.parquet"]


@pytest.mark.parametrize("name", [FILE, "ats.orders.parquet"])
def test_what_stands_in_a_file_s_place_and_is_none_is_found_and_not_waited_for(
    spoilt: Spoilt, name: str
) -> None:
    path = spoilt.anew() / name
    path.unlink()
    os.mkfifo(path)

    assert [(each.place, "is no file" in each.what) for each in verified(path.parent)] == [
        (name, True)
    ]


async def test_a_day_that_lost_its_manifest_is_named_and_the_other_days_are_judged(
    spoilt: Spoilt, capsys: pytest.CaptureFixture[str]
) -> None:
    days = spoilt.anew().parent
    (days / "2026-11-23").mkdir()

    code = await verify(days, as_json=True)

    judged = orjson.loads(capsys.readouterr().out)
    assert {each["day"]: each["intact"] for each in judged} == {str(DAY): True, "2026-11-23": False}
    assert code == exit_codes.BROKEN
    with pytest.raises(Misconfigured, match=r"2026-11-23/manifest\.json cannot be read"):
        open_archive(days)


def test_days_of_two_clusters_in_one_folder_are_not_read_as_one_record(
    spoilt: Spoilt, tmp_path: Path
) -> None:
    place = TopicPartition(ORDERS.name, 0)
    first, *rest = spoilt.day[place]
    shutil.copytree(spoilt.folder, tmp_path / str(DAY))
    theirs = [replace(first, value=b"of another cluster"), *rest]
    other = spoilt.with_records(place, theirs, manifest=True, ledger=False)
    shutil.copytree(other, tmp_path / "2026-11-23")

    with pytest.raises(Misconfigured, match=rf"{first} is one record in one day and another"):
        list(open_archive(tmp_path).records(ORDERS, 0))


def edited(folder: Path, change: str) -> Path:
    path = folder / FILE
    manifest = orjson.loads(path.read_bytes())
    topic = manifest["topics"]["ats.orders"]
    if change == "rows":
        topic["rows"] += 1
    elif change == "path":
        topic["file"] = "../../etc/passwd"
    elif change == "topic":
        manifest["topics"]["../ats.orders"] = topic
    path.write_bytes(orjson.dumps(manifest) if change != "half" else path.read_bytes()[:500])
    return folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("rows", "was changed: its own digest is of other contents"),
        ("path", "'../../etc/passwd' is not the file of ats.orders"),
        ("topic", "'../ats.orders' is no topic of ours"),
        ("half", "is no manifest of an archive"),
    ],
)
def test_an_edited_manifest_is_refused_in_one_line_that_says_why(
    spoilt: Spoilt, change: str, says: str
) -> None:
    folder = edited(spoilt.anew(), change)

    with pytest.raises(Misconfigured) as refused:
        open_archive(folder)

    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_cut_off_file_is_refused_before_anything_of_it_is_read(spoilt: Spoilt) -> None:
    folder = spoilt.anew()
    path = folder / "ats.orders.parquet"
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(Misconfigured, match=r"ats.orders.parquet has [\d,]+ bytes, the manifest"):
        open_archive(folder)


def test_a_flipped_byte_is_refused_when_it_is_read(spoilt: Spoilt) -> None:
    path = spoilt.anew() / "ats.orders.parquet"
    group, whole = pq.read_metadata(path).row_group(0), bytearray(path.read_bytes())
    columns = {group.column(each).path_in_schema: each for each in range(group.num_columns)}
    value = group.column(columns["value"])
    whole[value.data_page_offset + value.total_compressed_size - 1] ^= 1
    path.write_bytes(whole)

    with pytest.raises(Misconfigured, match="`ats archive verify` tells what is wrong"):
        list(open_archive(path.parent).records(ORDERS, 0))


def test_a_folder_without_an_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="is no archive: make one with `ats archive DATE`"):
        open_archive(tmp_path)


async def test_where_nothing_can_be_written_one_line_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Misconfigured, match=r"file cannot be written: Not a directory"):
        await archive_day(NOWHERE, a_request(tmp_path / "file"), lambda *_: None)


def test_a_topic_that_is_younger_than_the_archive_is_empty(spoilt: Spoilt) -> None:
    folder = spoilt.anew()
    topics = dict(read_manifest(folder).topics)
    (folder / topics.pop(ORDERS.name).file).unlink()
    (folder / FILE).write_bytes(encoded(a_manifest(topics)))

    stored = open_archive(folder)

    assert list(stored.records(ORDERS, 0)) == []
    assert stored.extents([ORDERS]) == {TopicPartition(ORDERS.name, 0): (0, 0)}
