"""How to reach Kafka: one record of settings, and what each client library makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import SSLCertVerificationError, SSLContext
from typing import Any, Final, Literal, TypeAlias

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.helpers import create_ssl_context

from bus.stamp import Stamp
from schemas.errors import AtsError, Misconfigured, TryLater

PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
FetchClient: TypeAlias = Literal["librdkafka", "aiokafka"]


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """The cluster's address and credentials.

    Attributes:
        bootstrap_servers: `host:port`, several separated by commas.
        sasl_mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; read with the two SASL
            protocols only.
        ssl_cafile: Certificate authorities in PEM; empty trusts the system's.
        fetch_client: Which client fetches the records of a shell. Membership and commits are
            Faust's, writing is aiokafka's, whichever it is.
        stamp: What every `bus.publisher.Publisher` of this connection writes on each record.
    """

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = "PLAIN"
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ssl_cafile: str = ""
    fetch_client: FetchClient = "librdkafka"
    stamp: Stamp = field(default_factory=Stamp, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.bootstrap_servers:
            raise Misconfigured(
                "Kafka's address is empty; give host:port in KAFKA_BOOTSTRAP_SERVERS"
            )
        if self.security_protocol not in PROTOCOLS:
            raise Misconfigured(
                f"security protocol {self.security_protocol!r} is none of {', '.join(PROTOCOLS)}"
            )
        if self.uses_sasl and not (self.sasl_username and self.sasl_password):
            raise Misconfigured(f"{self.security_protocol} needs a SASL user name and password")

    @property
    def uses_sasl(self) -> bool:
        """Whether brokers ask for a user name and a password."""
        return self.security_protocol.startswith("SASL")

    def ssl_context(self) -> SSLContext | None:
        """None where the protocol does not encrypt."""
        if not self.security_protocol.endswith("SSL"):
            return None
        try:
            context: SSLContext = create_ssl_context(cafile=self.ssl_cafile or None)
        except OSError as error:
            raise Misconfigured(
                f"certificate authorities {self.ssl_cafile!r} cannot be read: {error}"
            ) from None
        return context

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments for any aiokafka client."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "security_protocol": self.security_protocol,
            "ssl_context": self.ssl_context(),
        }
        if self.uses_sasl:
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        return options

    def librdkafka_options(self) -> dict[str, Any]:
        """What reaches the cluster with the client in C."""
        options: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": self.security_protocol,
        }
        if self.security_protocol.endswith("SSL") and self.ssl_cafile:
            options["ssl.ca.location"] = self.ssl_cafile
        if self.uses_sasl:
            options |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.sasl_username,
                "sasl.password": self.sasl_password,
            }
        return options


@asynccontextmanager
async def administrator(connection: KafkaConnection) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client for the length of a `with` block.

    Raises:
        Misconfigured: a broker refuses us, or we its certificate.
        TryLater: no broker answers, or it went away within the block.
    """
    client = AIOKafkaAdminClient(**connection.client_options())
    try:
        await _resume_offset(connection, client)
        yield client
    except KafkaError as error:
        if not error.retriable:
            raise
        raise TryLater(f"Kafka went away before it answered ({error!r})") from None
    finally:
        await client.close()


@asynccontextmanager
async def reader(connection: KafkaConnection, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that joins no group and commits nothing, for the length of a `with` block.

    Raises:
        Misconfigured: a broker refuses us, or we its certificate.
        TryLater: no broker answers.
    """
    client = AIOKafkaConsumer(**connection.client_options(), enable_auto_commit=False, **options)
    try:
        await _resume_offset(connection, client)
        yield client
    finally:
        await client.stop()


async def _resume_offset(
    connection: KafkaConnection, client: AIOKafkaAdminClient | AIOKafkaConsumer
) -> None:
    try:
        await client.start()
    except KafkaConnectionError as error:
        raise await unreachable(connection, error) from None


async def unreachable(connection: KafkaConnection, error: Exception) -> AtsError:
    """The error for a cluster that did not let us in; it names the setting, never a password.

    A client of aiokafka logs why, and says only that it got nowhere: so one broker is asked again.
    """
    host, port, _ = collect_hosts(connection.client_options()["bootstrap_servers"])[0]
    options = connection.client_options()
    del options["bootstrap_servers"]
    try:
        asked = await create_conn(host, port, **options)
    except SSLCertVerificationError as refused:
        whose = connection.ssl_cafile or "the system's authorities"
        return Misconfigured(
            f"KAFKA_SSL_CAFILE ({whose}) does not vouch for the broker at {host}:{port}: "
            f"{refused.verify_message}"
        )
    except SaslAuthenticationFailed:
        return Misconfigured(
            f"the broker at {host}:{port} does not know KAFKA_SASL_USERNAME "
            f"{connection.sasl_username!r} with this KAFKA_SASL_PASSWORD"
        )
    except UnsupportedSaslMechanismError:
        return Misconfigured(
            f"the broker at {host}:{port} does not take KAFKA_SASL_MECHANISM "
            f"{connection.sasl_mechanism}"
        )
    except (OSError, KafkaError):
        pass  # as before: nobody answers
    else:
        asked.close()
    return TryLater(
        f"no Kafka broker answers at {connection.bootstrap_servers} ({error}); start it or correct "
        "the address"
    )
