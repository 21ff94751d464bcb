"""Programs written for umqtt.simple, umqtt.robust and umqtt.default, over real connections."""

from __future__ import annotations

import select
import threading
import time
from typing import TYPE_CHECKING

import pytest

from clients import SOON
from ohmqtt import default, robust, simple
from ohmqtt.broker import Broker
from ohmqtt.codec import PingReqPacket

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def port_of(broker: Broker) -> int:
    return int(broker.url.rpartition(":")[2])


def made(broker: Broker, name: str = "c", **options: object) -> simple.MQTTClient:
    return simple.MQTTClient(name, "127.0.0.1", port_of(broker), **options)  # type: ignore[arg-type]


class Inbox(list[tuple[bytes, bytes]]):
    def __call__(self, topic: bytes, msg: bytes) -> None:
        self.append((topic, msg))


def listener(broker: Broker, topic: bytes = b"t", qos: int = 0) -> tuple[simple.MQTTClient, Inbox]:
    client, inbox = made(broker, "listener"), Inbox()
    client.set_callback(inbox)
    assert client.connect() == 0
    client.subscribe(topic, qos)
    return client, inbox


def test_the_example_of_a_publisher_and_a_subscriber(broker: Broker) -> None:
    subscriber, inbox = listener(broker, b"foo_topic")
    publisher = made(broker, "umqtt_client")
    publisher.connect()
    publisher.publish(b"foo_topic", b"hello")
    publisher.disconnect()
    assert subscriber.wait_msg() == 0x30
    assert inbox == [(b"foo_topic", b"hello")]
    subscriber.disconnect()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_one_call_takes_one_message(broker: Broker, qos: int) -> None:
    subscriber, inbox = listener(broker, b"t", qos)
    publisher = made(broker)
    publisher.connect()
    for n in range(20):
        publisher.publish("t", str(n), qos=qos)
    seen = []
    while len(inbox) < 20:
        before = len(inbox)
        op = subscriber.wait_msg()
        if op is not None and op & 0xF0 == 0x30:
            assert op == 0x30 | qos << 1
            seen.append(len(inbox) - before)
    assert seen == [1] * 20
    assert [int(msg) for _, msg in inbox] == list(range(20))
    publisher.disconnect()
    subscriber.disconnect()


def test_check_msg_does_not_wait_and_a_socket_can_be_polled(broker: Broker) -> None:
    subscriber, inbox = listener(broker)
    assert subscriber.check_msg() is None
    publisher = made(broker)
    publisher.connect()
    for n in range(3):
        publisher.publish("t", str(n))
    assert subscriber.sock is not None
    while len(inbox) < 3:
        ready, _, _ = select.select([subscriber.sock], [], [], SOON)
        assert ready
        subscriber.check_msg()
    assert subscriber.check_msg() is None
    publisher.disconnect()
    subscriber.disconnect()


def test_publishing_from_a_callback(broker: Broker) -> None:
    client, got = made(broker), []

    def answer(topic: bytes, msg: bytes) -> None:
        got.append(topic)
        if topic == b"ask":
            client.publish(b"answer", msg, qos=1)

    client.set_callback(answer)
    client.connect()
    client.subscribe("ask", 1)
    client.subscribe("answer", 1)
    for _ in range(50):
        client.publish("ask", "?", qos=1)
    while len(got) < 100:
        client.wait_msg()
    assert (got.count(b"ask"), got.count(b"answer")) == (50, 50)
    client.disconnect()


def test_a_callback_that_raises_keeps_the_others_coming(broker: Broker) -> None:
    client, inbox = made(broker), Inbox()

    def picky(topic: bytes, msg: bytes) -> None:
        if msg == b"bad":
            raise LookupError(msg)
        inbox(topic, msg)

    client.set_callback(picky)
    client.connect()
    client.subscribe("t", 1)
    publisher = made(broker, "p")
    publisher.connect()
    for msg in (b"bad", b"good"):
        publisher.publish("t", msg, qos=1)
    with pytest.raises(LookupError):
        client.wait_msg()
    client.wait_msg()
    assert inbox == [(b"t", b"good")]
    publisher.disconnect()
    client.disconnect()


def test_a_session_that_is_kept_brings_what_was_missed(broker: Broker) -> None:
    client, inbox = made(broker), Inbox()
    client.set_callback(inbox)
    assert client.connect(clean_session=False) == 0
    client.subscribe("t", 1)
    client.disconnect()
    publisher = made(broker, "p")
    publisher.connect()
    publisher.publish("t", "missed", qos=1)
    publisher.disconnect()
    assert client.connect(clean_session=False) == 1
    while not inbox:
        client.wait_msg()
    assert inbox == [(b"t", b"missed")]
    client.disconnect()
    assert client.connect() == 0
    client.disconnect()


def test_the_last_will_is_for_ends_without_a_word(broker: Broker) -> None:
    watcher, inbox = listener(broker, b"wills/+")
    for name, orderly in (("orderly", True), ("abrupt", False)):
        client = made(broker, name)
        client.set_last_will(f"wills/{name}", "gone", retain=False, qos=1)
        client.connect()
        if orderly:
            client.disconnect()
        else:
            assert client.sock is not None
            client.sock.close()
    watcher.wait_msg()
    assert inbox == [(b"wills/abrupt", b"gone")]
    watcher.disconnect()


def test_ping_is_answered(broker: Broker) -> None:
    client = made(broker)
    client.connect()
    client.ping()
    assert client.wait_msg() is None
    client.disconnect()


def test_the_connection_is_kept_alive_while_wait_msg_waits(broker: Broker) -> None:
    faults = broker.faults()
    client, inbox = made(broker, keepalive=2), Inbox()
    client.set_callback(inbox)
    client.connect()
    client.subscribe("t")

    def publish_late() -> None:
        # Without the first of these pings the broker would have ended the connection before the second.
        faults.wait_for("c", lambda packet: isinstance(packet, PingReqPacket), SOON)
        faults.clear_sent("c")
        faults.wait_for("c", lambda packet: isinstance(packet, PingReqPacket), SOON)
        publish_once(broker, "t", "late")

    late = threading.Thread(target=publish_late)
    late.start()
    while not inbox:
        client.wait_msg()
    late.join()
    assert client.sock is not None
    client.disconnect()


def publish_once(broker: Broker, topic: str, msg: str, qos: int = 0) -> None:
    publisher = made(broker, "once")
    publisher.connect()
    publisher.publish(topic, msg, qos=qos)
    publisher.disconnect()


def test_bad_input_is_told(broker: Broker) -> None:
    client = made(broker)
    for call in (client.wait_msg, client.check_msg, client.ping, lambda: client.publish("t", "x")):
        with pytest.raises(OSError, match="not connected: call connect"):
            call()
    client.disconnect()
    client.connect()
    with pytest.raises(RuntimeError, match="set_callback"):
        client.subscribe("t")
    client.set_callback(print)
    with pytest.raises(ValueError, match="topic"):
        client.publish("a/#", "x")
    with pytest.raises(ValueError, match="qos"):
        client.publish("a", "x", qos=3)
    client.disconnect()
    with pytest.raises(ConnectionRefusedError):
        simple.MQTTClient("c", "127.0.0.1", 1).connect()


def test_a_refusal_is_an_mqtt_exception_with_its_reason_code() -> None:
    def nobody(*_: object, **__: object) -> bool:
        return False

    with Broker(authenticator=nobody) as broker:
        client = made(broker, user="me", password="wrong")
        with pytest.raises(simple.MQTTException) as told:
            client.connect()
        assert told.value.args[0] in (0x86, 0x87)
        assert client.sock is None


def test_robust_goes_on_over_a_restart(own_url: str) -> None:
    with Broker(own_url) as first:
        client, inbox = robust.MQTTClient("c", "127.0.0.1", port_of(first)), Inbox()
        client.DELAY = 0.1  # type: ignore[misc]
        client.set_callback(inbox)
        client.connect(clean_session=False)
        client.subscribe("t", 1)
    with Broker(own_url) as second:
        # The new broker knows nothing of the session; the message is acknowledged all the same.
        client.publish("elsewhere", "x", qos=1)
        client.subscribe("t", 1)
        publish_once(second, "t", "after", qos=1)
        client.wait_msg()
        assert inbox == [(b"t", b"after")]
        client.disconnect()


def test_robust_publishes_once_what_was_under_way(broker: Broker) -> None:
    class Logged(robust.MQTTClient):
        DELAY = 0.05
        told = 0

        def log(self, in_reconnect: bool, e: OSError) -> None:
            assert in_reconnect or e.errno
            self.told += 1

    watcher, inbox = listener(broker, b"t", 2)
    client = Logged("c", "127.0.0.1", port_of(broker))
    client.connect(clean_session=False)
    for n in range(50):
        if n % 10 == 5:
            assert client.sock is not None
            client.sock.shutdown(2)
        client.publish("t", str(n), qos=2)
    assert client.told >= 5
    while len(inbox) < 50:
        watcher.wait_msg()
    assert [int(msg) for _, msg in inbox] == list(range(50))
    client.disconnect()
    watcher.disconnect()


def test_robust_check_msg_tries_so_often(broker: Broker) -> None:
    client = robust.MQTTClient("c", "127.0.0.1", port_of(broker))
    client.connect(clean_session=False)
    assert client.sock is not None
    client.sock.shutdown(2)
    assert client.check_msg(attempts=1) is None
    assert client.sock is not None
    assert client.check_msg() is None
    client.disconnect()


def test_default_gives_each_topic_its_handler(broker: Broker) -> None:
    client, rest = default.MQTTClient("c", "127.0.0.1", port_of(broker)), Inbox()
    lamps: list[tuple[bytes, bytes]] = []
    doors: list[tuple[bytes, bytes]] = []
    client.set_callback(rest)
    client.connect(clean_session=False)
    client.subscribe("lamps/+", lamps.append, qos=1)
    client.subscribe(b"doors/#", doors.append)
    client.subscribe("rest")
    assert client.isconnected()
    for topic in ("lamps/1", "doors/front/lock", "rest"):
        client.publish(topic, topic, qos=1)
    end = time.monotonic() + SOON
    while len(lamps) + len(doors) + len(rest) < 3 and time.monotonic() < end:
        client.check_msg()
    assert (lamps, doors, rest) == (
        [(b"lamps/1", b"lamps/1")],
        [(b"doors/front/lock", b"doors/front/lock")],
        [(b"rest", b"rest")],
    )
    client.unsubscribe("lamps/+")
    client.publish("lamps/1", "unheard", qos=1)
    client.disconnect()
    assert not client.isconnected()
    assert len(lamps) == 1
    with pytest.raises(ValueError, match="there is no 'keys'"):
        default.MQTTClient("c", "127.0.0.1", port_of(broker), ssl=True, ssl_params={"keys": "x"}).connect()
    with pytest.raises(FileNotFoundError):
        default.MQTTClient("c", "127.0.0.1", port_of(broker), ssl=True, ssl_params={"cafile": "none.pem"}).connect()


def test_default_subscribes_again_where_the_session_is_gone(own_url: str) -> None:
    got: list[tuple[bytes, bytes]] = []
    with Broker(own_url) as first:
        client = default.MQTTClient("c", "127.0.0.1", port_of(first))
        client.DELAY = 0.1  # type: ignore[misc]
        client.connect(clean_session=False)
        client.subscribe("t", got.append, qos=1)
    with Broker(own_url) as second:
        client.reconnect()
        publish_once(second, "t", "x", qos=1)
        client.wait_msg()
        assert got == [(b"t", b"x")]
        client.disconnect()
