"""What the drop-in client took, it gives back: memory, threads, files, and itself."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clients import SOON, until
from ohmqtt import Client, MQTTPublishPacket
from ohmqtt.broker import Broker
from ohmqtt.handles import PublishHandle
from programs import check_growth, held

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what the process occupies")

MEBIBYTE = 1024 * 1024


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def ignore(_: Client, packet: MQTTPublishPacket) -> None:
    """Have nothing to do with it."""


def callback_with(client: Client) -> Callable[[Client, MQTTPublishPacket], None]:
    """Make one that holds the client, which holds it."""

    def callback(own: Client, _: MQTTPublishPacket) -> None:
        assert own is client

    return callback


def test_handles_that_are_dropped_leave_nothing(broker: Broker) -> None:
    with Client() as client:
        client.connect(broker.url)
        client.wait_for_connect(SOON)

        def publish() -> None:
            for _ in range(20):
                for _ in range(999):
                    client.publish("a", b"x" * 100, qos=1)
                client.publish("a", b"x" * 100, qos=2).wait_for_ack(SOON)

        # 40,000 of a handle and a packet would be far more than that, also of what belongs to them in the engine.
        check_growth(publish, 4 * MEBIBYTE)


def test_handles_that_are_kept_and_then_released_leave_nothing(broker: Broker) -> None:
    with Client() as client:
        client.connect(broker.url)
        client.wait_for_connect(SOON)
        handles: list[PublishHandle] = []

        def publish() -> None:
            for number in range(20_000):
                handles.append(client.publish("a", b"x" * 100, qos=1 + number % 2))
            for handle in handles:
                handle.wait_for_ack(SOON)
            handles.clear()

        check_growth(publish, 8 * MEBIBYTE)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_that_arrive_leave_nothing(broker: Broker, qos: int) -> None:
    count = 0
    every = threading.Condition()

    def callback(_: Client, packet: MQTTPublishPacket) -> None:
        nonlocal count
        count += 1
        if packet.payload == b"last":
            with every:
                every.notify()

    with Client() as client, Client() as reader:
        client.connect(broker.url)
        client.wait_for_connect(SOON)
        reader.connect(broker.url)
        reader.subscribe("a", callback).wait_for_ack(SOON)

        def exchange() -> None:
            nonlocal count
            count = 0
            for _ in range(40):
                with every:
                    for _ in range(499):
                        client.publish("a", b"x" * 100, qos=qos)
                    client.publish("a", b"last", qos=qos)
                    assert every.wait(SOON)
            assert count == 20_000

        check_growth(exchange, 4 * MEBIBYTE)


def test_subscriptions_that_have_ended_leave_nothing(broker: Broker) -> None:
    with Client() as client:
        client.connect(broker.url)
        client.wait_for_connect(SOON)

        def come_and_go() -> None:
            for number in range(5_000):
                client.subscribe(f"a/{number}", ignore)
                left = client.unsubscribe(f"a/{number}")
                if number % 100 == 99:
                    assert left is not None
                    left.wait_for_ack(SOON)

        check_growth(come_and_go, 4 * MEBIBYTE)
        assert len(client.subscriptions) == 0
        assert broker.metrics().subscriptions == 0


def test_subscriptions_that_take_each_others_place_leave_nothing(broker: Broker) -> None:
    with Client() as client:
        client.connect(broker.url)
        client.wait_for_connect(SOON)

        def subscribe() -> None:
            for number in range(2_000):
                handle = client.subscribe("a", ignore)
                if number % 10 == 9:
                    handle.wait_for_ack(SOON)

        check_growth(subscribe, 4 * MEBIBYTE)
        assert len(client.subscriptions) == 1


def test_connections_that_have_ended_leave_nothing(broker: Broker) -> None:
    with Client() as client:

        def connect() -> None:
            for _ in range(500):
                client.connect(broker.url, client_id="me", clean_start=True)
                client.wait_for_connect(SOON)
                client.disconnect()
                client.wait_for_disconnect(SOON)

        client.connect(broker.url)
        client.wait_for_connect(SOON)
        client.disconnect()
        client.wait_for_disconnect(SOON)
        until(lambda: broker.metrics().connected == 0)
        before = held()
        check_growth(connect, 4 * MEBIBYTE)
        until(lambda: broker.metrics().connected == 0)
        until(lambda: held() <= before)


def test_attempts_that_fail_leave_nothing(closed_url: str) -> None:
    with Client() as client:

        def fail() -> None:
            for _ in range(500):
                client.connect(closed_url)
                with pytest.raises(ConnectionRefusedError):
                    client.wait_for_connect(SOON)

        fail()
        before = held()
        check_growth(fail, 4 * MEBIBYTE)
        until(lambda: held() <= before)


@pytest.mark.parametrize("is_ended", [True, False], ids=["shut down", "forgotten"])
@pytest.mark.parametrize("has_database", [True, False], ids=["database", "memory"])
def test_clients_that_are_gone_leave_nothing(tmp_path: Path, is_ended: bool, has_database: bool) -> None:
    made = 0

    def make() -> None:
        nonlocal made
        for _ in range(40 if has_database else 500):
            made += 1
            client = Client(str(tmp_path / f"{made}.db") if has_database else "")
            client.subscribe("a", callback_with(client))
            client.publish("a", b"x", qos=1)
            if is_ended:
                client.shutdown()
                client.wait_for_shutdown(SOON)
        del client
        gc.collect()
        # A client that is forgotten ends a little later.
        until(lambda: held() <= before)

    first = Client()
    first.shutdown()
    first.wait_for_shutdown(SOON)
    # The threads that stay with the process are there now, whichever test is the first.
    before = held()
    check_growth(make, (4 if has_database else 8) * MEBIBYTE)


def test_clients_with_a_connection_and_a_loop_leave_nothing(broker: Broker) -> None:
    def use() -> None:
        for _ in range(100):
            with Client() as client:
                client.connect(broker.url)
                client.wait_for_connect(SOON)
                client.publish("a", b"x", qos=2).wait_for_ack(SOON)
        until(lambda: broker.metrics().connected == 0)

    use()
    before = held()
    check_growth(use, 4 * MEBIBYTE)
    until(lambda: held() <= before)


def forget_subscribed(client: Client) -> None:
    client.subscribe("a", callback_with(client)).wait_for_ack(SOON)


def forget_hooked(client: Client) -> None:
    client.on_connect = lambda *_: client.shutdown()
    client.on_disconnect = lambda *_: client.shutdown()


def forget_unread(client: Client) -> None:
    client.subscribe("a", callback_with(client)).wait_for_ack(SOON)
    for qos in (0, 1, 2):
        client.publish("a", b"x", qos=qos)
    client.publish("a", b"x", qos=1).wait_for_ack(SOON)
    # One of them was fetched, the others were not.
    client.loop_once(SOON)


def forget_disconnected(client: Client) -> None:
    client.disconnect()
    client.wait_for_disconnect(SOON)
    client.publish("a", b"x", qos=1)


@pytest.mark.parametrize("prepare", [forget_subscribed, forget_hooked, forget_unread, forget_disconnected])
def test_a_client_that_is_forgotten_is_collected_and_disconnects(
    broker: Broker, prepare: Callable[[Client], None]
) -> None:
    client = Client()
    client.connect(broker.url)
    client.wait_for_connect(SOON)
    prepare(client)
    gone, engine = weakref.ref(client), client._engine
    del client
    gc.collect()
    assert gone() is None
    # Nobody but this test has it.
    assert sys.getrefcount(engine) == 2
    del engine
    until(lambda: broker.metrics().connected == 0)


def test_a_client_whose_loop_has_ended_is_collected(broker: Broker) -> None:
    client = Client()
    client.start_loop()
    client.connect(broker.url)
    client.subscribe("a", callback_with(client)).wait_for_ack(SOON)
    client.shutdown()
    client.wait_for_shutdown(SOON)
    gone = weakref.ref(client)
    del client

    def is_collected() -> bool:
        gc.collect()
        return gone() is None

    # The thread of the loop has its last look at it.
    until(is_collected)
