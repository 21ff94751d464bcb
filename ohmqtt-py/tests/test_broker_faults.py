from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ohmqtt.broker import Broker, Faults
from ohmqtt.codec import (
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    Packet,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PublishPacket,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
)
from rawclient import RawClient


@pytest.fixture
def faults(mqtt_broker: Broker) -> Faults:
    return mqtt_broker.faults()


@pytest.fixture
def client(mqtt_url: str, faults: Faults) -> Iterator[RawClient]:  # noqa: ARG001
    with RawClient(mqtt_url) as client:
        client.connect("c")
        yield client


def is_publish(packet: Packet) -> bool:
    return isinstance(packet, PublishPacket)


def test_a_connection_is_cut(faults: Faults, client: RawClient) -> None:
    faults.client("another").cut()
    client.send(PingReqPacket())
    client.receive(PingRespPacket)
    faults.client("c").cut()
    assert client.has_ended()


def test_the_next_connection_is_cut_and_no_other(mqtt_url: str, faults: Faults, client: RawClient) -> None:
    faults.next().cut()
    with RawClient(mqtt_url) as other:
        assert other.has_ended()
    client.publish("a")


def test_a_connection_is_cut_behind_so_much(mqtt_url: str, faults: Faults, client: RawClient) -> None:
    faults.all().cut_after("from_client", packets=1)
    client.send(PublishPacket("a", b"x", qos=1, packet_id=1, retain=True))
    assert client.has_ended()
    # The broker has it all the same.
    with RawClient(mqtt_url) as other:
        other.connect("other")
        other.subscribe("a")
        assert other.receive(PublishPacket).payload == b"x"
        faults.client("other").cut_after("to_client", bytes=1)
        other.send(PingReqPacket())
        assert other.socket.recv(2) == b"\xd0"
        assert other.has_ended()


def test_what_is_withheld_arrives_when_it_is_released(faults: Faults, client: RawClient) -> None:
    switches = faults.client("c")
    switches.withhold(PubAckPacket)
    client.send(PublishPacket("a", b"x", qos=1, packet_id=1))
    client.send(PingReqPacket())
    client.receive(PingRespPacket)
    switches.release(PubAckPacket)
    assert client.receive(PubAckPacket).packet_id == 1


def test_answers_come_in_another_order(faults: Faults, client: RawClient) -> None:
    faults.client("c").reorder(PubAckPacket, 2)
    for packet_id in (1, 2):
        client.send(PublishPacket("a", b"x", qos=1, packet_id=packet_id))
    assert [client.receive(PubAckPacket).packet_id for _ in range(2)] == [2, 1]


def test_what_is_delayed_arrives(faults: Faults, client: RawClient) -> None:
    faults.all().delay("from_client", 0.01)
    faults.all().delay("to_client", 0.01)
    client.publish("a")


def test_a_silent_broker_speaks_again(faults: Faults, client: RawClient) -> None:
    faults.all().silence()
    client.send(PingReqPacket())
    assert isinstance(faults.wait_for("c", lambda packet: isinstance(packet, PingReqPacket)), PingReqPacket)
    client.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.socket.recv(1)
    client.socket.settimeout(60)
    faults.all().speak()
    client.receive(PingRespPacket)


def test_a_client_is_told_less_than_there_is(mqtt_url: str, faults: Faults) -> None:
    faults.next().tell(receive_max=2, max_packet_size=100, max_qos=1, retain_available=False, server_keep_alive=9)
    with RawClient(mqtt_url) as client:
        connack = client.connect("c")
        assert (connack.receive_max, connack.max_packet_size, connack.max_qos) == (2, 100, 1)
        assert (connack.retain_available, connack.server_keep_alive) == (False, 9)
        # It is only told.
        client.publish("a", bytes(1000), retain=True)


def test_a_client_is_refused_and_sent_elsewhere_until_that_is_mended(mqtt_url: str, faults: Faults) -> None:
    switches = faults.client("c")
    switches.refuse(ConnAckReasonCode.BANNED)
    with RawClient(mqtt_url) as client:
        assert client.connect("c").reason_code == ConnAckReasonCode.BANNED
    switches.redirect("elsewhere:1883")
    with RawClient(mqtt_url) as client:
        assert client.connect("c").server_reference == "elsewhere:1883"
    switches.mend()
    with RawClient(mqtt_url) as client:
        assert client.connect("c").reason_code == ConnAckReasonCode.SUCCESS


def test_a_session_is_forgotten(mqtt_url: str, faults: Faults) -> None:
    for is_present in (False, True):
        with RawClient(mqtt_url) as client:
            assert client.connect("c", session_expiry_interval=1000).session_present == is_present
            client.send(DisconnectPacket())
            assert client.has_ended()
    assert faults.forget_session("c")
    assert not faults.forget_session("c")
    with RawClient(mqtt_url) as client:
        assert not client.connect("c", session_expiry_interval=1000).session_present


def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    with Broker(store=tmp_path / "broker.redb") as broker:
        faults = broker.faults()
        with RawClient(broker.url) as client:
            client.connect("c", session_expiry_interval=1000)
            faults.fill_disk()
            client.send(SubscribePacket(1, [TopicFilter("a")]))
            assert client.receive(SubAckPacket).reason_codes[0] >= 0x80
            faults.free_disk()
            client.send(SubscribePacket(2, [TopicFilter("a")]))
            assert client.receive(SubAckPacket).reason_codes[0] == 2


def test_what_a_client_sent_is_recorded(faults: Faults, client: RawClient) -> None:
    client.publish("a", b"1")
    connect, publish = faults.sent_by("c")
    assert connect == ConnectPacket("c")
    assert publish == PublishPacket("a", b"1", qos=1, packet_id=1)
    assert faults.sent_by("nobody") == []
    faults.clear_sent("c")
    assert faults.sent_by("c") == []


def test_a_packet_is_waited_for(faults: Faults, client: RawClient) -> None:
    found: list[Packet] = []

    def wait() -> None:
        found.append(faults.wait_for("c", lambda packet: is_publish(packet) and packet.payload == b"2"))  # type: ignore[union-attr]

    waiting = threading.Thread(target=wait)
    waiting.start()
    client.publish("a", b"1")
    client.publish("a", b"2")
    waiting.join()
    assert found == [PublishPacket("a", b"2", qos=1, packet_id=1)]
    # What was sent is found as well.
    assert faults.wait_for("c", is_publish, timeout=None) == PublishPacket("a", b"1", qos=1, packet_id=1)


def test_a_wait_ends(faults: Faults, client: RawClient) -> None:
    with pytest.raises(TimeoutError, match=r"client 'c' has sent no such packet within 0\.05 s"):
        faults.wait_for("c", is_publish, 0.05)
    client.publish("a")

    def fails(_: Packet) -> bool:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        faults.wait_for("c", fails)


def test_switches_outlive_the_broker_and_do_nothing_then(
    mqtt_broker: Broker, faults: Faults, client: RawClient
) -> None:
    mqtt_broker.stop(0)
    assert client.has_ended()
    assert not faults.forget_session("c")
    faults.client("c").cut()
    faults.all().mend()
    assert faults.sent_by("c") == [ConnectPacket("c")]
    with pytest.raises(RuntimeError, match="the broker does not run"):
        mqtt_broker.faults()


def test_what_no_switch_takes_is_said(faults: Faults) -> None:
    switches = faults.all()
    with pytest.raises(ValueError, match="direction: 'up' is neither 'from_client' nor 'to_client'"):
        switches.delay("up", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"packet: give a class of ohmqtt.codec, such as PubAckPacket"):
        switches.withhold(int)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="how many packets= or how many bytes="):
        switches.cut_after("to_client")
    with pytest.raises(ValueError, match="does not refuse: use one from 0x80 on"):
        switches.refuse(ConnAckReasonCode.SUCCESS)
    with pytest.raises(ValueError, match="receive_max: 0 is not from 1 to 65535"):
        switches.tell(receive_max=0)
    with pytest.raises(ValueError, match="server: "):
        switches.redirect("a\0b")
    with pytest.raises(ValueError, match="seconds: not a number"):
        switches.delay("to_client", float("nan"))


def test_a_broker_under_its_own_address_is_gone_and_comes_back(mqtt_broker: Broker, client: RawClient) -> None:
    mqtt_broker.restart(0)
    assert client.has_ended()
    with RawClient(mqtt_broker.url) as again:
        again.connect("c")
    with pytest.raises(OSError, match="in use") as raised:
        Broker(mqtt_broker.url).start()
    assert raised.value.errno == errno.EADDRINUSE
