"""What a client keeps through broken connections, restarts of the broker, and its own end."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from aioclients import bounded, eventually
from ohmqtt import StoreError
from ohmqtt.aio import Client
from ohmqtt.broker import Broker
from ohmqtt.codec import PubAckReasonCode

pytestmark = pytest.mark.anyio

QUICK = (0.02, 0.1)


@bounded
async def test_what_is_published_while_the_broker_is_away_arrives(own_url: str) -> None:
    with Broker(own_url) as broker:
        sender, receiver = Client(broker.url, backoff=QUICK), Client(broker.url, backoff=QUICK)
        got: set[str] = set()
        async with sender, receiver, receiver.subscribe("a/+") as messages, anyio.create_task_group() as tasks:

            async def read() -> None:
                # It goes on through all ends of the connection.
                async for message in messages:
                    got.add(message.text)

            tasks.start_soon(read)
            for turn in range(3):
                broker.stop()
                await eventually(lambda: sender.state.name == receiver.state.name == "connecting")
                # Retained: the sender may be the first to be back, and the broker has forgotten the subscription.
                texts = {f"{turn} {number}" for number in range(50)}
                publications = [
                    await sender.publish(f"a/{number}", text, qos=2, retain=True) for number, text in enumerate(texts)
                ]
                assert not got & texts
                broker.start()
                for publication in publications:
                    assert not (await publication).is_error
                await eventually(lambda texts=texts: got >= texts)  # type: ignore[misc]
            tasks.cancel_scope.cancel()
        assert sender.metrics().connections == 4


@bounded
async def test_a_broker_that_remembers_is_gone_on_with(tmp_path: Path, own_url: str) -> None:
    with Broker(own_url, store=tmp_path / "broker.redb") as broker:
        sender = Client(broker.url, backoff=QUICK, client_id="sender")
        receiver = Client(broker.url, backoff=QUICK, client_id="receiver")
        async with sender, receiver, receiver.subscribe("a") as messages:
            got: list[str] = []
            for turn in range(3):
                publications = [await sender.publish("a", f"{turn} {number}", qos=2) for number in range(100)]
                # It stops in the middle.
                got += [(await anext(messages)).text for _ in range(20)]
                broker.stop()
                await eventually(lambda: sender.state.name == receiver.state.name == "connecting")
                publications += [await sender.publish("a", f"{turn} {number}", qos=2) for number in range(100, 150)]
                broker.start()
                got += [(await anext(messages)).text for _ in range(130)]
                for publication in publications:
                    assert not (await publication).is_error
                assert receiver.state.session_present
            # Each once, and in order.
            assert got == [f"{turn} {number}" for turn in range(3) for number in range(150)]
            assert (sender.metrics().connections, receiver.metrics().connections) == (4, 4)


@bounded
async def test_a_broker_that_forgets_is_told_of_subscriptions_again(own_url: str) -> None:
    with Broker(own_url) as broker:
        async with Client(broker.url, backoff=QUICK) as client, client.subscribe("a") as messages:
            events = client.events()
            for turn in range(3):
                broker.stop()
                await client.publish("b", qos=1)
                broker.start()
                await client.connected()
                while True:
                    # Until it has been.
                    acknowledgement = await (await client.publish("a", f"{turn}", qos=1))
                    if acknowledgement.reason_code is PubAckReasonCode.SUCCESS:
                        break
                assert (await anext(messages)).text == f"{turn}"
            names: list[str] = []
            while names.count("Connected") < 3:
                names.append(type(await anext(events)).__name__)
            assert names[0] == "Disconnected"


@pytest.mark.parametrize("name", ["outbox.redb", "outbox.sqlite"])
@pytest.mark.parametrize("durability", ["safe", "fast"])
@bounded
async def test_what_is_in_a_store_survives_the_client(
    tmp_path: Path, closed_url: str, name: str, durability: str
) -> None:
    store = tmp_path / name
    options = {"client_id": "gateway", "store": store, "durability": durability, "backoff": QUICK}
    async with Client(closed_url, wait=False, close_timeout=0, **options) as client:  # type: ignore[arg-type]
        for number in range(19):
            await client.publish("a", b"%d" % number, qos=1)
        await client.publish_nowait("a", b"19", qos=1).accepted()
        assert client.metrics().queued_messages == 20
        assert (await client.close(0)).messages == 20
    # The file is free again when the client is closed, and when it could not connect.
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            async with Client(closed_url, **options):  # type: ignore[arg-type]
                pass
    with Broker() as broker:
        receiver = Client(broker.url)
        async with receiver, receiver.subscribe("a") as messages, Client(broker.url, **options) as client:  # type: ignore[arg-type]
            assert [int((await anext(messages)).payload) for _ in range(20)] == list(range(20))
            await eventually(lambda: client.metrics().queued_messages == 0)
            with pytest.raises(StoreError, match="in use"):
                async with Client(broker.url, **options):  # type: ignore[arg-type]
                    pass


@bounded
async def test_a_store_that_is_none(tmp_path: Path) -> None:
    store = tmp_path / "outbox.redb"
    store.write_bytes(b"something else" * 1000)
    with pytest.raises(StoreError, match="is not a store of ours"):
        async with Client("localhost", client_id="a", store=store):
            pass
