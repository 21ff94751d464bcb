from __future__ import annotations

import errno
import re
import shutil
import socket
import ssl
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import mosquitto
from ohmqtt.broker import Broker, Limits, Listener, Metrics
from ohmqtt.codec import (
    AuthPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PublishPacket,
)
from rawclient import RawClient, open_socket

CERTIFICATE = Path(__file__).parent / "tls/localhost.pem"
IDENTITY = (CERTIFICATE, CERTIFICATE.with_suffix(".key"))


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATE)


def over_tls(url: str, context: ssl.SSLContext) -> RawClient:
    return RawClient(context.wrap_socket(open_socket(url), server_hostname="localhost"))


def test_one_broker_listens_everywhere(tmp_path: Path) -> None:
    places = ["mqtt", "mqtts", "ws", "wss", "quic"]
    path = tmp_path / "broker.sock"
    listeners: list[str | Listener] = [
        Listener(url=f"unix:{path}", socket_mode=0o600),
        *(f"{place}://127.0.0.1:0" for place in places),
    ]
    with Broker(*listeners, identity=IDENTITY) as broker:
        unix, *urls = broker.urls
        assert [urlsplit(url).scheme for url in urls] == places
        assert all(urlsplit(url).port for url in urls)
        assert path.stat().st_mode & 0o777 == 0o600
        with RawClient(unix) as reader, over_tls(urls[1], trusting()) as writer:
            reader.connect("reader")
            reader.subscribe("a")
            writer.connect("writer")
            writer.publish("a", b"through")
            assert reader.receive(PublishPacket).payload == b"through"
        with socket.create_connection(("127.0.0.1", urlsplit(urls[2]).port or 0), mosquitto.PATIENCE) as web:
            web.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert web.recv(4096).startswith(b"HTTP/1.1 426")
    assert not path.exists()


def test_clients_with_a_certificate_are_its_users(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("user localhost\ntopic a\n", encoding="utf-8")
    listener = Listener(url="mqtts://127.0.0.1:0", identity=IDENTITY, client_authorities=CERTIFICATE)
    with Broker(listener, certificate_users=True, acl=acl) as broker:
        shown = trusting()
        shown.load_cert_chain(*IDENTITY)
        with over_tls(broker.url, shown) as client:
            assert client.connect("c").reason_code == ConnAckReasonCode.SUCCESS
            assert client.publish("a").reason_code < 0x80
            assert client.publish("b").reason_code == 0x87
        with pytest.raises((ssl.SSLError, ConnectionError)), over_tls(broker.url, trusting()) as client:
            client.connect("c")


@pytest.mark.parametrize("name", ["broker.redb", "broker.sqlite"])
def test_a_store_keeps_sessions_and_messages(tmp_path: Path, name: str) -> None:
    with Broker(store=tmp_path / name) as broker:
        with RawClient(broker.url) as client:
            client.connect("c", session_expiry_interval=1000)
            client.subscribe("a")
            client.send(DisconnectPacket())
        mosquitto.publish(broker.url, "a", "kept")
        url = broker.url
        broker.restart()
        assert broker.url == url
        with RawClient(url) as client:
            assert client.connect("c", session_expiry_interval=1000).session_present
            assert client.receive(PublishPacket).payload == b"kept"
        with pytest.raises(OSError, match="in use by another process or another store") as raised:
            Broker(store=tmp_path / name).start()
        assert raised.value.errno == errno.EBUSY


def test_a_store_may_be_told_its_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"store: .*broker.dat does not tell what it is: let its name end in .redb"):
        Broker(store=tmp_path / "broker.dat").start()
    with Broker(store=str(tmp_path / "broker.dat"), store_kind="sqlite", fast=True):
        pass
    assert (tmp_path / "broker.dat").read_bytes().startswith(b"SQLite format 3\0")
    with pytest.raises(ValueError, match="store_kind: 'x' is no kind of store"):
        Broker(store="a", store_kind="x").start()  # type: ignore[arg-type]


def test_users_and_rights_come_from_files(tmp_path: Path) -> None:
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    command = ["mosquitto_passwd", "-b", "-c", str(passwords), "alice", "wonderland"]
    subprocess.run(command, check=True, capture_output=True, timeout=mosquitto.PATIENCE)
    acl.write_text("user alice\ntopic read a\n", encoding="utf-8")
    with Broker(passwords=passwords, acl=acl) as broker:
        alice = ["-u", "alice", "-P", "wonderland"]
        assert mosquitto.publish(broker.url, "a", "x").returncode != 0
        assert "Not authorized" in mosquitto.publish(broker.url, "a", "x", *alice).stderr
        acl.write_text("user alice\ntopic a\n", encoding="utf-8")
        broker.reload_access()
        done = mosquitto.publish(broker.url, "a", "x", *alice)
        assert (done.returncode, done.stderr) == (0, "")
        acl.write_text("nonsense\n", encoding="utf-8")
        with pytest.raises(ValueError, match="acl:1: "):
            broker.reload_access()
        acl.unlink()
        with pytest.raises(FileNotFoundError, match="acl"):
            broker.reload_access()
        assert mosquitto.publish(broker.url, "a", "x", *alice).returncode == 0


def test_scram_asks_for_proof() -> None:
    with Broker(scram={"alice": "wonderland"}) as broker:
        with RawClient(broker.url) as client:
            first = b"n,,n=alice,r=abc"
            client.send(ConnectPacket("c", authentication_method="SCRAM-SHA-256", authentication_data=first))
            data = client.receive(AuthPacket).authentication_data
            assert data is not None
            assert data.startswith(b"r=abc")
        with RawClient(broker.url) as client:
            assert client.connect("c").reason_code == ConnAckReasonCode.NOT_AUTHORIZED


def test_limits_are_told_and_upheld() -> None:
    limits = Limits(connections=1, receive_max=7, max_qos=0, retain_available=False, keep_alive=30, sys_interval=None)
    broker = Broker(limits=limits, response_information="answers/")
    with broker, RawClient(broker.url) as client, RawClient(broker.url) as other:
        connack = client.connect("c", request_response_info=True)
        assert (connack.receive_max, connack.max_qos, connack.retain_available) == (7, 0, False)
        assert (connack.server_keep_alive, connack.response_info) == (30, "answers/")
        assert other.connect("other").reason_code == ConnAckReasonCode.SERVER_BUSY


NAMES = {
    "receive_maximum": "receive_max",
    "maximum_qos": "max_qos",
    "subscription_identifier_available": "subscription_id_available",
}
VALUES = {"None": None, "true": True, "WhenFull::DropNewest": "drop_newest", "Qos::ExactlyOnce": 2}


def number(text: str) -> float:
    """Return what a number is in Rust: `64 << 20`, or a range's beginning and what is added."""
    digits = [int(digit.replace("_", "")) for digit in re.findall(r"\b[\d_]+\b", text)]
    value = digits[0] << digits[1] if "<<" in text else digits[0]
    return value + 1 if "MIN.saturating_add(" in text and "- 1" not in text else value


def test_the_defaults_are_those_of_the_broker() -> None:
    source = Path(__file__).parents[2] / "ohmqtt-broker/src/limits.rs"
    body = re.search(r"fn default\(\) -> Self \{\s*Self \{(.*?)\}", source.read_text(encoding="utf-8"), re.DOTALL)
    assert body is not None
    there = {}
    for line in body[1].strip().splitlines():
        name, value = line.strip().rstrip(",").split(":", 1)
        there[NAMES.get(name, name)] = VALUES[value.strip()] if value.strip() in VALUES else number(value)
    assert there == asdict(Limits())


def test_metrics_count() -> None:
    with Broker() as broker, RawClient(broker.url) as client:
        client.connect("c")
        client.subscribe("a")
        client.publish("a", b"x", retain=True)
        metrics = broker.metrics()
        assert isinstance(metrics, Metrics)
        assert (metrics.connected, metrics.sessions, metrics.subscriptions, metrics.retained) == (1, 1, 1, 1)
        assert metrics.published == 1
        assert metrics.uptime > 0
    with pytest.raises(RuntimeError, match="the broker does not run"):
        broker.metrics()


def test_clients_are_sent_away() -> None:
    with Broker() as broker:
        with RawClient(broker.url) as client:
            client.connect("c")
            assert broker.disconnect("c")
            assert client.receive(DisconnectPacket).reason_code == DisconnectReasonCode.ADMINISTRATIVE_ACTION
        assert not broker.disconnect("nobody")
        broker.redirect("elsewhere:1883")
        with RawClient(broker.url) as client:
            connack = client.connect("c")
            assert connack.reason_code == ConnAckReasonCode.USE_ANOTHER_SERVER
            assert connack.server_reference == "elsewhere:1883"
        with pytest.raises(ValueError, match="server: has a null character"):
            broker.redirect("a\0b")
        broker.redirect("")
        with RawClient(broker.url) as client:
            assert client.connect("c").reason_code == ConnAckReasonCode.SUCCESS


@pytest.mark.parametrize(
    "options",
    [
        {"passwords": "no-such-file"},
        {"acl": "no-such-file"},
        {"store": "no-such-folder/broker.redb"},
        {"identity": ("no-such-file", "no-such-file")},
    ],
)
def test_a_missing_file_is_a_file_not_found_error(options: dict[str, Any]) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-"):
        Broker(**options).start()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"limits": Limits(receive_max=0)}, ValueError, "receive_max: 0 is not from 1 to 65535"),
        ({"limits": Limits(connections=-1)}, ValueError, "connections: "),
        ({"limits": Limits(connect_timeout=float("nan"))}, ValueError, "connect_timeout: not a number"),
        ({"limits": Limits(connections="7")}, TypeError, "connections: "),  # type: ignore[arg-type]
        ({"limits": Limits(when_full="x")}, ValueError, "when_full: 'x' is none of"),  # type: ignore[arg-type]
        ({"response_information": "\0"}, ValueError, "response information"),
        ({"scram": {"alice": ""}}, ValueError, "scram: user 'alice': "),
        ({"identity": (CERTIFICATE, CERTIFICATE)}, ValueError, "identity: bad private key file"),
        ({"passwords": 1}, TypeError, "passwords: "),
        ({"authorizer": bool, "authorizer_timeout": 61.0}, ValueError, "authorizer_timeout: more than 60 seconds"),
    ],
)
def test_what_cannot_be_is_said_with_its_name(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Broker(**options).start()


def test_a_listener_is_a_url_or_a_listener() -> None:
    with pytest.raises(TypeError, match="a broker listens at URLs and Listeners, not at 1883"):
        Broker(1883)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"give passwords= or an authenticator=, not both"):
        Broker(passwords="a", authenticator=lambda _: True)


def test_a_file_that_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "broker.redb"
    shutil.copy(CERTIFICATE, path)
    with pytest.raises(OSError, match="is not a store of ours"):
        Broker(store=path).start()
    assert path.read_bytes() == CERTIFICATE.read_bytes()
