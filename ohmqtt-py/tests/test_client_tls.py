"""The drop-in client over TLS: by an `ssl.SSLContext` of the program's, and by the platform's authorities."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import SOON, Inbox
from ohmqtt import Client
from ohmqtt.broker import Broker

CERTIFICATE = Path(__file__).parent / "tls/localhost.pem"
KEY = Path(__file__).parent / "tls/localhost.key"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker("mqtts://127.0.0.1:0", "wss://127.0.0.1:0/mqtt", identity=(CERTIFICATE, KEY)) as broker:
        yield broker


@pytest.fixture
def context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATE)


@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
def test_messages_go_both_ways_by_a_context(broker: Broker, context: ssl.SSLContext, scheme: str) -> None:
    inbox = Inbox()
    address = next(url for url in broker.urls if url.startswith(scheme))
    payload = bytes(range(256)) * 4_000
    with Client() as client:
        client.connect(address, tls_context=context, tls_hostname="localhost")
        client.wait_for_connect(SOON)
        client.subscribe("a", inbox).wait_for_ack(SOON)
        for number in range(20):
            client.publish("a", payload + bytes([number]), qos=1)
        assert [packet[-1] for packet in inbox.payloads(20)] == list(range(20))
        client.publish("a", b"last", qos=2).wait_for_ack(SOON)
        assert inbox.next().payload == b"last"


def test_the_last_words_are_sent_by_a_context(broker: Broker, context: ssl.SSLContext) -> None:
    inbox = Inbox()
    with Client() as reader:
        reader.connect(broker.url, tls_context=context, tls_hostname="localhost")
        reader.subscribe("a", inbox).wait_for_ack(SOON)
        with Client() as client:
            client.connect(broker.url, tls_context=context, tls_hostname="localhost")
            client.wait_for_connect(SOON)
            for number in range(500):
                client.publish("a", str(number))
        assert inbox.payloads(500) == [str(number).encode() for number in range(500)]


def test_a_certificate_that_does_not_hold_is_the_error_of_ssl(broker: Broker, context: ssl.SSLContext) -> None:
    with Client() as client:
        client.connect(broker.url, tls_context=ssl.create_default_context())
        with pytest.raises(ssl.SSLCertVerificationError) as raised:
            client.wait_for_connect(SOON)
        assert raised.value.verify_code != 0
        client.connect(broker.url, tls_context=context, tls_hostname="example.org")
        with pytest.raises(ssl.SSLCertVerificationError, match=r"example\.org"):
            client.wait_for_connect(SOON)


def test_without_a_context_the_authorities_of_the_platform_are_asked(broker: Broker) -> None:
    with Client() as client:
        client.connect(broker.url, tls_hostname="localhost")
        with pytest.raises(ssl.SSLCertVerificationError):
            client.wait_for_connect(SOON)


def test_a_server_that_speaks_no_tls_is_an_error_of_ssl(context: ssl.SSLContext) -> None:
    with Broker() as plain, Client() as client:
        client.connect(plain.url.replace("mqtt:", "mqtts:"), tls_context=context, connect_timeout=SOON)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.wait_for_connect(SOON)


def test_quic_takes_no_context(context: ssl.SSLContext) -> None:
    with Client() as client, pytest.raises(ValueError, match=r"tls_context|quic"):
        client.connect("quic://localhost", tls_context=context)
