"""Ctrl-C ends every wait of the client's at once, in programs of their own, and harms nothing that was given to it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients import SOON
from ohmqtt.broker import Broker
from programs import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")

USE = f"""
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore", ResourceWarning)
sys.path.insert(0, {str(Path(__file__).parent)!r})
from clients import Server
from ohmqtt import Client, MQTTConnAckPacket

class Interrupt:
    # It interrupts what its block waits for, which nothing else ends before this program is ended.

    def __init__(self, begun=None):
        self.begun = begun

    def __enter__(self):
        threading.Thread(target=self.send, daemon=True).start()

    def send(self):
        if self.begun is not None:
            assert self.begun.wait({SOON})
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    def __exit__(self, kind, error, trace):
        assert kind is KeyboardInterrupt, kind
        return True

def connected(**options):
    client = Client()
    client.connect(server.url, **options)
    peer, _ = server.accept(MQTTConnAckPacket())
    client.wait_for_connect(30.0)
    return client, peer

server = Server()
"""


@pytest.mark.parametrize(
    "wait",
    [
        'client.publish("a", b"", qos=2).wait_for_ack()',
        'client.publish("a", b"", qos=2).wait_for_ack(600.0)',
        'client.subscribe("a", print).wait_for_ack()',
        'client.subscribe("a", print).unsubscribe().wait_for_ack()',
        "client.wait_for_disconnect()",
        "client.wait_for_shutdown()",
        "[client.loop_once(600.0) for _ in range(9)]",
        "client.loop_forever()",
        "[client.publish('a', bytes(1_000_000), qos=1) for _ in range(100)]",
    ],
)
def test_a_wait_on_a_connection_is_ended(wait: str) -> None:
    program = f"""
client, peer = connected()
with Interrupt():
    {wait}
assert client.is_connected()
client.shutdown()
client.wait_for_shutdown(30.0)
print("end")
"""
    assert run(USE + program) == "end\n"


@pytest.mark.parametrize(
    "wait", ["client.wait_for_connect()", "client.wait_for_connect(600.0)", "client.loop_until_connected()"]
)
def test_a_wait_for_a_connection_is_ended_and_the_attempt_goes_on(wait: str) -> None:
    program = f"""
client = Client()
client.connect(server.url)
peer, _ = server.accept(None)
with Interrupt():
    {wait}
peer.send(MQTTConnAckPacket())
client.wait_for_connect(30.0)
print("end")
"""
    assert run(USE + program) == "end\n"


def test_waiting_for_the_next_attempt_is_ended() -> None:
    program = """
client, peer = connected(reconnect_delay=3600)
server.listener.close()
peer.stream.close()
client.wait_for_disconnect(30.0)
with Interrupt():
    client.loop_until_connected()
with Interrupt():
    client.wait_for_connect()
print("end")
"""
    assert run(USE + program) == "end\n"


def test_leaving_the_block_is_ended() -> None:
    program = """
import ohmqtt.client

ohmqtt.client.LINGER = 600.0
client, peer = connected()
with Interrupt():
    with client:
        # Nobody acknowledges it.
        client.publish("a", b"", qos=1)
print("end")
"""
    assert run(USE + program) == "end\n"


def test_an_interrupt_within_the_block_is_raised_from_it() -> None:
    program = """
client = Client()
client.connect(sys.argv[1])
client.wait_for_connect(30.0)
with Interrupt():
    with client:
        client.publish("a", b"", qos=1)
        client.wait_for_disconnect()
# It was left as ever.
client.wait_for_shutdown(0.0)
print("end")
"""
    with Broker() as broker:
        assert run(USE + program, broker.url) == "end\n"
        assert broker.metrics().published == 1


def test_a_wait_in_a_callback_is_ended() -> None:
    program = """
from ohmqtt.broker import Broker

waits = []
begun = threading.Event()

def wait(own, packet):
    waits.append(packet.payload)
    if packet.payload == b"0":
        begun.set()
        own.wait_for_disconnect()

with Broker() as broker:
    client = Client()
    client.connect(broker.url)
    client.subscribe("a", wait).wait_for_ack(30.0)
    for number in range(3):
        client.publish("a", str(number), qos=1)
    with Interrupt(begun):
        client.loop_forever()
    # What came behind it is called back with as ever.
    while len(waits) < 3:
        client.loop_once(30.0)
    assert waits == [b"0", b"1", b"2"]
print("end")
"""
    assert run(USE + program) == "end\n"


@pytest.mark.parametrize("db_fast", [False, True])
def test_a_publish_that_waits_for_the_disk_is_ended_and_its_message_kept(tmp_path: Path, db_fast: bool) -> None:
    """The client that had it delivers it, and so does the next that opens the database."""
    program = f"""
from ohmqtt import MQTTConnectProps, MQTTPublishPacket

large = bytes(20_000_000)
client = Client(sys.argv[1], db_fast={db_fast})
began = None
count, interrupted = 0, False

def interrupt(*_):
    # By then it is in the midst of it.
    if began is not None and time.monotonic() - began > 0.005:
        raise KeyboardInterrupt

def interrupt_often():
    while not interrupted:
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, interrupt)
threading.Thread(target=interrupt_often, daemon=True).start()
while not interrupted:
    count += 1
    assert count < 40, "never interrupted"
    try:
        began = time.monotonic()
        client.publish("a/%d" % count, large, qos=1)
        began = None
    except KeyboardInterrupt:
        began = None
        interrupted = True
# The store is behind, and takes this when it can.
client.publish("a/%d" % (count + 1), large, qos=1)
count += 1
server.listener.settimeout(60.0)
for is_next in (False, True):
    client.connect(server.url, client_id="me", connect_properties=MQTTConnectProps(SessionExpiryInterval=600))
    peer, _ = server.accept(MQTTConnAckPacket(session_present=is_next))
    peer.stream.settimeout(60.0)
    topics = []
    for _ in range(count):
        packet = peer.receive()
        assert isinstance(packet, MQTTPublishPacket)
        assert packet.payload == large
        topics.append(packet.topic)
    assert topics == ["a/%d" % (number + 1) for number in range(count)], topics
    client.shutdown()
    client.wait_for_shutdown(60.0)
    del client
    client = Client(sys.argv[1], db_fast={db_fast})
print("end")
"""
    assert run(USE + program, str(tmp_path / "ohmqtt.db"), timeout=6 * SOON) == "end\n"


def test_ctrl_c_at_the_terminal_ends_a_program_as_ever() -> None:
    """The signal comes to the whole program, which says nothing but where it was."""
    program = """
import sys
from ohmqtt import Client

with Client() as client:
    client.connect(sys.argv[1])
    client.wait_for_connect(30.0)
    print("begin", flush=True)
    client.wait_for_disconnect()
"""
    with Broker() as broker:
        command = [sys.executable, "-X", "dev", "-c", program, broker.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begin\n"
            process.send_signal(signal.SIGINT)
            rest, complaints = process.communicate(timeout=SOON)
    assert rest == ""
    assert complaints.splitlines()[-1] == "KeyboardInterrupt"
    assert complaints.count("Traceback") == 1
    assert process.returncode == -signal.SIGINT
