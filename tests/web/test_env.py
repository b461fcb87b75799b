"""What `web/src/lib/env.ts` takes for an environment, asked of the module itself."""

from __future__ import annotations

import json
import subprocess

import pytest

from ats.commands import web

GOOD = {
    "NEXT_PUBLIC_APP_URL": "https://ats.example.com",
    "NEXT_PUBLIC_SUPABASE_URL": "https://project.example.com",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY": "sb_publishable_key",
    "DHAN_APP_ID": "the-app",
    "DHAN_APP_SECRET": "the-secret",
}
# reads environments from stdin, writes what readEnvironment says of each: null is well
SCRIPT = """
const { readFileSync } = require("node:fs");
const { transpileModule, ModuleKind } = require("typescript");
const source = readFileSync("src/lib/env.ts", "utf8");
const compilerOptions = { module: ModuleKind.CommonJS };
const { outputText } = transpileModule(source, { compilerOptions });
const env = {};
new Function("exports", "process", outputText)(env, process);
const said = JSON.parse(readFileSync(0, "utf8")).map((variables) => {
  try { env.readEnvironment(variables); return null } catch (error) { return error.message }
});
process.stdout.write(JSON.stringify(said));
"""


def problems(*changes: dict[str, str]) -> list[str | None]:
    done = subprocess.run(
        [str(web.node()), "-e", SCRIPT],
        input=json.dumps([GOOD | change for change in changes]),
        cwd=web.WEB,
        env=web.node_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: list[str | None] = json.loads(done.stdout)
    return said


def of_addresses(*addresses: str) -> dict[str, str | None]:
    said = problems(*({"DHAN_AUTH_URL": address} for address in addresses))
    return dict(zip(addresses, said, strict=True))


def test_plain_http_is_for_addresses_of_this_machine(built: None) -> None:
    said = of_addresses(
        "http://127.0.0.1:3000",
        "http://127.255.255.254",
        "http://0x7f.1",
        "http://2130706433",
        "http://[::1]:3000",
        "http://localhost:3000",
        "http://LOCALHOST",
        "http://localhost.",
    )

    assert {address: problem for address, problem in said.items() if problem} == {}


def test_a_name_that_looks_like_an_address_of_this_machine_is_another_machine(built: None) -> None:
    said = of_addresses(
        "http://127.evil.com",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.1.nip.io:3000",
        "http://localhost.evil.com",
        "http://evil.com/127.0.0.1",
        "http://evil.com#127.0.0.1",
        "http://[::2]",
        "http://128.0.0.1",
        "http://0.0.0.0",
    )

    assert [address for address, problem in said.items() if problem is None] == []
    assert "must start with https://" in str(said["http://127.evil.com"])


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_address_with_a_user_name_is_refused_without_repeating_its_password(
    built: None, scheme: str
) -> None:
    (of_dhan, of_page) = problems(
        {"DHAN_AUTH_URL": f"{scheme}://127.0.0.1:hidden@evil.com"},
        {"NEXT_PUBLIC_APP_URL": f"{scheme}://someone:hidden@127.0.0.1"},
    )

    assert of_dhan == ("DHAN_AUTH_URL is not usable: it must not hold a user name or a password.")
    assert of_page == (
        "NEXT_PUBLIC_APP_URL is not usable: it must not hold a user name or a password."
    )


def test_each_thing_that_is_missing_is_named_with_its_remedy(built: None) -> None:
    (said,) = problems(dict.fromkeys(GOOD, ""))

    assert [name for name in GOOD if f"{name} is not set: " not in str(said)] == []
