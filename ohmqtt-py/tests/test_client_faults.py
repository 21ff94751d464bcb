"""The drop-in client on connections that break: nothing lost, nothing twice, and what is lost is told."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from clients import SOON, Inbox, until
from ohmqtt import Client, LostMessageError, MQTTConnectProps, MQTTPublishPacket
from ohmqtt.broker import Broker, Switches
from ohmqtt.codec import PubAckPacket, PublishPacket

LASTING = MQTTConnectProps(SessionExpiryInterval=3600)
AGAIN = 0.02
"""So soon, in seconds, a connection that broke is made again."""


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


class Connections:
    """Lets one wait for the next connection of a client."""

    def __init__(self, client: Client) -> None:
        self.made = threading.Semaphore(0)
        client.on_connect = lambda *_: self.made.release()

    def next(self) -> None:
        assert self.made.acquire(timeout=SOON)


class Cuts:
    """Cuts a connection behind some packets, and each that is made in its place, so often."""

    MOST = 20

    def __init__(self, switches: Switches) -> None:
        self.switches = switches
        self.begun = 0
        self.random = random.Random(7)

    def next(self, *_: object) -> None:
        if self.begun < self.MOST:
            self.begun += 1
            packets = self.random.randint(1, 40)
            self.switches.cut_after(self.random.choice(["from_client", "to_client"]), packets=packets)


@pytest.mark.parametrize("victim", ["publisher", "subscriber"])
def test_messages_of_qos_2_arrive_once_and_in_order_whatever_breaks(broker: Broker, victim: str) -> None:
    inbox = Inbox()
    cuts = Cuts(broker.faults().client(victim))
    with Client() as publisher, Client() as subscriber:
        clients = {"publisher": publisher, "subscriber": subscriber}
        connections = Connections(clients[victim])
        for client_id, client in clients.items():
            client.connect(broker.url, client_id=client_id, reconnect_delay=AGAIN, connect_properties=LASTING)
            client.wait_for_connect(SOON)
        subscriber.subscribe("a", inbox).wait_for_ack(SOON)
        connections.next()
        clients[victim].on_connect = cuts.next
        cuts.next()
        for number in range(1000):
            handle = publisher.publish("a", str(number), qos=2)
            if number % 50 == 0:
                handle.wait_for_ack(SOON)
        handle.wait_for_ack(SOON)
        arrived = inbox.payloads(1000)
        # The first came, and so did the connection after it.
        until(lambda: cuts.begun > 1)
        assert arrived == [str(number).encode() for number in range(1000)]
        assert inbox.packets.empty()


def test_what_a_lost_session_takes_with_it_is_told(broker: Broker) -> None:
    faults = broker.faults()
    with Client() as client:
        client.connect(broker.url, client_id="me", reconnect_delay=AGAIN, connect_properties=LASTING)
        client.wait_for_connect(SOON)
        faults.client("me").withhold(PubAckPacket)
        handle = client.publish("a", b"x", qos=1)
        faults.wait_for("me", lambda packet: isinstance(packet, PublishPacket), SOON)
        faults.client("me").cut()
        faults.forget_session("me")
        with pytest.raises(LostMessageError):
            handle.wait_for_ack(SOON)
        faults.client("me").mend()
        client.publish("a", b"y", qos=1).wait_for_ack(SOON)


def test_subscriptions_are_made_again_with_a_new_session(broker: Broker) -> None:
    inbox = Inbox()
    switches = broker.faults().client("me")
    with Client() as client:
        connections = Connections(client)
        client.connect(broker.url, client_id="me", reconnect_delay=AGAIN)
        client.subscribe("a", inbox).wait_for_ack(SOON)
        connections.next()
        for number in range(5):
            switches.cut()
            connections.next()
            client.publish("a", str(number), qos=1).wait_for_ack(SOON)
            assert inbox.next().payload == str(number).encode()


def test_many_threads_publish_subscribe_and_wait(broker: Broker) -> None:
    inbox = Inbox()
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for number in range(30):
                topic = f"{name}/{number}"
                client.subscribe(topic, inbox).wait_for_ack(SOON)
                client.publish(topic, topic, qos=2).wait_for_ack(SOON)
                left = client.unsubscribe(topic)
                assert left is not None
                left.wait_for_ack(SOON)
        except BaseException as error:
            errors.append(error)

    def ignore(_: Client, packet: MQTTPublishPacket) -> None:
        assert packet.topic

    with Client() as client:
        client.connect(broker.url)
        client.subscribe("#", ignore).wait_for_ack(SOON)
        threads = [threading.Thread(target=work, args=(f"thread{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)
        assert errors == []
        assert len(client.session.subscriptions) == 1
