from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import orjson
import psutil
import pytest

from ats.runtime.running_demo import FOLDER, announced, running

KAFKA = "127.0.0.1:19092"


def test_a_demo_is_found_while_it_runs_and_not_after(tmp_path: Path) -> None:
    assert running(tmp_path) is None

    with announced(tmp_path, KAFKA):
        found = running(tmp_path)
        assert found is not None
        assert (found.kafka, found.pid) == (KAFKA, psutil.Process().pid)

    assert running(tmp_path) is None
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_where_its_database_and_keys_are_is_told_where_something_trades(tmp_path: Path) -> None:
    keys = tmp_path / "supabase"

    with announced(tmp_path, KAFKA, supabase="http://127.0.0.1:9", keys=keys):
        trading = running(tmp_path)
    with announced(tmp_path, KAFKA):
        served = running(tmp_path)

    assert trading
    assert served
    assert (trading.supabase, trading.keys) == ("http://127.0.0.1:9", str(keys))
    assert (served.supabase, served.keys) == ("", "")


def test_it_is_taken_away_when_the_demo_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), announced(tmp_path, KAFKA):
        raise RuntimeError

    assert list((tmp_path / FOLDER).iterdir()) == []


def test_what_a_killed_demo_left_is_ignored(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from ats.runtime.running_demo import "
        "announced\n"
        f"with announced(Path(sys.argv[1]), {KAFKA!r}): print(flush=True); time.sleep(60)"
    )
    demo = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert demo.stdout
    demo.stdout.readline()
    found = running(tmp_path)
    assert found is not None
    assert found.pid == demo.pid

    demo.send_signal(signal.SIGKILL)
    demo.wait(10)

    assert running(tmp_path) is None
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


def test_another_process_with_the_id_of_a_dead_demo_is_not_the_demo(tmp_path: Path) -> None:
    with announced(tmp_path, KAFKA) as ours:
        said = asdict(ours) | {"began": ours.began - 3_600}
        (tmp_path / FOLDER / f"{ours.pid}.json").write_bytes(orjson.dumps(said))

        assert running(tmp_path) is None


@pytest.mark.parametrize("text", [b"", b"[]", b'{"kafka": 1}', b"\xff"])
def test_a_file_that_is_not_ours_is_ignored(tmp_path: Path, text: bytes) -> None:
    with announced(tmp_path, KAFKA):
        (tmp_path / FOLDER / "0.json").write_bytes(text)

        found = running(tmp_path)

    assert found is not None
