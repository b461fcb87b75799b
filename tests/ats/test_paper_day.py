"""`ats paper --rules FILE`: the file of the backtest, on paper and nowhere else."""

from __future__ import annotations

import io
import sys
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from ats.cli import paper
from ats.demo import paper_day, run, stack
from ats.demo.options import DemoOptions
from ats.demo.stack import Stack
from ats.runtime.child import Child
from ats.settings import load
from schemas.errors import Misconfigured

PORTS = dict.fromkeys(run.SERVICES, 1)
SAID = "import os; print(*(os.environ[n] for n in ('ATS_MODE', 'ATS_RULES', 'DHAN_ORDER_URL')))"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[rules.ema_cross]\nmode = "shadow"\n[rules.rsi_reversal]\n'
        '[rules.macd_cross]\nmode = "off"\n'
    )
    return path


@pytest.fixture
def real_money(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "ats", lambda *_: [sys.executable, "-S", "-c", SAID])
    monkeypatch.setattr(paper_day, "ats", lambda *_: [sys.executable, "-S", "-c", SAID])
    monkeypatch.setenv("ATS_MODE", "self")
    monkeypatch.setenv("DHAN_ORDER_URL", "https://api.dhan.co/v2")


async def told(child: Child) -> list[str]:
    child.start()
    await child.ended(30)
    return child.log.read_text().split()


@pytest.mark.usefixtures("real_money")
async def test_on_a_played_day_all_services_and_the_scout_get_the_file_and_paper_orders(
    rules: Path, tmp_path: Path
) -> None:
    options = DemoOptions(None, 300, 7, False, (), None, rules=rules)
    played = Stack(tmp_path, cache=tmp_path, simulator_arguments=[])

    children = run.processes(played, PORTS, run.settings_of_the_day(options, date(2026, 11, 20)))

    assert {"streams", "scout", "executors"} <= children.keys()
    on_paper = ["paper", str(rules), f"{played.simulator_url}/v2"]
    assert [await told(child) for child in children.values()] == [on_paper] * len(children)


@pytest.mark.usefixtures("real_money")
async def test_on_the_live_feed_every_service_gets_the_file_and_runs_on_paper(
    rules: Path, tmp_path: Path
) -> None:
    children = paper_day.processes(rules, dict.fromkeys(paper_day.SERVICES, 1), tmp_path)

    assert {"streams", "agents", "executors", "paper"} <= children.keys()
    heard = [await told(child) for child in children.values()]
    assert [words[:2] for words in heard] == [["paper", str(rules)]] * len(children)


async def test_the_live_feed_is_refused_to_settings_of_real_money_before_anything_starts(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_day, "_trade", None)

    with pytest.raises(Misconfigured, match="ATS_MODE=self places real orders"):
        await paper_day.run(rules, load(ats_mode="self"), Console(file=io.StringIO()))


def test_a_file_with_a_mistake_is_refused_by_its_field_with_the_words_of_ats_rules_check(
    rules: Path,
) -> None:
    rules.write_text("[rules.ema_cross]\nfats = 3\n")

    with pytest.raises(Misconfigured, match=r"rules\.ema_cross.*'fats' \(did you mean fast"):
        paper_day.check(Console(file=io.StringIO()), rules)


def test_it_says_which_rules_run_in_which_mode(rules: Path) -> None:
    console = Console(file=io.StringIO(), width=100)

    paper_day.check(console, rules)

    assert isinstance(console.file, io.StringIO)
    rows = [line.split("│") for line in console.file.getvalue().splitlines() if "│" in line]
    assert [(row[1].strip(), row[4].strip()) for row in rows] == [
        ("ema_cross", "shadow"),
        ("rsi_reversal", "live"),
    ]
    assert "switched off: macd_cross" in console.file.getvalue()


def test_a_file_that_enables_no_rule_is_refused(rules: Path) -> None:
    rules.write_text("[rules.ema_cross]\nenabled = false\n")

    with pytest.raises(Misconfigured, match="enables no rule"):
        paper_day.check(Console(file=io.StringIO()), rules)


@pytest.mark.parametrize(
    ("account", "words", "market"),
    [
        (True, {}, "live"),
        (True, {"live": False}, "played"),
        (True, {"market": Path("DAY.csv")}, "played"),
        (False, {}, "played"),
        (False, {"live": True}, "live"),  # which then names what is missing
    ],
)
def test_the_market_is_the_live_feed_where_an_account_is_set_and_no_other_day_is_named(
    account: bool,
    words: dict[str, object],
    market: str,
    rules: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen: list[str] = []
    if account:
        monkeypatch.setenv("ADMIN_DHAN_CLIENT_ID", "1100000001")
        monkeypatch.setenv("ADMIN_DHAN_ACCESS_TOKEN", "token")
    monkeypatch.setattr(paper_day, "run", lambda *_: "live")
    monkeypatch.setattr(paper, "finish", chosen.append)
    monkeypatch.setattr(paper, "play", lambda _: chosen.append("played"))

    paper.paper(rules=rules, **words)  # type: ignore[arg-type]

    assert chosen == [market]
