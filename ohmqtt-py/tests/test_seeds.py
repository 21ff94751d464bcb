"""The programs of ohmqtt's README, as they were written for the package this one takes the place of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import SOON, Inbox
from ohmqtt import Client
from ohmqtt.broker import Broker

ALIAS_MAXIMUM = """
from ohmqtt.client import Client
from ohmqtt.property import MQTTConnectProps

# The maximum value for TopicAliasMaximum is 65535.
# It must be >0 for the broker to use topic aliases when sending messages to the client.
connect_props = MQTTConnectProps(TopicAliasMaximum=0xffff)
with Client() as client:
    client.connect(address, connect_properties=connect_props)
"""

ALIAS_POLICY = """
from ohmqtt.topic_alias import AliasPolicy

client.publish("some/topic", b"the payload", alias_policy=AliasPolicy.TRY)
"""

MAX_QOS = """
client.subscribe("some/topic", callback, max_qos=0)
"""

PERSISTENCE = """
from ohmqtt.client import Client
from ohmqtt.property import MQTTConnectProps

# Set SessionExpiryInterval=UINT_MAX to indicate that the session should never expire.
# Otherwise the interval is in seconds and must be >0 to persist the session.
connect_props = MQTTConnectProps(SessionExpiryInterval=0xffffffff)
with Client(db_path="/path/to/ohmqtt.db") as client:
    client.connect(address, client_id="my_client_id", connect_properties=connect_props)
"""

FAST_PERSISTENCE = """
from ohmqtt.client import Client
from ohmqtt.property import MQTTConnectProps

connect_props = MQTTConnectProps(SessionExpiryInterval=0xffffffff)
with Client(db_path="/path/to/ohmqtt.db", db_fast=True) as client:
    client.connect(address, client_id="my_client_id", connect_properties=connect_props)
"""


@pytest.fixture
def address() -> Iterator[str]:
    with Broker() as broker:
        yield broker.url


def run(program: str, names: dict[str, Any], db_path: Path) -> dict[str, Any]:
    exec(program.replace("/path/to/ohmqtt.db", str(db_path)), names)
    return names


@pytest.mark.parametrize("program", [ALIAS_MAXIMUM, PERSISTENCE, FAST_PERSISTENCE])
def test_a_program_runs_as_it_is_written(program: str, address: str, tmp_path: Path) -> None:
    names = run(program, {"address": address}, tmp_path / "ohmqtt.db")
    assert not names["client"].is_connected()
    # And with the lines that a reader puts inside the block.
    names = run(
        program + "    client.wait_for_connect(30.0)\n    seen = client.connack\n", names, tmp_path / "ohmqtt.db"
    )
    assert names["seen"] is not None


def test_the_lines_for_low_bandwidth_run_as_they_are_written(address: str, tmp_path: Path) -> None:
    inbox = Inbox()
    with Client() as client:
        names = {"client": client, "callback": inbox}
        client.connect(address)
        client.wait_for_connect(SOON)
        run(MAX_QOS, names, tmp_path)
        client.unsubscribe("none")
        client.subscribe("other", inbox).wait_for_ack(SOON)
        run(ALIAS_POLICY, names, tmp_path)
        run(ALIAS_POLICY, names, tmp_path)
        client.publish("some/topic", b"q", qos=2)
        assert inbox.payloads(2) == [b"the payload"] * 2
        assert inbox.next().qos == 0


def test_the_rpc_server_of_the_examples_answers_from_its_callback(address: str) -> None:
    from ohmqtt import MQTTPublishPacket, MQTTPublishProps

    def serve(client: Client, packet: MQTTPublishPacket) -> None:
        topic = packet.properties.ResponseTopic
        assert topic is not None
        properties = MQTTPublishProps(CorrelationData=packet.properties.CorrelationData)
        client.publish(topic, b"hello " + packet.payload, qos=2, properties=properties)

    answers = Inbox()
    with Client() as server, Client() as caller:
        for client in (server, caller):
            client.connect(address)
            client.wait_for_connect(timeout=SOON)
        server.subscribe("rpc/request", serve, 2).wait_for_ack(SOON)
        for number in range(10):
            topic = f"rpc/response/{number}"
            caller.subscribe(topic, answers, 2)
            properties = MQTTPublishProps(ResponseTopic=topic, CorrelationData=bytes([number]))
            caller.publish("rpc/request", str(number).encode(), qos=2, properties=properties)
            answer = answers.next()
            assert (answer.topic, answer.payload) == (topic, f"hello {number}".encode())
            assert answer.properties.CorrelationData == bytes([number])
            assert caller.unsubscribe(topic) is not None
