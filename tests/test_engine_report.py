"""The report of `benchmarks.engine`: the page holds the recorded run, targets are judged right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import _peers
from benchmarks._engine_report import (
    PLACE,
    Measured,
    Row,
    Run,
    last_run,
    markdown,
    verdicts,
)
from benchmarks._indicators import Pace


def run_of(one_tick: float, at_25: float, peers: dict[str, Pace]) -> Run:
    """A run in which a record of one tick takes `one_tick` µs."""
    finals = Pace(1e7, 1e7)
    rows = [Row(1, Pace(1e6 / one_tick, 1.0), finals), Row(25, Pace(at_25, 1.0), finals)]
    return Run({}, {}, [Measured(50, peers, rows)])


def test_the_page_has_the_figures_of_the_last_recorded_run_and_no_others() -> None:
    assert PLACE.shown() == markdown(last_run())


def test_targets_are_met_from_their_bound_on_and_missed_below() -> None:
    peers = {"nautilus 2": Pace(1e5, 1e5), "crate 0.6": Pace(2.5e6 / 15, 1.0)}

    met, missed = run_of(1.5, 2.5e6, peers), run_of(1.51, 2.49e6, peers)

    assert all(line.endswith(", met.") for line in verdicts(met))
    assert all(", missed" in line for line in verdicts(missed))


def test_a_missed_target_says_what_a_record_costs_and_how_much_of_it_besides_its_ticks() -> None:
    _, against_nautilus, _ = verdicts(run_of(0.25, 2e6, {"nautilus 2": Pace(1e5, 1e5)}))

    reason = "a record may take 10.0 µs and takes 12.5, 6.2 of them however many ticks it holds."
    assert against_nautilus.endswith(reason)


def test_a_target_against_a_peer_that_did_not_run_is_neither_met_nor_missed() -> None:
    _, *against = verdicts(run_of(1.0, 1e9, {"talib 0.8": Pace(1.0, 1.0)}))

    assert [line.endswith("it did not run.") for line in against] == [True, True]


def test_without_cargo_the_crate_is_missing_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_peers, "PYENV", tmp_path)

    found, missing = _peers.peers()

    assert "crate" not in {peer.name for peer in found}
    assert missing["crate"] == "no cargo found: install Rust"


def test_without_a_newer_python_nautilus_is_missing_with_the_variable_that_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(_peers.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_peers, "PYENV", tmp_path)

    found, missing = _peers.peers()

    assert "nautilus" not in {peer.name for peer in found}
    assert _peers.VARIABLE in missing["nautilus"]
