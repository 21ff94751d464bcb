"""The life of a client's process: its end, forks, Ctrl-C, memory, and what is imported."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from clients import SOON, Inbox
from ohmqtt import Client, MQTTConnectProps
from ohmqtt.broker import Broker
from ohmqtt.codec import DisconnectPacket, UnsubscribePacket
from programs import check_growth


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def run(program: str, *arguments: str) -> str:
    """Run a program that is to end well and without a word of complaint, for what it prints."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=2 * SOON,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_interpreter_ends_with_clients_that_live(broker: Broker) -> None:
    program = """
import sys
from ohmqtt import Client

clients = [Client() for _ in range(3)]
for client in clients[:2]:
    client.start_loop()
    client.connect(sys.argv[1], reconnect_delay=1)
    client.wait_for_connect(30.0)
    client.subscribe("a", lambda client, packet: client.publish("b", packet.payload, qos=1))
    client.publish("a", b"x", qos=2).wait_for_ack(30.0)
clients[2].connect(sys.argv[1])
print("end")
"""
    assert run(program, broker.url) == "end\n"


def test_a_forked_child_is_refused(broker: Broker) -> None:
    program = """
import os, sys
from ohmqtt import Client

with Client() as client:
    client.connect(sys.argv[1])
    client.wait_for_connect(30.0)
    child = os.fork()
    if child == 0:
        for call in (Client, lambda: client.publish("a", b""), lambda: client.wait_for_disconnect(1.0)):
            try:
                call()
            except RuntimeError as error:
                assert "fork" in str(error)
            else:
                os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    client.publish("a", b"parent", qos=1).wait_for_ack(30.0)
print("end")
"""
    assert run(program, broker.url) == "end\n"


@pytest.mark.parametrize(
    "wait",
    [
        'client.publish("a", b"", qos=1).wait_for_ack()',
        "client.wait_for_shutdown()",
        "client.loop_forever()",
        "client.loop_once(None)",
    ],
)
def test_ctrl_c_ends_a_wait(wait: str) -> None:
    program = f"""
from ohmqtt import Client

client = Client()
print("begin", flush=True)
try:
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=SOON)
    assert (rest, complaints) in {("interrupted\n", ""), ("", complaints)}
    assert "KeyboardInterrupt" in complaints or rest


def test_what_is_not_used_is_not_imported() -> None:
    program = """
import sys
import ohmqtt
assert "ohmqtt._native" not in sys.modules
from ohmqtt import Client
client = Client()
client.publish("a", b"", qos=1)
print(sorted({"asyncio", "trio", "ssl", "sqlite3"} & set(sys.modules)))
"""
    assert run(program) == "[]\n"


def test_a_client_that_nobody_holds_is_gone(broker: Broker) -> None:
    client = Client()
    client.connect(broker.url)
    client.wait_for_connect(SOON)
    gone = weakref.ref(client)
    inbox = Inbox()
    handle = client.subscribe("a", inbox)
    handle.wait_for_ack(SOON)
    del client
    gc.collect()
    assert gone() is None
    assert handle.unsubscribe() is None


def test_a_client_that_is_forgotten_leaves_its_session_as_it_is(broker: Broker) -> None:
    faults = broker.faults()
    client = Client()
    client.connect(broker.url, client_id="me", connect_properties=MQTTConnectProps(SessionExpiryInterval=60))
    for number in range(3):
        client.subscribe(f"a/{number}", Inbox()).wait_for_ack(SOON)
    del client
    faults.wait_for("me", lambda packet: isinstance(packet, DisconnectPacket), SOON)
    assert not any(isinstance(packet, UnsubscribePacket) for packet in faults.sent_by("me"))


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of the process")
def test_messages_and_handles_leave_nothing_behind(broker: Broker) -> None:
    inbox = Inbox()

    def round_trip(count: int) -> None:
        for _ in range(count // 500):
            handles = [client.publish("a", b"x" * 100, qos=1) for _ in range(500)]
            inbox.payloads(500)
            handles[-1].wait_for_ack(SOON)

    with Client() as client:
        client.connect(broker.url)
        client.subscribe("a", inbox).wait_for_ack(SOON)
        check_growth(lambda: round_trip(10_000), 8 * 1024 * 1024)
