"""Every setting, read from the environment and `.env`.

An error names a missing or malformed one in one line, with the remedy. Secrets are `SecretStr`:
they do not print. Each service asks for what it needs with `need`, so a machine that only runs `ats
streams` needs no database key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import platformdirs
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ats.setting_names import misspelt
from bus.connection import FetchClient, KafkaConnection
from schemas.errors import Misconfigured
from schemas.topics import PartitionPlan


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in schemes or not parts.hostname):
            raise ValueError(
                f"must be a URL starting with {' or '.join(s + '://' for s in schemes)}"
            )
        return value.rstrip("/")

    return AfterValidator(check)


def _long_enough(secret: SecretStr) -> SecretStr:
    """HS256 with a short secret can be guessed from one token."""
    if 0 < len(secret.get_secret_value()) < 32:
        raise ValueError("must have at least 32 characters, as Supabase's own")
    return secret


def _symbols(value: object) -> object:
    return (
        [symbol.strip() for symbol in value.split(",") if symbol.strip()]
        if isinstance(value, str)
        else value
    )


def _price(value: object) -> object:
    if not isinstance(value, str):
        return value
    rupees = [part.strip() for part in value.strip().removeprefix("[").removesuffix("]").split(",")]
    if len(rupees) != 2 or not all(part.isascii() and part.isdigit() for part in rupees):
        raise ValueError(
            "give whole rupees per million tokens in and out, separated by a comma, such as 13,50"
        )
    return rupees


def _band(value: object) -> object:
    """Two parts, separated by a comma."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",")]
    if len(parts) != 2:
        raise ValueError("give the least and the greatest, separated by a comma, such as 0.1,3")
    return parts


def _ordered(band: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    if not 0 < band[0] < band[1] < 100:
        raise ValueError("give the least first, both above 0 and below 100, such as 0.1,3")
    return band


HttpUrl = Annotated[str, _url("http", "https")]
FeedUrl = Annotated[str, _url("ws", "wss")]
SchemaMode = Literal["strict", "json_object", "plain"]
Rupees = Annotated[int, Field(ge=0)]
ModelPrice = Annotated[tuple[Rupees, Rupees] | None, NoDecode, BeforeValidator(_price)]
Minutes = Annotated[int, Field(ge=0, le=375)]  # a day's session
PercentBand = Annotated[
    tuple[Decimal, Decimal], NoDecode, BeforeValidator(_band), AfterValidator(_ordered)
]


class Settings(BaseSettings):
    """What the environment says.

    Field names in capitals are the variables' names; `.env.example` explains each.
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    kafka_bootstrap_servers: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ssl_cafile: str = ""
    kafka_fetch_client: FetchClient = "librdkafka"
    kafka_replication_factor: int = Field(default=1, ge=1, le=9)

    supabase_url: HttpUrl = ""
    supabase_anon_key: str = ""
    supabase_service_key: SecretStr = SecretStr("")
    supabase_db_url: SecretStr = SecretStr("")
    supabase_jwt_secret: Annotated[SecretStr, AfterValidator(_long_enough)] = SecretStr("")

    admin_dhan_client_id: str = Field(default="", pattern=r"^[0-9A-Za-z]*$")
    admin_dhan_access_token: SecretStr = SecretStr("")
    dhan_data_url: HttpUrl = "https://api.dhan.co/v2"
    dhan_order_url: HttpUrl = "http://127.0.0.1:8791/v2"  # `ats paper`; real money is asked for
    dhan_feed_url: FeedUrl = "wss://api-feed.dhan.co"
    dhan_instruments_url: HttpUrl = "https://images.dhan.co/api-data/api-scrip-master-detailed.csv"

    openai_api_key: SecretStr = SecretStr("")
    openai_base_url: HttpUrl = "https://api.openai.com/v1"
    gemini_api_key: SecretStr = SecretStr("")
    deepseek_api_key: SecretStr = SecretStr("")
    openrouter_api_key: SecretStr = SecretStr("")
    groq_api_key: SecretStr = SecretStr("")
    ats_model: str = "gpt-4o"
    ats_small_model: str = "gpt-4o-mini"
    ats_model_budget_rupees: int = Field(default=500, ge=0)
    ats_model_budget_rupees_per_decision: int = Field(default=50, ge=1)
    ats_model_budget_rupees_per_user: int | None = Field(default=None, ge=1)
    ats_decision_seconds: float = Field(default=45.0, ge=1.0, le=90.0)
    ats_model_price_rupees: ModelPrice = None
    ats_small_model_price_rupees: ModelPrice = None
    ats_model_schema_mode: SchemaMode | None = None
    ats_small_model_schema_mode: SchemaMode | None = None
    ats_model_api_key: SecretStr = SecretStr("")
    ats_small_model_api_key: SecretStr = SecretStr("")
    ats_min_confidence: int = Field(default=50, ge=0, le=100)
    ats_min_reward: Decimal = Field(default=Decimal("1.2"), ge=0, le=100)
    ats_stop_band_percent: PercentBand = (Decimal("0.1"), Decimal(3))
    ats_cooldown_minutes: Minutes = 5
    ats_flip_minutes: Minutes = 15
    ats_no_entry_after_open_minutes: Minutes = 5
    ats_no_entry_before_close_minutes: Minutes = 30
    ats_muted_rules: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols)] = ()
    ats_news: Literal["none", "sample", "file", "feeds"] = "none"
    ats_news_file: Path | None = None
    ats_news_feeds: Path | None = None
    ats_sectors: Path | None = None

    ats_mode: Literal["paper", "self", "family", "empanelled"] = "paper"
    ats_egress: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols)] = ()
    ats_paper_funds_rupees: int = Field(default=1_000_000, ge=1)
    ats_paper_latency_ms: int = Field(default=50, ge=0, le=60_000)
    ats_clock: Literal["wall", "market"] = "wall"
    ats_trading_date: date | None = None
    ats_universe: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols)] = ()
    ats_universe_file: Path | None = None
    ats_depth: Literal["off", "on"] = "off"
    ats_feed_connections: int = Field(default=1, ge=1, le=5)
    ats_rules: Path | None = None
    ats_calendar: Path | None = None
    ats_timeframes: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols)] = ()
    ats_indicators: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_symbols)] = ()
    ats_shortlist: int = Field(default=12, ge=1, le=200)
    ats_max_order_value_rupees: int = Field(default=50_000, ge=1)
    ats_max_orders_per_day: int = Field(default=40, ge=0)
    ats_risk_per_trade_rupees: int | None = Field(default=None, ge=1)
    ats_stop_out_cooldown_minutes: int = Field(default=15, ge=0, le=1_440)
    ats_max_stop_outs_per_day: int = Field(default=5, ge=1)
    ats_crowd_percent: int = Field(default=10, ge=1, le=100)
    ats_fno_ban_file: Path | None = None
    ats_pnl_exit_loss_rupees: int | None = Field(default=None, ge=1)
    ats_square_off_cash: time = time(15, 5)
    ats_square_off_fno: time = time(15, 20)

    ats_ledger: Literal["off", "required"] = "off"
    ats_ledger_keys: Path | None = None
    ats_witness_keys: Path | None = None

    ats_gateway_host: str = Field(default="127.0.0.1", pattern=r"^[0-9A-Za-z.:-]{1,255}$")
    ats_gateway_port: int = Field(default=8792, ge=0, le=65_535)
    ats_gateway_origins: Annotated[tuple[HttpUrl, ...], NoDecode, BeforeValidator(_symbols)] = ()
    ats_gateway_max_viewers: int = Field(default=1_000, ge=1, le=20_000)

    ats_book_read_seconds: float = Field(default=30.0, ge=1.0, le=600.0)

    ats_instrument_partitions: int = Field(default=4, ge=1, le=256)
    ats_user_partitions: int = Field(default=4, ge=1, le=256)
    ats_instance: str = Field(default="1", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    ats_log_format: Literal["console", "json"] = "console"
    ats_log_level: Literal["debug", "info", "warning", "error"] = "info"
    ats_cache_dir: Path = Path(platformdirs.user_cache_dir("ats"))
    ats_state_dir: Path = Path(platformdirs.user_state_dir("ats"))

    @model_validator(mode="after")
    def _real_money_trades_the_real_market(self) -> Self:
        """Whatever is invented stays with paper money.

        Checked for every service: those of one deployment share settings.
        """
        if self.ats_mode == "paper":
            return self
        if self.ats_clock == "market":
            raise ValueError(
                f"ATS_MODE={self.ats_mode} trades real money, and ATS_CLOCK=market takes old "
                "decisions for new ones: set ATS_CLOCK=wall, or ATS_MODE=paper for a replay"
            )
        if self.ats_news == "sample":
            raise ValueError(
                f"ATS_MODE={self.ats_mode} trades real money, and ATS_NEWS=sample invents "
                "headlines: set ATS_NEWS=none, or ATS_MODE=paper for a demo"
            )
        return self

    def need(self, *names: str) -> None:
        """Check that the settings a service cannot do without are there.

        Raises:
            Misconfigured: naming every missing one and what to do.
        """
        if missing := [name for name in names if not _plain(getattr(self, name.lower()))]:
            if len(missing) == 1:
                raise Misconfigured(
                    f"{missing[0]} is not set: {REMEDIES[missing[0]]}. See .env.example."
                )
            remedies = "; ".join(f"{name}: {REMEDIES[name]}" for name in missing)
            raise Misconfigured(f"{', '.join(missing)} are not set. {remedies}. See .env.example.")

    def kafka(self) -> KafkaConnection:
        """Raises Misconfigured when no cluster is named."""
        self.need("KAFKA_BOOTSTRAP_SERVERS")
        return KafkaConnection(
            bootstrap_servers=self.kafka_bootstrap_servers,
            security_protocol=self.kafka_security_protocol,
            sasl_mechanism=self.kafka_sasl_mechanism,
            sasl_username=self.kafka_sasl_username,
            sasl_password=self.kafka_sasl_password.get_secret_value(),
            ssl_cafile=self.kafka_ssl_cafile,
            fetch_client=self.kafka_fetch_client,
        )

    def plan(self) -> PartitionPlan:
        """How many partitions topics by instrument and topics by user have."""
        return PartitionPlan(self.ats_instrument_partitions, self.ats_user_partitions)

    def secrets(self) -> frozenset[str]:
        """Every secret value, for the redaction filter of the logs."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return frozenset(
            value.get_secret_value() for value in values if isinstance(value, SecretStr)
        ) - {""}

    def shown(self) -> dict[str, str]:
        """Variable -> value for `ats show-config`; secrets only as set or not set."""
        return {name.upper(): _shown(getattr(self, name)) for name in type(self).model_fields}


# names another file than .env; the demo names none, so that nothing of yours leaks in
ENV_FILE: Final = "ATS_ENV_FILE"
# as ATS_CALENDAR: the market that `ats simulator` plays, on whatever day
SIMULATED_CALENDAR: Final = "every-day"

REMEDIES: Final[Mapping[str, str]] = {
    "KAFKA_BOOTSTRAP_SERVERS": "give host:port of your cluster, or try `ats demo`, which brings "
    "its own",
    "SUPABASE_URL": "copy it from your project's settings, or run `ats db serve` for a local one",
    "SUPABASE_SERVICE_KEY": "copy the secret (service) key from your project's API settings",
    "SUPABASE_DB_URL": "copy the Postgres connection string from your project's database settings",
    "ADMIN_DHAN_CLIENT_ID": "give the Dhan client id whose account pays for market data",
    "ADMIN_DHAN_ACCESS_TOKEN": "create a token at web.dhan.co; it lives for 24 hours",
    "ATS_MODEL_API_KEY": "give the key for the address in ATS_MODEL; another's is not sent there",
    "ATS_SMALL_MODEL_API_KEY": "give the key for the address in ATS_SMALL_MODEL; another's is not "
    "sent there",
    "GEMINI_API_KEY": "create a key at aistudio.google.com, or name another provider",
    "DEEPSEEK_API_KEY": "create a key at platform.deepseek.com, or name another provider",
    "OPENROUTER_API_KEY": "create a key at openrouter.ai, or name another provider",
    "GROQ_API_KEY": "create a key at console.groq.com, or name another provider",
    "ATS_NEWS_FILE": "give the JSON file of headlines that ATS_NEWS=file reads, or "
    "set ATS_NEWS=none",
    "ATS_NEWS_FEEDS": "give the TOML file of feeds and folders that ATS_NEWS=feeds reads "
    "(news.example.toml), or set ATS_NEWS=none",
    "OPENAI_API_KEY": "create a key at your model provider, or run `ats simulator` and point "
    "OPENAI_BASE_URL at it",
}


def load(**overrides: Any) -> Settings:
    """Read the environment.

    Raises:
        Misconfigured: naming the malformed variable, its value (unless secret) and what is wrong
            with it, or a name that is no setting.
    """
    file = os.environ.get(ENV_FILE, ".env")
    try:
        _refuse_unknown_names(file)
        return Settings(_env_file=file, **overrides)
    except UnicodeDecodeError as error:
        raise Misconfigured(
            f"{file} is not usable: byte {error.start} is not UTF-8; save it as UTF-8"
        ) from None
    except ValidationError as error:
        problems = "; ".join(_problem(first) for first in error.errors(include_url=False))
        raise Misconfigured(f"{problems}. See .env.example.") from None


def _refuse_unknown_names(file: str) -> None:
    known = [name.upper() for name in Settings.model_fields] + [ENV_FILE]
    wrong = [(name, nearest, "") for name, nearest in misspelt(os.environ, known)]
    wrong += [
        (name, nearest, f" in {file}") for name, nearest in misspelt(dotenv_values(file), known)
    ]
    if wrong:
        raise Misconfigured(
            "; ".join(
                f"{name}{where} is no setting" + (f", did you mean {nearest}?" if nearest else "")
                for name, nearest, where in wrong
            )
            + ". See .env.example."
        )


def _problem(error: Any) -> str:
    if not error["loc"]:  # about several settings at once; its input is all of them, secrets too
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0]).upper()
    secret = any(word in name for word in ("KEY", "TOKEN", "PASSWORD", "SECRET"))
    value = "" if secret else f"={error.get('input')!r}"
    return f"{name}{value} is not usable: {error['msg'].removeprefix('Value error, ')}"


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)" if value.get_secret_value() else "(not set)"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
