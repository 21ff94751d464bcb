"""What a client does when nothing goes wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress

import anyio
import pytest

from aioclients import bounded, eventually
from ohmqtt import MQTTError
from ohmqtt.aio import (
    Acknowledgement,
    Client,
    Connected,
    Disconnected,
    Message,
    NotAcknowledged,
    Publication,
    PublishOptions,
)
from ohmqtt.broker import Broker
from ohmqtt.codec import (
    DisconnectPacket,
    DisconnectReasonCode,
    PubAckReasonCode,
    QoS,
    SubAckReasonCode,
    TopicFilter,
    Will,
)

pytestmark = pytest.mark.anyio

FULL: PublishOptions = {
    "retain": True,
    "payload_format_indicator": 1,
    "message_expiry_interval": 60,
    "content_type": "text/plain",
    "response_topic": "answers",
    "correlation_data": b"\x00\x01",
    "user_properties": (("a", "1"), ("a", "2")),
}

HOW: PublishOptions = {**FULL, "qos": 1, "alias": "try", "deadline": 30, "keep_offline": True}


@pytest.fixture
def url() -> Iterator[str]:
    with Broker() as broker:
        yield broker.url


@bounded
async def test_a_message_arrives_and_is_acknowledged(url: str) -> None:
    async with Client(url) as client, client.subscribe("greetings/#") as messages:
        for qos in QoS:
            publication = await client.publish("greetings/all", "hello", qos=qos)
            message = await anext(messages)
            assert (message.topic, message.payload, message.text, message.qos) == (
                "greetings/all",
                b"hello",
                "hello",
                qos,
            )
            # As often as one likes.
            for _ in range(2):
                acknowledgement = await publication
                assert acknowledgement.reason_code is PubAckReasonCode.SUCCESS
                assert not acknowledgement.is_error
            await publication.sent()
            assert publication.done
    assert client.state.name == "closed"


@bounded
async def test_all_that_a_message_has_arrives(url: str) -> None:
    async with Client(url) as client, client.subscribe("a", retain_as_published=True) as messages:
        await client.publish("a", bytearray(b"x"), **HOW)
        message = await anext(messages)
        for name, value in FULL.items():
            assert getattr(message, name) == value, name
        assert (message.payload, message.subscription_ids) == (b"x", ())
        assert repr(message) == "Message('a', b'x', qos=QoS.AT_LEAST_ONCE, retain=True)"
        match message:
            case Message(topic, payload):
                assert (topic, payload) == ("a", b"x")
        await client.publish("a", b"\xff")
        with pytest.raises(UnicodeDecodeError):
            _ = (await anext(messages)).text


@bounded
async def test_an_acknowledgement_says_what_the_server_said(url: str) -> None:
    async with Client(url) as client:
        acknowledgement = await (await client.publish("nobody/there", qos=1))
        assert isinstance(acknowledgement, Acknowledgement)
        assert acknowledgement.reason_code is PubAckReasonCode.NO_MATCHING_SUBSCRIBERS
        assert (acknowledgement.is_error, acknowledgement.reason_str, acknowledgement.user_properties) == (
            False,
            None,
            (),
        )
        assert repr(acknowledgement) == "Acknowledgement(reason_code=PubAckReasonCode.NO_MATCHING_SUBSCRIBERS)"


@bounded
async def test_filters_have_options_of_their_own(url: str) -> None:
    async with Client(url, client_id="one") as client:
        filters = ("a", TopicFilter("b", max_qos=0), "$share/group/c")
        async with client.subscribe(*filters, qos=1, user_properties=[("a", "b")], capacity=5) as messages:
            granted = (SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE, SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE)
            assert messages.granted == (*granted, SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE)
            for topic in "abc":
                await client.publish(topic, qos=2)
            assert [(await anext(messages)).qos for _ in range(3)] == [1, 0, 1]
            assert messages.dropped == 0


@bounded
async def test_a_subscription_ends_with_its_block(url: str) -> None:
    async with Client(url) as client:
        async with client.subscribe("a", no_local=True) as messages:
            await (await client.publish("a", qos=1))
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        acknowledgement = await (await client.publish("a", qos=1))
        assert acknowledgement.reason_code is PubAckReasonCode.NO_MATCHING_SUBSCRIBERS
        assert client.metrics().received == 0


@bounded
async def test_iterating_ends_with_the_client(url: str) -> None:
    async with Client(url) as client, client.subscribe("a") as messages, anyio.create_task_group() as tasks:
        got = []

        async def read() -> None:
            async for message in messages:
                got.append(message.payload)

        tasks.start_soon(read)
        for number in range(10):
            await client.publish("a", str(number), qos=1)
        await eventually(lambda: len(got) == 10)
        left = await client.close()
        assert left == (0, 0)
    assert got == [b"%d" % number for number in range(10)]


@bounded
async def test_several_readers_share_a_subscription(url: str) -> None:
    async with Client(url) as client, client.subscribe("a") as messages:
        got: list[bytes] = []

        async def read() -> None:
            while len(got) < 100:
                got.append((await anext(messages)).payload)
                await anyio.sleep(0)

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(read)
            for number in range(100):
                await client.publish("a", b"%d" % number, qos=1)
            await eventually(lambda: len(got) == 100)
            tasks.cancel_scope.cancel()
        assert sorted(got, key=int) == [b"%d" % number for number in range(100)]


@bounded
async def test_what_is_not_acknowledged_by_hand_comes_again(url: str) -> None:
    async with Client(url) as other:
        async with Client(url, client_id="manual", session_expiry=60) as client:
            events = client.events()
            async with client.subscribe("a", manual_ack=True) as messages:
                publications = [await other.publish("a", b"%d" % number, qos=1) for number in range(3)]
                first, second, third = [await anext(messages) for _ in range(3)]
                first.ack()
                first.ack()
                second.reject(0x99)
                del third
                while not isinstance(event := await anext(events), NotAcknowledged):
                    pass
                assert (event.topic, event.qos) == ("a", 1)
                assert "comes again" in str(event)
                await eventually(lambda: client.metrics().abandoned == 1)
                for publication in publications:
                    await publication
        again = Client(url, client_id="manual", clean_start=False)
        async with again, again.subscribe("a", manual_ack=True) as messages:
            message = await anext(messages)
            assert message.payload == b"2"
            message.ack()


@bounded
async def test_a_request_is_answered(url: str) -> None:
    async with Client(url) as service, Client(url) as client, anyio.create_task_group() as tasks:

        async def serve() -> None:
            async with service.subscribe("upper") as requests:
                async for request in requests:
                    publication = await request.reply(request.text.upper(), content_type="text/plain")
                    assert isinstance(publication, Publication)

        tasks.start_soon(serve)
        while True:
            # The service may not have subscribed yet.
            with suppress(MQTTError):
                answer = await client.request("upper", "a", timeout=30)
                break
        assert (answer.payload, answer.content_type, answer.qos) == (b"A", "text/plain", 1)
        answers: dict[str, str] = {}

        async def ask(word: str) -> None:
            answers[word] = (await client.request("upper", word, timeout=math.inf, qos=2)).text

        async with anyio.create_task_group() as askers:
            for number in range(50):
                askers.start_soon(ask, f"word {number}")
        assert answers == {f"word {number}": f"WORD {number}" for number in range(50)}
        tasks.cancel_scope.cancel()


@bounded
async def test_what_nobody_claims_can_be_had(url: str) -> None:
    first = Client(url, client_id="unclaimed", session_expiry=60)
    async with first, first.subscribe("a", manual_ack=True):
        await first.close(disconnect=DisconnectPacket())
    async with Client(url) as other:
        await (await other.publish("a", "kept", qos=1))
    async with Client(url, client_id="unclaimed", clean_start=False) as client:
        assert client.state.session_present
        message = await anext(client.unclaimed())
        assert message.payload == b"kept"


@bounded
async def test_events_and_state_tell_of_the_connection(own_url: str) -> None:
    with Broker(own_url) as broker:
        async with Client(broker.url, backoff=(0.05, 0.1)) as client:
            assert tuple(client.state) == ("connected", 0, False, None)
            events = client.events()
            broker.stop()
            event = await anext(events)
            assert isinstance(event, Disconnected)
            assert isinstance(event.error, Exception)
            assert event.retry_in is not None
            assert str(event).startswith("disconnected: ")
            assert client.state.name == "connecting"
            assert not client.health().is_flowing
            broker.start()
            while not isinstance(event := await anext(events), Connected):
                pass
            assert (event.session_present, event.connack.reason_code) == (False, 0)
            assert re.fullmatch(r"mqtt://127\.0\.0\.1:\d+", event.address)
            await client.connected()
            assert str(client.health()) == "all flows"
            assert client.metrics().connections == 2
        assert [type(event).__name__ async for event in events] == ["SessionLost", "Closed"]


@bounded
async def test_metrics_count(url: str) -> None:
    async with Client(url) as client, client.subscribe("a") as messages:
        for _ in range(5):
            await (await client.publish("a", qos=1))
            await anext(messages)
        metrics = client.metrics()
        assert (metrics.accepted, metrics.delivered, metrics.received) == (5, 5, 5)
        assert (metrics.queued_messages, metrics.in_flight, metrics.dropped, metrics.lost) == (0, 0, 0, 0)


@bounded
async def test_the_server_names_a_client_without_a_name(url: str) -> None:
    async with Client(url) as client:
        assert client.client_id
        assert repr(client) == "<Client, connected>"
    async with Client(url, client_id="mine") as client:
        assert client.client_id == "mine"


@bounded
async def test_a_will_is_published_when_the_last_word_says_so(url: str) -> None:
    will = Will("status", payload=b"gone", qos=1)
    async with Client(url) as other, other.subscribe("status") as messages:
        async with Client(url, will=will):
            pass
        async with Client(url, will=will) as client:
            last_word = DisconnectPacket(reason_code=DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE)
            await client.close(5, disconnect=last_word)
        message = await anext(messages)
        assert (message.topic, message.payload) == ("status", b"gone")
        assert other.metrics().received == 1


@bounded
async def test_leaving_delivers_what_is_there(url: str) -> None:
    async with Client(url) as other, other.subscribe("a") as messages:
        async with Client(url) as client:
            for number in range(500):
                client.publish_nowait("a", b"%d" % number, qos=number % 3)
        got = [int((await anext(messages)).payload) for _ in range(500)]
        assert got == list(range(500))


@bounded
async def test_a_client_may_begin_without_a_connection(own_url: str) -> None:
    with Broker(own_url) as broker:
        url = broker.url
        broker.stop()
        async with Client(url, wait=False, backoff=(0.05, 0.1)) as client:
            assert client.state.name == "connecting"
            publication = await client.publish("a", "kept", qos=1)
            kept = await client.publish("a", "kept, too", keep_offline=True)
            assert not publication.done
            broker.start()
            await client.connected()
            assert not (await publication).is_error
            await kept
