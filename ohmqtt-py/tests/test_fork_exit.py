"""A process with clients forks, and ends: a child is told so, the parent goes on, and nobody hangs or complains."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import Server
from ohmqtt.broker import Broker
from programs import run

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


IN_CHILD = """
import gc, multiprocessing, os, sys, threading, time
from ohmqtt import Client

def refused(call):
    try:
        call()
    except RuntimeError as error:
        assert "fork" in str(error), error
    else:
        raise AssertionError("not refused")

def status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

client = Client()
client.start_loop()
client.connect(sys.argv[1])
client.wait_for_connect(30.0)
handle = client.publish("a", b"x", qos=1)
subscription = client.subscribe("a", lambda client, packet: None)
subscription.wait_for_ack(30.0)
"""


@forks
def test_every_call_in_a_child_is_refused_at_once(broker: Broker) -> None:
    program = """
child = os.fork()
if child == 0:
    try:
        for call in (
            Client,
            lambda: client.publish("a", b"", qos=0),
            lambda: client.publish("a", b"", qos=1),
            lambda: client.subscribe("b", print),
            lambda: subscription.unsubscribe(),
            lambda: client.connect(sys.argv[1]),
            lambda: client.disconnect(),
            lambda: client.auth(),
            lambda: client.is_connected(),
            lambda: client.connack,
            lambda: client.disconnect_packet,
            lambda: client.wait_for_connect(),
            lambda: client.wait_for_disconnect(),
            lambda: client.wait_for_shutdown(),
            lambda: client.loop_once(),
            lambda: client.loop_once(None),
            lambda: client.loop_forever(),
            lambda: client.loop_until_connected(),
            lambda: handle.wait_for_ack(),
            lambda: handle.ack,
            lambda: handle.exc,
            lambda: handle.is_acked(),
        ):
            refused(call)
        # There is nothing to end.
        client.shutdown()
        os._exit(7)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    os._exit(1)
assert status(child) == 7
# The parent's are as they were.
handle.wait_for_ack(30.0)
client.publish("a", b"", qos=2).wait_for_ack(30.0)
client.shutdown()
client.wait_for_shutdown(30.0)
print("end")
"""
    assert run(IN_CHILD + program, broker.url) == "end\n"


@forks
@pytest.mark.parametrize("end", ["del client, handle, subscription; gc.collect(); os._exit(7)", "sys.exit(7)"])
def test_children_end_whatever_their_parent_was_at(broker: Broker, end: str) -> None:
    """What holds a lock in the parent at that moment, holds it in the child for ever."""
    program = f"""
def publish():
    kept = []
    while True:
        kept.append(client.publish("a", b"x" * 100, qos=1))
        if len(kept) == 1000:
            kept[-1].wait_for_ack(30.0)
            kept.clear()

threading.Thread(target=publish, daemon=True).start()
threading.Thread(target=publish, daemon=True).start()
children = []
for _ in range(40):
    handle = client.publish("a", b"y", qos=2)
    subscription = client.subscribe("b", print)
    child = os.fork()
    if child == 0:
        refused(Client)
        refused(lambda: handle.ack)
        {end}
    assert status(child) == 7
client.publish("a", b"", qos=2).wait_for_ack(30.0)
print("end")
"""
    assert run(IN_CHILD + program, broker.url, timeout=120.0) == "end\n"


@forks
def test_multiprocessing_by_fork_is_told_what_to_do(broker: Broker) -> None:
    program = """
def work(url):
    refused(lambda: client.publish("a", b"", qos=1))
    try:
        Client()
    except RuntimeError as error:
        assert "spawn" in str(error)
        sys.exit(7)

worker = multiprocessing.get_context("fork").Process(target=work, args=sys.argv[1:])
worker.start()
worker.join(30.0)
assert worker.exitcode == 7
client.publish("a", b"", qos=2).wait_for_ack(30.0)
print("end")
"""
    assert run(IN_CHILD + program, broker.url) == "end\n"


@forks
def test_a_fork_before_the_first_use_is_none_of_ours(broker: Broker) -> None:
    program = """
import os, sys
from ohmqtt import Client

child = os.fork()
with Client() as client:
    client.connect(sys.argv[1])
    client.wait_for_connect(30.0)
    client.publish("a", b"", qos=2).wait_for_ack(30.0)
if child == 0:
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print("end")
"""
    assert run(program, broker.url) == "end\n"


@forks
def test_a_fork_that_python_hears_nothing_of_is_found_by_who_waits(broker: Broker) -> None:
    """Some servers fork their workers in C."""
    program = """
import ctypes, os, sys
from ohmqtt import Client

client = Client()
client.connect(sys.argv[1])
client.wait_for_connect(30.0)
child = ctypes.PyDLL(None).fork()
if child == 0:
    try:
        client.wait_for_connect(30.0)
    except RuntimeError as error:
        os._exit(7 if "fork" in str(error) else 1)
    os._exit(2)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
client.publish("a", b"", qos=2).wait_for_ack(30.0)
print("end")
"""
    assert run(program, broker.url) == "end\n"


def test_spawned_processes_have_clients_of_their_own(broker: Broker, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys
from ohmqtt import Client

def work(url):
    with Client() as client:
        client.connect(url)
        client.wait_for_connect(30.0)
        client.publish("a", b"", qos=2).wait_for_ack(30.0)

if __name__ == "__main__":
    work(sys.argv[1])
    worker = multiprocessing.get_context("spawn").Process(target=work, args=sys.argv[1:])
    worker.start()
    worker.join(30.0)
    assert worker.exitcode == 0
"""
    )
    assert run(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')", broker.url) == ""


AT_END = """
import sys, threading, time
from ohmqtt import Client, aio
from ohmqtt.broker import Broker

url, closed_url, silent_url, db_path = sys.argv[1:]

def connected(**options):
    client = Client()
    client.connect(url, **options)
    client.wait_for_connect(30.0)
    return client

"""

ENDS = {
    "no connection": "client = Client()",
    "loop and no connection": "client = Client(); client.start_loop()",
    "connected": "client = connected()",
    "connecting": "client = Client(); client.start_loop(); client.connect(silent_url)",
    "resolving": "client = Client(); client.connect('-no-such-host.invalid')",
    "reconnecting": """
        with Broker() as broker:
            client = Client()
            client.start_loop()
            client.connect(broker.url, reconnect_delay=1)
            client.wait_for_connect(30.0)
        client.wait_for_disconnect(30.0)
        """,
    "failed": """
        client = Client()
        client.start_loop()
        client.connect(closed_url, reconnect_delay=1)
        """,
    "publishing": """
        def publish():
            while True:
                client.publish("a", b"x", qos=2).wait_for_ack()

        client = connected()
        client.start_loop()
        for _ in range(4):
            threading.Thread(target=publish, daemon=True).start()
        time.sleep(0.1)
        """,
    "publishing to a database": """
        def publish():
            while True:
                client.publish("a", b"x" * 1000, qos=1)

        client = Client(db_path)
        client.connect(url, client_id="me")
        for _ in range(4):
            threading.Thread(target=publish, daemon=True).start()
        time.sleep(0.1)
        """,
    "waiting in threads": """
        client = connected()
        for wait in (client.wait_for_disconnect, client.wait_for_shutdown, client.loop_forever):
            threading.Thread(target=wait, daemon=True).start()
        time.sleep(0.1)
        """,
    "in a callback that waits": """
        def callback(client, packet):
            began.set()
            client.wait_for_disconnect()

        began = threading.Event()
        client = connected()
        client.start_loop()
        client.subscribe("a", callback)
        client.publish("a", b"", qos=1)
        began.wait(30.0)
        """,
    "in a callback that does not end": """
        def callback(client, packet):
            began.set()
            while True:
                time.sleep(0.001)

        began = threading.Event()
        client = connected()
        client.start_loop()
        client.subscribe("a", callback)
        client.publish("a", b"", qos=1)
        began.wait(30.0)
        """,
    "in the midst of callbacks": """
        def callback(client, packet):
            client.publish("a", packet.payload, qos=1)

        client = connected()
        client.start_loop()
        client.subscribe("a", callback).wait_for_ack(30.0)
        for _ in range(50):
            client.publish("a", b"", qos=1)
        time.sleep(0.1)
        """,
    "within the block": """
        with connected() as client:
            client.publish("a", b"", qos=1)
            sys.exit()
        """,
    "in a block that was not left": """
        client = connected().__enter__()
        client.publish("a", b"", qos=1)
        """,
    "held by itself": """
        client = connected()
        client.subscribe("a", lambda own, packet: client).wait_for_ack(30.0)
        client.on_connect = lambda own, packet: client
        client.itself = client
        del client
        """,
    "with TLS of Python's": """
        import ssl
        client = Client()
        client.start_loop()
        client.connect(silent_url.replace("mqtt:", "mqtts:"), tls_context=ssl.create_default_context())
        """,
    "asyncio in another thread": """
        import asyncio

        async def wait():
            async with aio.Client(url) as client, client.subscribe("a") as messages:
                await client.publish("a", b"", qos=1)
                async for message in messages:
                    began.set()

        began = threading.Event()
        threading.Thread(target=asyncio.run, args=(wait(),), daemon=True).start()
        began.wait(30.0)
        """,
    "asyncio and a client": """
        import asyncio

        async def wait():
            async with aio.Client(url) as client:
                await client.publish("a", b"", qos=1)
                sys.exit()

        client = connected()
        client.start_loop()
        asyncio.run(wait())
        """,
    "clients and a broker": """
        broker = Broker().start()
        clients = [Client() for _ in range(5)]
        for client in clients:
            client.start_loop()
            client.connect(broker.url)
            client.subscribe("a", lambda client, packet: client.publish("a", packet.payload, qos=1)).wait_for_ack(30.0)
        clients[0].publish("a", b"", qos=1).wait_for_ack(30.0)
        """,
}


@pytest.mark.parametrize("state", ENDS)
def test_the_interpreter_ends_without_a_word(broker: Broker, tmp_path: Path, state: str) -> None:
    with Server().listener as closed:
        closed_url = f"mqtt://127.0.0.1:{closed.getsockname()[1]}"
    silent = Server()
    with silent.listener:
        lines = AT_END + dedented(ENDS[state])
        assert run(lines, broker.url, closed_url, silent.url, str(tmp_path / "ohmqtt.db")) == ""


def dedented(text: str) -> str:
    return "\n".join(line.removeprefix("        ") for line in text.splitlines()) + "\n"


def test_what_was_published_before_the_end_is_in_the_database(tmp_path: Path) -> None:
    program = """
import sys
from ohmqtt import Client

client = Client(sys.argv[1])
client.start_loop()
for number in range(100):
    client.publish("a", str(number), qos=1)
"""
    db_path = str(tmp_path / "ohmqtt.db")
    assert run(program, db_path) == ""
    deliver = """
import sys
from ohmqtt import Client

with Client(sys.argv[1]) as client:
    client.connect(sys.argv[2], client_id="me")
    client.wait_for_connect(30.0)
    # They stand before it.
    client.publish("end", b"", qos=1).wait_for_ack(30.0)
"""
    with Broker() as other:
        assert run(deliver, db_path, other.url) == ""
        assert other.metrics().published == 101
