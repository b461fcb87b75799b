"""docker-compose.yml, checked as far as it can be without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml
from typer.main import get_command

from agents.providers import PROVIDERS
from ats.cli import app
from ats.commands.web import Page
from ats.demo.stack import secret_settings
from ats.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {
    name: service
    for name, service in COMPOSE["services"].items()
    if service.get("image") == "ats:local"
}
NEEDED = {
    "POSTGRES_PASSWORD": "x",
    "JWT_SECRET": "y",
    "SUPABASE_SERVICE_KEY": "z",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "a",
    "ATS_CLOCK": "wall",
}


def client() -> list[str]:
    if (
        shutil.which("docker")
        and subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False
        ).returncode
        == 0
    ):
        return ["docker", "compose"]
    pytest.skip("no `docker compose` (version 2) client on this machine")


def test_the_compose_client_accepts_the_file() -> None:
    command = [*client(), "-f", str(ROOT / "docker-compose.yml"), "config", "-q"]

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **NEEDED},
    )

    assert done.returncode == 0, done.stderr


def test_a_missing_secret_is_named_by_the_compose_client() -> None:
    command = [*client(), "-f", str(ROOT / "docker-compose.yml"), "config", "-q"]

    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin"},
    )

    assert done.returncode != 0
    assert re.search("|".join(NEEDED), done.stderr)


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_runs_a_command_that_exists(name: str) -> None:
    group = get_command(app)
    for word in OURS[name]["command"]:
        if word.startswith("-"):
            break
        group = group.commands[word]  # type: ignore[attr-defined]

    assert group.name


@pytest.mark.parametrize("name", OURS)
def test_every_variable_we_pass_is_a_setting(name: str) -> None:
    settings = {field.upper() for field in Settings.model_fields}

    assert set(OURS[name]["environment"]) <= settings


@pytest.mark.parametrize("name", OURS)
def test_nothing_of_a_replay_is_the_default(name: str) -> None:
    environment = OURS[name]["environment"]

    assert environment["ATS_CLOCK"].startswith("${ATS_CLOCK:?")
    assert environment["ATS_TRADING_DATE"] == "${ATS_TRADING_DATE:-}"
    assert environment["ATS_CALENDAR"] == "${ATS_CALENDAR:-}"
    assert "sample" not in environment.get("ATS_NEWS", "")


def test_every_long_running_service_of_the_command_line_is_composed() -> None:
    services = {"feed", "streams", "agents", "executors", "books", "read-gateway", "paper"}

    assert services <= set(OURS)


def test_paper_accounts_outlive_the_container_of_ats_paper() -> None:
    paper = OURS["paper"]

    (kept,) = paper["volumes"]
    volume, _, folder = kept.partition(":")
    assert volume in COMPOSE["volumes"]
    assert folder == paper["environment"]["ATS_STATE_DIR"]
    assert f"mkdir {Path(folder).name}" in (ROOT / "Dockerfile").read_text()


def test_no_port_is_open_to_the_world() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_files_the_services_mount_exist() -> None:
    mounts = [
        volume
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]

    assert mounts
    assert all((ROOT / mount.split(":")[0]).is_file() for mount in mounts)


def test_the_page_gets_what_it_reads_and_shares_the_network_of_what_it_asks() -> None:
    page, services = COMPOSE["services"]["page"], COMPOSE["services"]
    asked = ("page", "read-gateway", "gateway")
    open_ports = {port.rpartition(":")[2] for port in services["simulator"]["ports"]}
    addresses = {
        httpx.URL(value)
        for name, value in page["environment"].items()
        if name.endswith("_URL") and value.startswith("http")
    }

    assert set(page["environment"]) == set(Page("", "", "", "", "", "").env())
    assert {services[name]["network_mode"] for name in asked} == {"service:simulator"}
    assert {(each.host, str(each.port)) for each in addresses} == {
        ("127.0.0.1", "8000"),
        ("127.0.0.1", "8792"),
    }
    assert {"3000", "8000", "8792"} <= open_ports


def test_the_image_of_the_page_copies_files_that_exist() -> None:
    web = ROOT / COMPOSE["services"]["page"]["build"]
    copied = re.findall(
        r"^COPY (?!--from)(.+) \S+$", (web / "Dockerfile").read_text(), re.MULTILINE
    )

    assert copied
    assert [name for names in copied for name in names.split() if not (web / name).exists()] == []


@pytest.mark.parametrize("name", sorted(set(OURS) - {"simulator"}))
def test_paper_orders_stay_on_the_loopback_address_that_service_and_simulator_share(
    name: str,
) -> None:
    assert OURS[name]["network_mode"] == "service:simulator"
    assert "network_mode" not in OURS["simulator"]


def test_each_service_gets_the_secrets_it_uses_and_no_other() -> None:
    given = {
        name: set(service["environment"]) & secret_settings() for name, service in OURS.items()
    }

    assert given == {
        "simulator": {"ADMIN_DHAN_ACCESS_TOKEN"},
        "topics": set(),
        "migrations": {"SUPABASE_DB_URL"},
        "feed": {"ADMIN_DHAN_ACCESS_TOKEN"},
        "streams": set(),
        "agents": {"ADMIN_DHAN_ACCESS_TOKEN", "SUPABASE_SERVICE_KEY"}
        | {"ATS_MODEL_API_KEY", "ATS_SMALL_MODEL_API_KEY"}
        | {provider.key for provider in PROVIDERS.values()},
        "executors": {"SUPABASE_SERVICE_KEY"},
        "books": {"SUPABASE_SERVICE_KEY"},
        "read-gateway": {"SUPABASE_JWT_SECRET"},
        "paper": set(),
    }


def test_no_secret_comes_to_a_service_by_a_file() -> None:
    named = [name for name, service in OURS.items() if {"env_file", "secrets"} & set(service)]

    assert named == []
