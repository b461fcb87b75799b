from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ats.commands.simulator import SimulatorOptions, announcement, config_of, serve
from ats.settings import Settings
from schemas.errors import Misconfigured
from simulator.config import SimulatedUser
from simulator.faults import FaultKind
from simulator.market.characters import DayProfile


def asked(**changed: Any) -> SimulatorOptions:
    plain: dict[str, Any] = {
        "port": 0, "market": None, "generators": (), "instruments": 21, "options": (), "speed": 1.0,
        "seed": 7, "day": None,
        "wait": True, "faults": None, "users": 1, "packets_per_frame": 1,
        "redirect_url": "http://127.0.0.1:1/back",
    }  # fmt: skip
    return SimulatorOptions(**(plain | changed))


def settings(**changed: str) -> Settings:
    return Settings.model_validate(changed)


def test_the_plain_command_is_a_trending_market_with_options_for_one_invented_user() -> None:
    config = config_of(asked(), settings())

    assert (config.shares, config.character, config.options, config.day) == (
        20,
        "trending",
        ("NIFTY",),
        date(2026, 11, 20),
    )
    assert [user.client_id for user in config.users] == ["1000000001"]
    assert not config.autostart


def test_kinds_of_day_instruments_users_and_faults_reach_the_simulator(tmp_path: Path) -> None:
    script = tmp_path / "faults.yaml"
    script.write_text("seed: 5\nfaults:\n  - {kind: reset}\n")

    config = config_of(
        asked(
            generators=("calm", "TCS=crash"),
            instruments=5_000,
            options=("none",),
            users=3,
            faults=script,
        ),
        settings(),
    )

    assert (config.character, dict(config.characters)) == (
        DayProfile.CALM,
        {"TCS": DayProfile.CRASH},
    )
    assert (config.shares, config.options, len({user.token for user in config.users})) == (
        4_999,
        (),
        3,
    )
    assert ([fault.kind for fault in config.faults], config.fault_seed) == ([FaultKind.RESET], 5)


def test_a_replay_takes_its_day_from_the_file_unless_one_is_chosen(tmp_path: Path) -> None:
    file = tmp_path / "day.csv"
    file.write_text("symbol,timestamp,open,high,low,close,volume\n")

    assert config_of(asked(market=file), settings()).day is None
    assert config_of(asked(market=file, day=date(2024, 1, 2)), settings()).day == date(2024, 1, 2)
    assert config_of(asked(market=file, options=("none",)), settings()).options == ()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"generators": ("lively",)}, "--generator 'lively'"),
        ({"generators": ("TCS=lively",)}, "calm, trending"),
        ({"users": 0}, "--users 0"),
        ({"market": Path("x.csv"), "generators": ("calm",)}, "--market"),
        ({"faults": Path("gone.yaml")}, "gone.yaml"),
    ],
)
def test_an_option_that_means_nothing_is_named(change: dict[str, Any], names: str) -> None:
    with pytest.raises(Misconfigured, match=re.escape(names)):
        config_of(asked(**change), settings())


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(
            Misconfigured, match=f"--port {port} cannot be had: Address already in use"
        ):
            await serve(asked(port=port))


def test_the_announcement_names_every_credential_but_a_token_of_the_users_own() -> None:
    config = config_of(
        asked(users=2),
        settings(ADMIN_DHAN_CLIENT_ID="1100000001", ADMIN_DHAN_ACCESS_TOKEN="my-own-token"),
    )

    text = announcement("http://127.0.0.1:8790", config, own_token=True)

    assert "my-own-token" not in text
    assert "1100000001" in text
    other: SimulatedUser = config.users[1]
    for shown in (
        other.client_id,
        other.token,
        other.pin,
        other.totp_secret,
        "simulated-app",
        "ws://127.0.0.1:8790/feed",
    ):
        assert shown in text


def test_the_command_prints_addresses_that_answer() -> None:
    words = [
        sys.executable,
        "-m",
        "ats",
        "simulator",
        "--port",
        "0",
        "--wait",
        "--instruments",
        "2",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            text = "".join(
                iter(
                    process.stdout.readline,
                    "The documentation shows how to point dhanhq here. Ctrl-C ends it.\n",
                )
            )
            (url,) = set(re.findall(r"DHAN_INSTRUMENTS_URL=(\S+)", text))
            master = urllib.request.urlopen(url, timeout=10).read().decode()
        finally:
            process.terminate()
            process.wait(20)

    assert "RELIANCE" in master
    assert "OPTIDX" in master
