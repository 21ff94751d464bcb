"""The drop-in client, with our broker and with Mosquitto: messages, subscriptions, handles, and the loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest

from clients import SOON, Inbox, mosquitto, until
from ohmqtt import (
    Client,
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPublishProps,
    MQTTQoS,
    MQTTReasonCode,
    MQTTSubAckPacket,
    MQTTUnsubAckPacket,
    RetainPolicy,
)
from ohmqtt.broker import Broker
from ohmqtt.connection import InvalidStateError
from ohmqtt.subscriptions import ReconfiguredError


@pytest.fixture(params=["ours", "mosquitto"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "ours":
        with Broker() as broker:
            yield broker.url
    else:
        with mosquitto(tmp_path) as url:
            yield url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client() as client:
        client.connect(url)
        client.wait_for_connect(timeout=SOON)
        yield client


@pytest.mark.parametrize("qos", list(MQTTQoS))
def test_a_message_arrives_as_it_was_published(client: Client, qos: MQTTQoS) -> None:
    inbox = Inbox()
    client.subscribe("a/+", inbox).wait_for_ack(SOON)
    properties = MQTTPublishProps(
        ContentType="text/plain", CorrelationData=b"\x00\x01", UserProperty=[("k", "v"), ("k", "wörld")]
    )
    client.publish("a/b", b"hello", qos=qos, properties=properties)
    packet = inbox.next()
    assert (packet.topic, packet.payload, packet.qos, packet.retain) == ("a/b", b"hello", qos, False)
    assert packet.properties == properties
    assert type(packet.qos) is MQTTQoS


def test_payloads_may_be_text_and_what_bytes_takes(client: Client) -> None:
    inbox = Inbox()
    client.subscribe("a", inbox).wait_for_ack(SOON)
    for payload in ("grüße", bytearray(b"array"), memoryview(b"view"), 3):
        client.publish("a", payload, qos=1)  # type: ignore[arg-type]
    assert inbox.payloads(4) == ["grüße".encode(), b"array", b"view", b"\x00\x00\x00"]


def test_handles_give_the_packet_that_ends_the_delivery(client: Client) -> None:
    at_least_once = client.publish("a", b"", qos=1)
    packet = at_least_once.wait_for_ack(SOON)
    assert isinstance(packet, MQTTPubAckPacket)
    assert packet.packet_id > 0
    assert packet.reason_code == MQTTReasonCode.NoMatchingSubscribers
    assert at_least_once.ack is packet
    assert at_least_once.exc is None
    assert at_least_once.is_acked()
    exactly_once = client.publish("a", b"", qos=2).wait_for_ack(SOON)
    assert isinstance(exactly_once, MQTTPubCompPacket)


def test_a_qos_0_handle_says_that_nobody_acknowledges(client: Client) -> None:
    handle = client.publish("a", b"")
    assert handle.ack is None
    assert not handle.is_acked()
    assert isinstance(handle.exc, ValueError)
    with pytest.raises(ValueError, match=r"^QoS 0 messages will not be acknowledged$"):
        handle.wait_for_ack()


def test_subscriptions_are_granted_and_ended(client: Client) -> None:
    inbox = Inbox()
    handle = client.subscribe("a", inbox, 1)
    suback = handle.wait_for_ack(SOON)
    assert isinstance(suback, MQTTSubAckPacket)
    assert list(suback.reason_codes) == [MQTTReasonCode.GrantedQoS1]
    assert suback.packet_id > 0
    left = client.unsubscribe("a")
    assert left is not None
    unsuback = left.wait_for_ack(SOON)
    assert isinstance(unsuback, MQTTUnsubAckPacket)
    assert list(unsuback.reason_codes) == [MQTTReasonCode.Success]
    assert client.unsubscribe("a") is None
    assert handle.unsubscribe() is None


def test_a_subscription_ends_by_its_handle_and_by_the_older_form(client: Client) -> None:
    inbox = Inbox()
    handle = client.subscribe("a", inbox)
    left = handle.unsubscribe()
    assert left is not None
    left.wait_for_ack(SOON)
    client.subscribe("b", inbox)
    left = client.unsubscribe("b", inbox)
    assert left is not None
    left.wait_for_ack(SOON)
    assert len(client.session.subscriptions) == 0


def test_what_came_before_the_loop_ran_is_called_back_in_order(url: str) -> None:
    inbox = Inbox()
    client = Client()
    client.connect(url)
    client.wait_for_connect(SOON)
    client.subscribe("a", inbox)
    for number in range(1000):
        client.publish("a", str(number), qos=number % 3)
    assert inbox.packets.empty()
    deadline = time.monotonic() + SOON
    while inbox.packets.qsize() < 1000 and time.monotonic() < deadline:
        client.loop_once(0.1)
    by_qos: dict[int, list[int]] = {0: [], 1: [], 2: []}
    for packet in inbox.packets.queue:
        by_qos[packet.qos].append(int(packet.payload))
    assert sum(map(len, by_qos.values())) == 1000
    assert all(numbers == sorted(numbers) for numbers in by_qos.values())
    client.disconnect()
    client.wait_for_disconnect(SOON)
    client.shutdown()
    client.wait_for_shutdown(SOON)


def test_messages_of_qos_1_published_before_the_first_connection_arrive(url: str) -> None:
    inbox = Inbox()
    with Client() as client:
        client.subscribe("a", inbox)
        handles = [client.publish("a", str(number), qos=1) for number in range(10)]
        dropped = client.publish("a", b"dropped", qos=0)
        assert dropped.ack is None
        client.connect(url)
        for handle in handles:
            handle.wait_for_ack(SOON)
        assert inbox.payloads(10) == [str(number).encode() for number in range(10)]
        client.publish("a", b"after").is_acked()
        assert inbox.next().payload == b"after"


def test_callbacks_may_publish_subscribe_and_wait(client: Client) -> None:
    answers = Inbox()
    seen: Queue[object] = Queue()

    def answer(own: Client, packet: MQTTPublishPacket) -> None:
        try:
            own.subscribe("answers", answers).wait_for_ack(SOON)
            own.publish("answers", packet.payload, qos=2).wait_for_ack(SOON)
            left = own.unsubscribe("questions")
            assert left is not None
            left.wait_for_ack(SOON)
            seen.put(own)
        except Exception as error:
            seen.put(error)

    client.subscribe("questions", answer).wait_for_ack(SOON)
    client.publish("questions", b"42", qos=2)
    assert seen.get(timeout=SOON) is client
    assert answers.next().payload == b"42"


def test_a_callback_that_raises_is_logged_and_its_message_acknowledged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = Inbox()

    def fail(own: Client, packet: MQTTPublishPacket) -> None:
        inbox(own, packet)
        raise ValueError("no good")

    client.subscribe("a", fail).wait_for_ack(SOON)
    with caplog.at_level(logging.ERROR, "ohmqtt"):
        for number in range(100):
            client.publish("a", str(number), qos=1)
        assert len(inbox.payloads(100)) == 100
        until(lambda: len(caplog.records) == 100)
    assert all("no good" in (record.exc_text or "") for record in caplog.records)


def test_the_same_filter_again_takes_the_place_of_the_first(url: str) -> None:
    first, second = Inbox(), Inbox()
    with Client() as client:
        before = client.subscribe("a", first)
        after = client.subscribe("a", second, 1)
        with pytest.raises(ReconfiguredError):
            before.wait_for_ack(SOON)
        client.connect(url)
        assert list(after.wait_for_ack(SOON).reason_codes) == [MQTTReasonCode.GrantedQoS1]
        client.publish("a", b"x", qos=2)
        assert second.next().qos == MQTTQoS.Q1
        third = Inbox()
        again = client.subscribe("a", third)
        for number in range(50):
            client.publish("a", str(number), qos=1)
        again.wait_for_ack(SOON)
        assert third.payloads(50) == [str(number).encode() for number in range(50)]
        assert first.packets.empty()
        assert second.packets.empty()
        assert before.unsubscribe() is None
        assert len(client.session.subscriptions) == 1


def test_overlapping_filters_all_get_the_message(client: Client) -> None:
    inboxes = {topic_filter: Inbox() for topic_filter in ("a/#", "a/+", "a/b")}
    for topic_filter, inbox in inboxes.items():
        client.subscribe(topic_filter, inbox).wait_for_ack(SOON)
    client.publish("a/b", b"x", qos=1)
    assert [inbox.next().payload for inbox in inboxes.values()] == [b"x"] * 3


def test_a_subscription_identifier_is_shown_to_the_callback(client: Client) -> None:
    inbox, plain = Inbox(), Inbox()
    client.subscribe("a", inbox, sub_id=7).wait_for_ack(SOON)
    client.subscribe("b", plain).wait_for_ack(SOON)
    client.publish("a", b"")
    client.publish("b", b"")
    assert inbox.next().properties.SubscriptionIdentifier == {7}
    assert plain.next().properties.SubscriptionIdentifier is None
    for wrong in (0, 268_435_456):
        with pytest.raises(ValueError, match="sub_id"):
            client.subscribe("c", inbox, sub_id=wrong)


def test_retained_messages_come_by_the_policy(client: Client) -> None:
    client.publish("a", b"kept", qos=1, retain=True).wait_for_ack(SOON)
    always, once, never = Inbox(), Inbox(), Inbox()
    client.subscribe("a", always).wait_for_ack(SOON)
    packet = always.next()
    assert (packet.payload, packet.retain) == (b"kept", True)
    client.subscribe("+", never, retain_policy=RetainPolicy.NEVER).wait_for_ack(SOON)
    client.subscribe("#", once, retain_policy=RetainPolicy.ONCE).wait_for_ack(SOON)
    assert once.next().payload == b"kept"
    client.subscribe("#", once, retain_policy=RetainPolicy.ONCE).wait_for_ack(SOON)
    client.publish("a", b"new", qos=1, retain=True).wait_for_ack(SOON)
    assert once.next().payload == b"new"
    assert never.next().payload == b"new"


def test_no_local_and_retain_as_published_are_kept(url: str, client: Client) -> None:
    inbox, flags = Inbox(), Inbox()
    client.subscribe("a", inbox, no_local=True).wait_for_ack(SOON)
    client.subscribe("+", flags, retain_as_published=True, no_local=True).wait_for_ack(SOON)
    client.publish("a", b"own", qos=1).wait_for_ack(SOON)
    with Client() as other:
        other.connect(url)
        other.wait_for_connect(SOON)
        other.publish("a", b"other", qos=1, retain=True).wait_for_ack(SOON)
    assert inbox.next().payload == b"other"
    assert flags.next().retain


@pytest.mark.parametrize(("topic_filter", "share_name"), [("$share/g/a", None), ("a", "g")])
def test_shared_subscriptions_divide_the_messages(
    url: str, client: Client, topic_filter: str, share_name: str | None
) -> None:
    inbox = Inbox()
    with Client() as other:
        other.connect(url)
        for member in (client, other):
            member.subscribe(topic_filter, inbox, share_name=share_name).wait_for_ack(SOON)
        for number in range(20):
            client.publish("a", str(number), qos=1).wait_for_ack(SOON)
        assert sorted(map(int, inbox.payloads(20))) == list(range(20))
        left = client.unsubscribe(topic_filter, share_name=share_name)
        assert left is not None
        assert list(left.wait_for_ack(SOON).reason_codes) == [MQTTReasonCode.Success]
    assert inbox.packets.empty()


def test_a_share_name_is_given_once(client: Client) -> None:
    with pytest.raises(ValueError, match="share name"):
        client.subscribe("$share/g/a", Inbox(), share_name="g")


@pytest.mark.parametrize("wrong", ["", "a/#/b", "a+", "x\x00"])
def test_wrong_topics_and_filters_are_value_errors(client: Client, wrong: str) -> None:
    with pytest.raises(ValueError, match=r"topic|filter|empty|wildcard|U\+0000|character"):
        client.publish(wrong, b"")
    with pytest.raises(ValueError, match=r"topic|filter|empty|wildcard|U\+0000|character"):
        client.subscribe(wrong, Inbox())


def test_the_loop_is_started_once_and_ends_with_the_client(url: str) -> None:
    client = Client()
    client.start_loop()
    with pytest.raises(RuntimeError, match="already"):
        client.start_loop()
    client.connect(url)
    client.wait_for_connect(SOON)
    client.shutdown()
    client.shutdown()
    client.wait_for_shutdown(SOON)
    assert not client.is_connected()
    assert client.loop_until_connected(SOON) is False
    client.loop_forever()
    client.loop_once(None)
    with pytest.raises(RuntimeError):
        client.publish("a", b"", qos=1)
    with pytest.raises(InvalidStateError, match="shut down"):
        client.connect(url)


def test_loop_forever_runs_in_the_callers_thread(url: str) -> None:
    threads: list[threading.Thread] = []

    def stop(own: Client, _: MQTTPublishPacket) -> None:
        threads.append(threading.current_thread())
        own.shutdown()

    client = Client()
    client.connect(url)
    assert client.loop_until_connected(SOON)
    client.subscribe("a", stop)
    client.publish("a", b"")
    client.loop_forever()
    assert threads == [threading.current_thread()]


def test_loop_once_does_not_wait_unless_it_is_told_to(url: str) -> None:
    client = Client()
    assert client.loop_until_connected(0.0) is False
    client.loop_once()
    client.loop_once(0.05)
    client.connect(url)
    assert client.loop_until_connected(SOON)
    assert client.is_connected()
    client.shutdown()
    client.wait_for_shutdown(SOON)


def test_a_callback_may_run_the_loop(url: str) -> None:
    seen: list[bytes] = []

    def nested(own: Client, packet: MQTTPublishPacket) -> None:
        seen.append(packet.payload)
        if packet.payload == b"0":
            deadline = time.monotonic() + SOON
            while len(seen) < 3 and time.monotonic() < deadline:
                own.loop_once(0.1)

    client = Client()
    client.connect(url)
    client.subscribe("a", nested)
    for number in range(3):
        client.publish("a", str(number), qos=1)
    deadline = time.monotonic() + SOON
    while len(seen) < 3 and time.monotonic() < deadline:
        client.loop_once(0.1)
    assert seen == [b"0", b"1", b"2"]
    client.shutdown()
    client.wait_for_shutdown(SOON)


def test_several_threads_may_run_the_loop(url: str) -> None:
    inbox = Inbox()
    client = Client()
    client.connect(url)
    threads = [threading.Thread(target=client.loop_forever) for _ in range(4)]
    for thread in threads:
        thread.start()
    client.subscribe("a", inbox)
    for number in range(500):
        client.publish("a", str(number), qos=1)
    assert sorted(map(int, inbox.payloads(500))) == list(range(500))
    client.shutdown()
    for thread in threads:
        thread.join(SOON)
        assert not thread.is_alive()


def test_disconnect_sends_what_was_published_before(url: str) -> None:
    inbox = Inbox()
    with Client() as reader:
        reader.connect(url)
        reader.subscribe("a", inbox).wait_for_ack(SOON)
        with Client() as client:
            client.connect(url)
            client.wait_for_connect(SOON)
            # More than fits into a socket, in fewer messages than a broker keeps of QoS 0 for who is slow.
            for number in range(500):
                client.publish("a", b"x" * 4000 + str(number).encode())
            client.disconnect()
            client.wait_for_disconnect(SOON)
        assert [int(payload[4000:]) for payload in inbox.payloads(500)] == list(range(500))


def test_leaving_the_block_sends_what_was_published_and_no_will(url: str) -> None:
    inbox, wills = Inbox(), Inbox()
    with Client() as reader:
        reader.connect(url)
        reader.subscribe("a", inbox).wait_for_ack(SOON)
        reader.subscribe("will", wills).wait_for_ack(SOON)
        with Client() as client:
            client.connect(url, will_topic="will", will_payload=b"gone", will_qos=1)
            client.wait_for_connect(SOON)
            for number in range(100):
                client.publish("a", str(number))
        assert len(inbox.payloads(100)) == 100
        reader.publish("will", b"none", qos=1).wait_for_ack(SOON)
        assert wills.next().payload == b"none"


def test_shutdown_alone_has_the_will_published(url: str) -> None:
    wills = Inbox()
    with Client() as reader:
        reader.connect(url)
        reader.subscribe("will", wills).wait_for_ack(SOON)
        client = Client()
        client.connect(url, will_topic="will", will_payload=b"gone", will_qos=1)
        client.wait_for_connect(SOON)
        client.shutdown()
        assert wills.next().payload == b"gone"
        client.wait_for_shutdown(SOON)


def test_handles_outlive_their_client() -> None:
    client = Client()
    handle = client.publish("a", b"", qos=1)
    subscribed = client.subscribe("a", Inbox())
    with pytest.raises(TimeoutError):
        handle.wait_for_ack(0.01)
    del client
    for left in (handle, subscribed):
        with pytest.raises(RuntimeError, match="gone"):
            left.wait_for_ack(SOON)


def test_subclasses_may_have_attributes_of_their_own(url: str) -> None:
    class Counting(Client):
        def __init__(self) -> None:
            super().__init__()
            self.count = 0

        def on_message(self, client: Client, _: MQTTPublishPacket) -> None:
            assert client is self
            self.count += 1

    with Counting() as client:
        client.connect(url)
        client.subscribe("a", client.on_message).wait_for_ack(SOON)
        client.publish("a", b"", qos=1)
        until(lambda: client.count == 1)
