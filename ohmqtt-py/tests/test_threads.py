"""The client among threads: who waits holds up nobody, callbacks may do anything, and many threads may share it."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Queue
from typing import TYPE_CHECKING, Any, cast

import pytest

from clients import SOON, Inbox, Server, until
from ohmqtt import Client, MQTTConnAckPacket, MQTTPubAckPacket, MQTTPublishPacket, MQTTReasonCode
from ohmqtt.broker import Broker
from ohmqtt.connection import InvalidStateError

if TYPE_CHECKING:
    from ohmqtt._native import Engine


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    with Client() as client:
        client.connect(broker.url)
        client.wait_for_connect(SOON)
        yield client


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.listener:
        yield server


STEPS = 20_000
"""So many steps of Python a thread has to get done before it ends somebody's wait."""


class Waiting:
    """A client whose server is played by the test, and what ends a wait of the client's."""

    def __init__(self, server: Server) -> None:
        self.client = Client()
        self.client.connect(server.url)
        self.peer, _ = server.accept(None)

    def connect(self) -> None:
        self.peer.send(MQTTConnAckPacket())

    def begin(self) -> None:
        self.connect()
        self.client.wait_for_connect(SOON)

    def acknowledge(self) -> None:
        packet = self.peer.receive()
        assert isinstance(packet, MQTTPublishPacket)
        self.peer.send(MQTTPubAckPacket(packet.packet_id))

    def cut(self) -> None:
        self.peer.stream.shutdown(socket.SHUT_RDWR)


def wait_for_ack(waiting: Waiting) -> Callable[[], object]:
    waiting.begin()
    handle = waiting.client.publish("a", b"x", qos=1)
    threading.Thread(target=count_and, args=(waiting.acknowledge,)).start()
    return lambda: handle.wait_for_ack(SOON)


def wait_for_connect(waiting: Waiting) -> Callable[[], object]:
    threading.Thread(target=count_and, args=(waiting.connect,)).start()
    return lambda: waiting.client.wait_for_connect(SOON)


def loop_until_connected(waiting: Waiting) -> Callable[[], object]:
    threading.Thread(target=count_and, args=(waiting.connect,)).start()

    def wait() -> None:
        assert waiting.client.loop_until_connected(SOON)

    return wait


def wait_for_disconnect(waiting: Waiting) -> Callable[[], object]:
    waiting.begin()
    threading.Thread(target=count_and, args=(waiting.cut,)).start()
    return lambda: waiting.client.wait_for_disconnect(SOON)


def wait_for_shutdown(waiting: Waiting) -> Callable[[], object]:
    threading.Thread(target=count_and, args=(waiting.client.shutdown,)).start()
    return lambda: waiting.client.wait_for_shutdown(SOON)


def loop_forever(waiting: Waiting) -> Callable[[], object]:
    threading.Thread(target=count_and, args=(waiting.client.shutdown,)).start()
    return waiting.client.loop_forever


def loop_once(waiting: Waiting) -> Callable[[], object]:
    threading.Thread(target=count_and, args=(waiting.client.shutdown,)).start()
    return lambda: waiting.client.loop_once(None)


def publish(waiting: Waiting) -> Callable[[], object]:
    waiting.begin()
    mebibyte = bytes(1024 * 1024)
    for _ in range(63):
        waiting.client.publish("a", mebibyte, qos=1)
    threading.Thread(target=count_and, args=(waiting.acknowledge,)).start()
    # As each takes a little more than that, it has no room.
    return lambda: waiting.client.publish("a", mebibyte, qos=1)


def leave(waiting: Waiting) -> Callable[[], object]:
    waiting.begin()
    handle = waiting.client.publish("a", b"x", qos=1)
    threading.Thread(target=count_and, args=(waiting.acknowledge,)).start()

    def wait() -> None:
        with waiting.client:
            pass
        # It waited for what was published.
        assert handle.is_acked()

    return wait


def count_and(then: Callable[[], None]) -> None:
    steps = 0
    while steps < STEPS:
        steps += 1
    then()


WAITS = [
    wait_for_ack,
    wait_for_connect,
    loop_until_connected,
    wait_for_disconnect,
    wait_for_shutdown,
    loop_forever,
    loop_once,
    publish,
    leave,
]


@pytest.mark.parametrize("prepare", WAITS)
def test_a_wait_is_ended_by_a_thread_that_runs_python_meanwhile(
    server: Server, prepare: Callable[[Waiting], Callable[[], object]]
) -> None:
    waiting = Waiting(server)
    with waiting.peer.stream:
        wait = prepare(waiting)
        wait()
        waiting.client.shutdown()


class Counting:
    """An engine that counts how often it is asked for events."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.polls = 0

    def poll(self, timeout: float | None, most: int) -> list[tuple[Any, ...]]:
        self.polls += 1
        return self.engine.poll(timeout, most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("is_late", [False, True], ids=["as they come", "when all are there"])
def test_callbacks_are_called_in_batches(broker: Broker, qos: int, is_late: bool) -> None:
    count = 10_000
    inbox = Inbox()
    reader = Client()
    counting = Counting(reader._engine)
    reader._engine = cast("Engine", counting)
    reader.connect(broker.url)
    reader.subscribe("a", inbox).wait_for_ack(SOON)
    if not is_late:
        reader.start_loop()
    with Client() as writer:
        writer.connect(broker.url)
        writer.wait_for_connect(SOON)
        for number in range(count):
            handle = writer.publish("a", str(number), qos=max(qos, 1))
        handle.wait_for_ack(SOON)
    if is_late:
        reader.start_loop()
    assert inbox.payloads(count) == [str(number).encode() for number in range(count)]
    assert counting.polls < count / 10
    reader.shutdown()
    reader.wait_for_shutdown(SOON)


def test_a_callback_may_end_its_connection_and_wait_for_that(client: Client) -> None:
    seen: Queue[object] = Queue()

    def leave(own: Client, _: MQTTPublishPacket) -> None:
        own.disconnect()
        try:
            own.wait_for_disconnect(SOON)
            seen.put(own.is_connected())
        except Exception as error:
            seen.put(error)

    client.subscribe("a", leave).wait_for_ack(SOON)
    client.publish("a", b"", qos=1)
    assert seen.get(timeout=SOON) is False


def test_a_callback_may_connect_again_and_go_on(broker: Broker, client: Client) -> None:
    seen: Queue[object] = Queue()
    inbox = Inbox()

    def again(own: Client, error: Exception | None) -> None:
        try:
            if error is None and seen.empty():
                own.wait_for_disconnect(SOON)
                own.connect(broker.url)
                own.wait_for_connect(SOON)
                seen.put(own.publish("b", b"back", qos=2).wait_for_ack(SOON))
        except Exception as raised:
            seen.put(raised)

    client.subscribe("b", inbox).wait_for_ack(SOON)
    client.on_disconnect = again
    client.disconnect()
    assert inbox.next().payload == b"back"
    assert not isinstance(seen.get(timeout=SOON), Exception)


@pytest.mark.parametrize("leave", [Client.shutdown, lambda client: client.__exit__(None, None, None)])
def test_a_callback_may_end_its_client(client: Client, leave: Callable[[Client], None]) -> None:
    done = threading.Event()

    def end(own: Client, _: MQTTPublishPacket) -> None:
        leave(own)
        own.wait_for_shutdown(SOON)
        done.set()

    client.subscribe("a", end).wait_for_ack(SOON)
    client.publish("a", b"", qos=1)
    assert done.wait(SOON)
    client.wait_for_shutdown(SOON)


def test_a_callback_may_publish_more_than_there_is_room_for(client: Client) -> None:
    megabyte = bytes(1_000_000)
    done: Queue[object] = Queue()

    def flood(own: Client, _: MQTTPublishPacket) -> None:
        try:
            handles = [own.publish("b", megabyte, qos=1) for _ in range(100)]
            done.put([handle.wait_for_ack(SOON).reason_code.is_error() for handle in handles])
        except Exception as error:
            done.put(error)

    client.subscribe("a", flood).wait_for_ack(SOON)
    client.publish("a", b"", qos=1)
    assert done.get(timeout=2 * SOON) == [False] * 100


def test_a_callback_may_take_another_ones_place(client: Client) -> None:
    inbox = Inbox()

    def first(own: Client, packet: MQTTPublishPacket) -> None:
        inbox(own, packet)
        own.subscribe("a", inbox).wait_for_ack(SOON)
        own.publish("a", b"second", qos=1)

    client.subscribe("a", first).wait_for_ack(SOON)
    client.publish("a", b"first", qos=1)
    assert inbox.payloads(2) == [b"first", b"second"]
    assert inbox.packets.empty()


class Stop(BaseException):
    """What no `except Exception` stops."""


def test_what_stops_the_loop_in_a_callback_stops_it_for_one_message_only(broker: Broker) -> None:
    seen: list[bytes] = []

    def stop(_: Client, packet: MQTTPublishPacket) -> None:
        seen.append(packet.payload)
        if packet.payload == b"1":
            raise Stop

    client = Client()
    client.connect(broker.url)
    client.subscribe("a", stop).wait_for_ack(SOON)
    handles = [client.publish("a", str(number), qos=1) for number in range(4)]
    for handle in handles:
        handle.wait_for_ack(SOON)
    with pytest.raises(Stop):
        client.loop_forever()
    assert seen == [b"0", b"1"]

    def rest() -> bool:
        client.loop_once(0.1)
        return len(seen) == 4

    until(rest)
    assert seen == [b"0", b"1", b"2", b"3"]
    client.shutdown()
    client.wait_for_shutdown(SOON)


def test_other_callbacks_that_fail_are_logged(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no good")

    client.on_disconnect = fail
    with caplog.at_level(logging.ERROR, "ohmqtt"):
        client.disconnect()
        client.wait_for_disconnect(SOON)
        until(lambda: bool(caplog.records))
    assert [record.name for record in caplog.records] == ["ohmqtt.client"]
    assert "no good" in str(caplog.records[0].exc_text)


def test_two_clients_in_two_threads_talk_to_each_other(broker: Broker) -> None:
    rounds = 1_000
    done = threading.Event()

    def ping(own: Client, packet: MQTTPublishPacket) -> None:
        number = int(packet.payload)
        if number == rounds:
            done.set()
        else:
            own.publish("pong", str(number + 1), qos=number % 3)

    def pong(own: Client, packet: MQTTPublishPacket) -> None:
        own.publish("ping", packet.payload, qos=int(packet.payload) % 3)

    with Client() as one, Client() as other:
        for client, topic, callback in ((one, "ping", ping), (other, "pong", pong)):
            client.connect(broker.url)
            client.subscribe(topic, callback).wait_for_ack(SOON)
        one.publish("ping", b"0", qos=1)
        assert done.wait(2 * SOON)


def test_many_threads_publish_by_one_client_each_in_order(broker: Broker, client: Client) -> None:
    threads, count = 8, 500
    inbox = Inbox()

    def publish(thread: int) -> bool:
        handles = [client.publish(f"a/{thread}", str(number), qos=1 + number % 2) for number in range(count)]
        return all(handle.wait_for_ack(SOON) for handle in handles)

    with Client() as reader:
        reader.connect(broker.url)
        reader.subscribe("a/+", inbox, max_qos=1).wait_for_ack(SOON)
        with ThreadPoolExecutor(threads) as pool:
            assert all(pool.map(publish, range(threads)))
        packets = [inbox.next() for _ in range(threads * count)]
    for thread in range(threads):
        for qos in (1, 2):
            # Each QoS of each thread's, as the deliveries of one may overtake those of the other.
            own = [int(packet.payload) for packet in packets if packet.topic == f"a/{thread}"]
            own = [number for number in own if 1 + number % 2 == qos]
            assert own == list(range(qos - 1, count, 2))


def test_many_threads_wait_for_the_same_acknowledgements(server: Server) -> None:
    waiting = Waiting(server)
    threads = 16
    with waiting.peer.stream, waiting.client as client:
        waiting.begin()
        handles = [client.publish("a", b"", qos=1), client.publish("a", b"", qos=1)]
        ready = threading.Barrier(threads + 1)

        def wait(_: int) -> list[object]:
            ready.wait(SOON)
            codes = [handle.wait_for_ack(SOON).reason_code for handle in handles]
            return [*codes, *(handle.ack for handle in handles)]

        with ThreadPoolExecutor(threads) as pool:
            waits = pool.map(wait, range(threads))
            ready.wait(SOON)
            waiting.acknowledge()
            waiting.acknowledge()
            told = list(waits)
        codes = [MQTTReasonCode.Success] * 2
        assert told == [[*codes, *(handle.ack for handle in handles)]] * threads
        client.shutdown()


def test_requests_are_answered_though_nobody_runs_the_loop(broker: Broker) -> None:
    client = Client()
    client.connect(broker.url)
    client.wait_for_connect(SOON)
    assert client.subscribe("a", Inbox()).wait_for_ack(SOON).reason_codes == [MQTTReasonCode.GrantedQoS2]
    for qos in (1, 2):
        assert not client.publish("a", b"", qos=qos).wait_for_ack(SOON).reason_code.is_error()
    left = client.unsubscribe("a")
    assert left is not None
    assert left.wait_for_ack(SOON).reason_codes == [MQTTReasonCode.Success]
    client.disconnect()
    client.wait_for_disconnect(SOON)
    client.shutdown()
    client.wait_for_shutdown(SOON)


def test_one_of_many_threads_starts_the_loop() -> None:
    own = Client()

    def start(_: int) -> bool:
        try:
            own.start_loop()
        except RuntimeError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(8))) == 1
    own.shutdown()
    own.wait_for_shutdown(SOON)


def test_threads_that_use_a_client_while_it_is_ended_are_told(broker: Broker) -> None:
    client = Client()
    client.start_loop()
    client.connect(broker.url)
    client.wait_for_connect(SOON)
    begun = threading.Barrier(9)

    def use(thread: int) -> str:
        begun.wait(SOON)
        while True:
            try:
                if thread % 2:
                    client.publish("a", b"x", qos=1).wait_for_ack(SOON)
                else:
                    client.subscribe(f"a/{thread}", Inbox()).wait_for_ack(SOON)
                    client.unsubscribe(f"a/{thread}")
            except RuntimeError as error:
                return str(error)

    with ThreadPoolExecutor(8) as pool:
        told = pool.map(use, range(8))
        begun.wait(SOON)
        client.shutdown()
        for text in told:
            assert "client" in text
    client.wait_for_shutdown(SOON)


def test_threads_that_connect_and_disconnect_at_once_do_not_hang(broker: Broker) -> None:
    with Client() as client:

        def connect_and_disconnect(_: int) -> None:
            for _ in range(50):
                with suppress(InvalidStateError):
                    client.connect(broker.url)
                client.disconnect()

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(connect_and_disconnect, range(4)))
        client.wait_for_disconnect(SOON)
        client.connect(broker.url)
        client.wait_for_connect(SOON)
        client.publish("a", b"", qos=1).wait_for_ack(SOON)


def test_a_subscription_that_is_ended_before_its_answer_says_so(server: Server) -> None:
    waiting = Waiting(server)
    with waiting.peer.stream:
        waiting.begin()
        handle = waiting.client.subscribe("a", Inbox())
        assert handle.unsubscribe() is not None
        with pytest.raises(RuntimeError, match="before the server had answered"):
            handle.wait_for_ack(SOON)
        waiting.client.shutdown()
