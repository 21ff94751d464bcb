from __future__ import annotations

import socket
import threading
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from ohmqtt.connection import Address, ConnectParams, MessageHandlers
from ohmqtt.connection.address import DEFAULT_PORTS
from ohmqtt.connection.decoder import ClosedSocketError, IncrementalDecoder
from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTReasonCode
from ohmqtt.packet import MQTTPacket, MQTTPingReqPacket, MQTTPubAckPacket, MQTTPublishPacket
from ohmqtt.platform import AF_UNIX
from ohmqtt.property import MQTTConnectProps, MQTTWillProps
from ohmqtt.protected import Protected, protect

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6

ADDRESSES: list[tuple[str, tuple[Any, ...], str]] = [
    ("localhost", ("mqtt", IPV4, "localhost", 1883, "", None, None), "Address(mqtt://localhost:1883)"),
    ("//localhost:1", ("mqtt", IPV4, "localhost", 1, "", None, None), "Address(mqtt://localhost:1)"),
    ("u@h:1", ("mqtt", IPV4, "h", 1, "", "u", None), "Address(mqtt://u@h:1)"),
    ("u:p@h", ("mqtt", IPV4, "h", 1883, "", "u", "p"), "Address(mqtt://u:<hidden>@h:1883)"),
    ("mqtts://u%20:p%40@[::1]", ("mqtts", IPV6, "::1", 8883, "", "u ", "p@"), "Address(mqtts://u :<hidden>@::1:8883)"),
    ("[::1]:1234", ("mqtt", IPV6, "::1", 1234, "", None, None), "Address(mqtt://::1:1234)"),
    ("ws://h", ("ws", IPV4, "h", 80, "/", None, None), "Address(ws://h:80/)"),
    ("wss://h/p?q=1", ("wss", IPV4, "h", 443, "/p?q=1", None, None), "Address(wss://h:443/p?<hidden>)"),
    ("ws://h?q=1", ("ws", IPV4, "h", 80, "/?q=1", None, None), "Address(ws://h:80/?<hidden>)"),
    ("quic://h", ("quic", IPV4, "h", 14567, "", None, None), "Address(quic://h:14567)"),
    ("unix:/run/x", ("unix", AF_UNIX, "/run/x", 0, "", None, None), "Address(unix:///run/x)"),
    ("unix:///run/x", ("unix", AF_UNIX, "/run/x", 0, "", None, None), "Address(unix:///run/x)"),
    ("unix:x/y", ("unix", AF_UNIX, "x/y", 0, "", None, None), "Address(unix://x/y)"),
]


@pytest.mark.parametrize(("text", "parts", "shown"), ADDRESSES)
def test_an_address_has_its_parts(text: str, parts: tuple[Any, ...], shown: str) -> None:
    address = Address(text)
    names = ("scheme", "family", "host", "port", "path", "username", "password")
    assert tuple(getattr(address, name) for name in names) == parts
    assert repr(address) == str(address) == shown
    assert address.use_tls is (parts[0] in ("mqtts", "wss", "quic"))
    assert address.is_websocket() is (parts[0] in ("ws", "wss"))
    assert address.is_default_port() is (parts[3] == DEFAULT_PORTS[parts[0]])
    assert address == Address(text)
    assert hash(address) == hash(Address(text))
    with pytest.raises(FrozenInstanceError):
        address.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        ":",
        ":1234",
        "http://localhost",
        "mqtt://",
        "mqtt://user@",
        "mqtts://u:p@",
        "unix:/",
        "unix:",
        "h:99999",
        "mqtt://h/a?b",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Address(text)


def test_a_password_is_in_no_error() -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        Address("mqtt://user:hush@host:port")
    assert "hush" not in str(raised.value)


def test_the_address_of_no_text_has_no_parts() -> None:
    address = Address()
    assert repr(address) == "Address()"
    assert not any(hasattr(address, name) for name in Address.__slots__)
    assert (address.use_tls, address.is_websocket(), address.is_default_port()) == (False, False, False)


def test_the_defaults_of_connecting() -> None:
    params = ConnectParams(Address("h"), "c")
    assert (params.address, params.client_id, params.connect_timeout, params.reconnect_delay) == (
        Address("h"),
        "c",
        None,
        0,
    )
    assert (params.keepalive_interval, params.tcp_nodelay, params.tls_context, params.tls_hostname) == (
        0,
        True,
        None,
        "",
    )
    assert (params.protocol_version, params.clean_start, params.username, params.password) == (5, False, None, None)
    assert (params.will_topic, params.will_payload, params.will_qos, params.will_retain) == ("", b"", 0, False)
    assert (type(params.will_properties), type(params.connect_properties)) == (MQTTWillProps, MQTTConnectProps)
    assert "hush" not in repr(ConnectParams(password=b"hush"))


def test_packets_come_from_a_socket_in_whatever_pieces() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        decoder = IncrementalDecoder()
        packet = MQTTPublishPacket("topic", b"x" * 300)
        data = packet.encode()
        for byte in data[:-1]:
            theirs.sendall(bytes([byte]))
            assert decoder.decode(ours) is None
        theirs.sendall(data[-1:] + MQTTPingReqPacket().encode())
        assert decoder.decode(ours) == packet
        assert decoder.decode(ours) == MQTTPingReqPacket()
        assert decoder.decode(ours) is None
        theirs.sendall(data[:5])
        assert decoder.decode(ours) is None
        decoder.reset()
        theirs.sendall(MQTTPingReqPacket().encode())
        assert decoder.decode(ours) == MQTTPingReqPacket()
        theirs.sendall(data)
        with pytest.raises(MQTTError, match="over the limit of 20") as raised:
            decoder.decode(ours, 20)
        assert raised.value.reason_code is MQTTReasonCode.PacketTooLarge


def test_a_closed_socket_gives_no_packet() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(ClosedSocketError, match="the other side has closed"):
            IncrementalDecoder().decode(ours)
    with pytest.raises(ClosedSocketError, match="the socket is closed"):
        IncrementalDecoder().decode(ours)


def test_handlers_are_called_in_their_order_whatever_they_raise() -> None:
    called: list[object] = []
    boom = RuntimeError("boom")

    def fail(packet: MQTTPacket) -> None:
        called.append(packet)
        raise boom

    handlers = MessageHandlers()
    with pytest.raises(RuntimeError, match="within 'with'"):
        handlers.register(MQTTPubAckPacket, fail)
    with pytest.raises(RuntimeError, match="not registered yet"):
        handlers.get_handlers(MQTTPubAckPacket)
    with handlers:
        handlers.register(MQTTPubAckPacket, fail)
        handlers.register(MQTTPubAckPacket, called.append)
    with pytest.raises(RuntimeError, match="registered once"), handlers:
        pass
    ack = MQTTPubAckPacket(1)
    assert handlers.handle(ack) == [boom]
    assert called == [ack, ack]
    assert handlers.handle(MQTTPingReqPacket()) == []
    assert handlers.get_handlers(MQTTPubAckPacket) == [fail, called.append]


class Counter(Protected):
    __slots__ = ("count",)

    def __init__(self, lock: Any = None) -> None:
        super().__init__(lock)
        self.count = 0

    @protect
    def add(self, number: int) -> int:
        self.count += number
        return self.count


@pytest.mark.parametrize("lock", [None, threading.Lock, threading.RLock])
def test_a_protected_method_wants_the_lock(lock: Any) -> None:
    counter = Counter(None if lock is None else lock())
    with pytest.raises(RuntimeError, match=r"Counter.add wants the lock"):
        counter.add(1)
    with counter:
        assert counter.add(2) == 2
    with pytest.raises(RuntimeError, match="wants the lock"):
        counter.add(1)
    counter.acquire()
    assert counter.add(3) == 5
    counter.release()
