from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from agents.feeds.polled import PolledNews
from agents.freshness import live_age, replayed_age
from agents.news import FileNews, NoNews
from agents.providers import PROVIDERS, Endpoint
from agents.spend import TokenPrice
from ats.cli import main
from ats.commands.doctor import problems
from ats.runtime import exit_codes
from ats.services.llm import endpoints_of, news_of, options_of, prices_of
from ats.setting_names import misspelt
from ats.settings import REMEDIES, Settings, load
from dhan.transport import OrderUrl
from schemas.errors import Misconfigured
from schemas.units import Paise

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("ATS_ENV_FILE", str(tmp_path / ".env"))


def test_the_default_mode_is_paper() -> None:
    assert load().ats_mode == "paper"


def test_settings_come_from_the_env_file_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("ATS_MODEL=from-file\nATS_SMALL_MODEL=from-file\n")
    monkeypatch.setenv("ATS_MODEL", "from-environment")

    settings = load()

    assert (settings.ats_model, settings.ats_small_model) == ("from-environment", "from-file")


@pytest.mark.parametrize("mode", ["self", "family", "empanelled"])
@pytest.mark.parametrize(("name", "value"), [("ATS_CLOCK", "market"), ("ATS_NEWS", "sample")])
def test_real_money_on_an_invented_market_is_refused_with_the_remedy_and_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, mode: str, name: str, value: str
) -> None:
    monkeypatch.setenv("SUPABASE_SERVICE_KEY", "a-secret-value")
    monkeypatch.setenv("ATS_MODE", mode)
    monkeypatch.setenv(name, value)

    with pytest.raises(
        Misconfigured, match=f"ATS_MODE={mode} .*{name}={value}.*: set {name}="
    ) as caught:
        load()

    assert "a-secret-value" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("ATS_CLOCK", "market"), ("ATS_NEWS", "sample")])
def test_paper_money_may_trade_an_invented_market(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert getattr(load(), name.lower()) == value


@pytest.mark.parametrize("command", ["executors", "agents", "doctor", "show-config"])
def test_every_command_that_reads_the_settings_refuses_real_money_on_a_replays_clock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setattr("sys.argv", ["ats", command])
    monkeypatch.setenv("ATS_MODE", "self")
    monkeypatch.setenv("ATS_CLOCK", "market")

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == exit_codes.MISCONFIGURED
    assert "ATS_CLOCK=market" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ATS_MODE", "yolo", "'paper', 'self', 'family' or 'empanelled'"),
        ("DHAN_ORDER_URL", "ftp://x", "http:// or https://"),
        ("ATS_INSTRUMENT_PARTITIONS", "many", "valid integer"),
        ("ATS_TRADING_DATE", "yesterday", "date"),
        ("KAFKA_SECURITY_PROTOCOL", "TELNET", "PLAINTEXT"),
        ("ATS_SMALL_MODEL_PRICE_RUPEES", "-13,50", "such as 13,50"),
        ("ATS_SMALL_MODEL_PRICE_RUPEES", "[13, -50]", "such as 13,50"),
        ("ATS_SMALL_MODEL_PRICE_RUPEES", "13", "such as 13,50"),
        ("ATS_SMALL_MODEL_PRICE_RUPEES", "13,50,60", "such as 13,50"),
        ("ATS_SMALL_MODEL_PRICE_RUPEES", "13;50", "such as 13,50"),
        ("ATS_SMALL_MODEL_PRICE_RUPEES", '{"in": 13}', "such as 13,50"),
    ],
)
def test_a_malformed_setting_is_named_with_its_value_and_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured, match=re.escape(f"{name}={value!r} is not usable")) as caught:
        load()

    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["14,51", " 14, 51 ", "[14, 51]", "[14,51]"])
def test_a_price_is_two_numbers_separated_by_a_comma_with_or_without_brackets(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ATS_SMALL_MODEL_PRICE_RUPEES", text)

    assert load().ats_small_model_price_rupees == (14, 51)


def test_a_price_that_would_lower_the_money_counted_is_refused() -> None:
    with pytest.raises(Misconfigured, match="greater than or equal to 0"):
        load(ats_model_price_rupees=(210, -840))


def test_an_env_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"# caf\xe9\nATS_MODEL=mine\n")

    with pytest.raises(Misconfigured, match=r"\.env is not usable: byte 5 is not UTF-8"):
        load()


def test_a_single_missing_setting_is_named_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        load().need("SUPABASE_URL")

    assert str(caught.value).count("SUPABASE_URL") == 1


def test_a_missing_setting_is_named_with_its_remedy() -> None:
    with pytest.raises(
        Misconfigured, match="SUPABASE_URL, SUPABASE_SERVICE_KEY are not set"
    ) as caught:
        load().need("SUPABASE_URL", "SUPABASE_SERVICE_KEY")

    assert REMEDIES["SUPABASE_URL"] in str(caught.value)


def test_secrets_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "SUPABASE_SERVICE_KEY": "sb_secret_abc",
        "ADMIN_DHAN_ACCESS_TOKEN": "eyJtoken",
        "OPENAI_API_KEY": "sk-123456",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)

    settings = load()
    printed = f"{settings!r} {settings} {settings.shown()}"

    assert not [value for value in secrets.values() if value in printed]
    assert settings.secrets() == set(secrets.values())


def test_the_example_lists_every_setting_and_nothing_else() -> None:
    listed = set(re.findall(r"^#?\s?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert listed == {name.upper() for name in Settings.model_fields}


def test_every_need_has_a_remedy() -> None:
    needed = {
        name
        for source in (ROOT / "ats").rglob("*.py")
        for call in re.findall(r"\.need\(([^)]*)\)", source.read_text())
        for name in re.findall(r'"([A-Z_]+)"', call)
    }

    assert needed <= set(REMEDIES)


def test_the_small_model_has_a_provider_of_its_own_which_never_gets_the_others_key() -> None:
    key, other = SecretStr("sk-one"), SecretStr("sk-two")
    url = "https://other.example/v1"

    alone = endpoints_of(load(openai_api_key=key, ats_model_schema_mode="plain"))
    both = endpoints_of(
        load(
            openai_api_key=key,
            ats_small_model=f"{url}#tiny",
            ats_small_model_api_key=other,
            ats_small_model_schema_mode="json_object",
        )
    )

    assert [(e.base_url, e.api_key, e.schema_mode) for e in alone] == [
        ("https://api.openai.com/v1", "sk-one", "plain"),
        ("https://api.openai.com/v1", "sk-one", "strict"),
    ]
    assert [(e.base_url, e.model, e.api_key, e.schema_mode) for e in both] == [
        ("https://api.openai.com/v1", "gpt-4o", "sk-one", "strict"),
        (url, "tiny", "sk-two", "json_object"),
    ]
    with pytest.raises(Misconfigured, match="ATS_SMALL_MODEL_API_KEY is not set"):
        endpoints_of(load(openai_api_key=key, ats_small_model=f"{url}#tiny"))


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_one_line_names_a_provider_which_gets_its_own_key_and_no_other(name: str) -> None:
    provider = PROVIDERS[name]
    keys = {each.key.lower(): SecretStr(f"sk-{each.name}") for each in PROVIDERS.values()}
    line = f"{name}:{next(iter(provider.prices))}"

    large, _ = endpoints_of(load(**keys, ats_model=line))

    assert (large.base_url, large.api_key) == (provider.base_url, f"sk-{name}")
    with pytest.raises(Misconfigured, match=f"{provider.key} is not set"):
        endpoints_of(load(**keys | {provider.key.lower(): SecretStr("")}, ats_model=line))


def test_a_line_that_names_no_model_is_refused_with_its_setting() -> None:
    with pytest.raises(
        Misconfigured, match=r"ATS_MODEL=opnai:gpt-4o .* did you mean openai:gpt-4o"
    ):
        endpoints_of(load(openai_api_key=SecretStr("k"), ats_model="opnai:gpt-4o"))


def test_a_model_whose_price_nobody_knows_is_refused_because_no_cap_could_hold() -> None:
    settings = load(openrouter_api_key=SecretStr("k"), ats_model="openrouter:new/one")
    said = load(
        openrouter_api_key=SecretStr("k"),
        openai_api_key=SecretStr("k"),
        ats_model="openrouter:new/one",
        ats_model_price_rupees=(7, 9),
    )
    endpoint = Endpoint("https://openrouter.ai/api/v1", "new/one", "k")

    with pytest.raises(Misconfigured, match=r"ATS_MODEL_PRICE_RUPEES is not set.*new/one"):
        prices_of(settings, (endpoint, endpoint))
    assert prices_of(said, endpoints_of(said))[0] == TokenPrice(Paise(700), Paise(900))


def test_a_news_file_is_read_when_it_is_asked_for_and_not_passed_over_in_silence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "news.json"
    path.write_text('{"TCS": []}')

    feeds = tmp_path / "news.toml"
    feeds.write_text("[folders.desk]\npath = '/var/news'")

    assert isinstance(news_of(load(ats_news="file", ats_news_file=path)), FileNews)
    assert isinstance(news_of(load(ats_news="feeds", ats_news_feeds=feeds)), PolledNews)
    assert isinstance(news_of(load()), NoNews)
    for wrong in (
        {"ats_news": "file"},
        {"ats_news": "feeds"},
        {"ats_news_feeds": feeds},
        {"ats_news": "feeds", "ats_news_feeds": feeds, "ats_news_file": path},
        {"ats_news_file": path},
        {"ats_news": "file", "ats_news_file": tmp_path / "no"},
    ):
        with pytest.raises(Misconfigured, match=r"ATS_NEWS|news file"):
            news_of(load(**wrong))


@pytest.mark.parametrize(("clock", "age"), [("wall", live_age), ("market", replayed_age)])
def test_signals_age_by_the_clock_that_is_set(clock: str, age: object) -> None:
    options = options_of(load(ats_clock=clock, ats_min_confidence=70))

    assert (options.age, options.limits.min_confidence) == (age, 70)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "ATS_MAX_ORDER_PER_DAY",
            "ATS_MAX_ORDER_PER_DAY is no setting, did you mean ATS_MAX_ORDERS_PER_DAY?",
        ),
        ("ATS_MODUS_OPERANDI", "ATS_MODUS_OPERANDI is no setting. See"),
        (
            "SUPABASE_SERVICE_KEYS",
            "SUPABASE_SERVICE_KEYS is no setting, did you mean SUPABASE_SERVICE_KEY?",
        ),
        ("OPENAI_APIKEY", "did you mean OPENAI_API_KEY?"),
        ("KAFKA_BOOTSTRAP_SERVER", "did you mean KAFKA_BOOTSTRAP_SERVERS?"),
        ("DHAN_DATA_ULR", "did you mean DHAN_DATA_URL?"),
    ],
)
def test_a_misspelt_setting_is_refused_and_the_nearest_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, said: str
) -> None:
    monkeypatch.setenv(name, "a-secret-value")

    with pytest.raises(Misconfigured) as in_the_environment:
        load()
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"{name}=a-secret-value\n")
    with pytest.raises(Misconfigured) as in_the_file:
        load()

    assert said in str(in_the_environment.value)
    assert f"{name} in {tmp_path / '.env'} is no setting" in str(in_the_file.value)
    assert "a-secret-value" not in f"{in_the_environment.value}{in_the_file.value}"


@pytest.mark.parametrize(
    ("old", "new"),
    [("ATS_STUDIES", "ATS_INDICATORS"), ("DHAN_API_URL", "DHAN_ORDER_URL (orders) and DHAN_DATA_")],
)
def test_the_old_name_of_a_setting_is_refused_with_its_new_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str, new: str
) -> None:
    monkeypatch.setattr("sys.argv", ["ats", "show-config"])
    monkeypatch.setenv(old, "x")

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == exit_codes.MISCONFIGURED
    assert f"{old} is no setting, did you mean {new}" in capsys.readouterr().err


def test_orders_go_to_ats_paper_and_data_comes_from_dhan_unless_asked_otherwise() -> None:
    settings = load()

    assert settings.dhan_data_url == "https://api.dhan.co/v2"
    assert OrderUrl.parse(settings.dhan_order_url).paper


@pytest.mark.parametrize(
    "name",
    [
        "DHAN_APP_SECRET",
        "OPENAI_ORG_ID",
        "KAFKA_LISTENERS",
        "SUPABASE_ANON_KEY",
        "KAFKA_HEAP_OPTS",
        "PATH_TO_ATS_FILE",
    ],
)
def test_names_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")

    load()


def test_every_setting_may_be_written_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ats_model", "another")

    assert load().ats_model == "another"


def test_no_setting_is_near_enough_to_another_to_be_taken_for_it() -> None:
    names = [name.upper() for name in Settings.model_fields]

    assert misspelt(names, names) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ATS_TIMEFRAMES", "1m,7m", "7m"),
        ("ATS_INDICATORS", "rsi,rsj", "rsj"),
        (
            "ATS_CALENDAR",
            "/nowhere/calendar.toml",
            "ATS_CALENDAR='/nowhere/calendar.toml' cannot be read",
        ),
        (
            "ATS_UNIVERSE_FILE",
            "/nowhere/shares.txt",
            "ATS_UNIVERSE_FILE='/nowhere/shares.txt' cannot be read",
        ),
        ("ATS_RULES", "/nowhere/rules.toml", "/nowhere/rules.toml"),
    ],
)
async def test_what_a_setting_points_at_is_tried_without_asking_anybody(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    untouched = await problems(load())
    monkeypatch.setenv(name, value)

    wrong = await problems(load())

    assert untouched == []
    assert wrong
    assert all(said in finding.note for finding in wrong)
