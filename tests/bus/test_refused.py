"""Brokers that do not let us in: the error names the setting to correct."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaError,
    NodeNotReadyError,
    SaslAuthenticationFailed,
    UnknownMemberIdError,
    UnsupportedSaslMechanismError,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from ats.embedded.kafka import EmbeddedKafka
from bus import connection as connections
from bus.connection import KafkaConnection, administrator
from bus.publisher import Publisher
from schemas.errors import AtsError, Misconfigured, TryLater

PASSWORD = "a-password-that-no-error-may-hold"


def its_own_certificate(home: Path) -> Path:
    """Of a server on 127.0.0.1, signed by nobody else, with the key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    home.mkdir()
    (home / "broker.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return home / "broker.pem"


async def test_a_certificate_that_the_authorities_do_not_vouch_for_names_their_setting(
    tmp_path: Path,
) -> None:
    stranger = its_own_certificate(tmp_path / "stranger")
    serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serves.load_cert_chain(its_own_certificate(tmp_path / "broker"))
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=serves)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    secure = KafkaConnection(address, "SSL", ssl_cafile=str(stranger))

    with pytest.raises(Misconfigured, match=rf"KAFKA_SSL_CAFILE \({stranger}\).*{address}"):
        async with administrator(secure):
            pass
    with pytest.raises(Misconfigured, match="KAFKA_SSL_CAFILE"):
        async with Publisher(secure):
            pass

    server.close()


@pytest.mark.parametrize(
    ("refusal", "kind", "says"),
    [
        (SaslAuthenticationFailed(), Misconfigured, "KAFKA_SASL_USERNAME 'ats'.*KAFKA_SASL_PASSW"),
        (UnsupportedSaslMechanismError(), Misconfigured, "KAFKA_SASL_MECHANISM PLAIN"),
        (ConnectionRefusedError(), TryLater, "no Kafka broker answers at 127.0.0.1:1"),
    ],
)
async def test_what_a_broker_does_not_take_is_named_without_the_password(
    monkeypatch: pytest.MonkeyPatch, refusal: Exception, kind: type[AtsError], says: str
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise refusal

    monkeypatch.setattr(connections, "create_conn", refuse)
    secure = KafkaConnection("127.0.0.1:1", "SASL_SSL", "PLAIN", "ats", PASSWORD)

    with pytest.raises(kind, match=says) as told:
        async with administrator(secure):
            pass

    assert PASSWORD not in str(told.value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NodeNotReadyError("its leader is gone"), TryLater),
        (UnknownMemberIdError(), UnknownMemberIdError),
    ],
)
async def test_a_broker_that_goes_away_while_it_is_asked_is_to_be_tried_again(
    kafka: EmbeddedKafka, error: KafkaError, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        async with administrator(KafkaConnection(kafka.bootstrap_servers)):
            raise error
