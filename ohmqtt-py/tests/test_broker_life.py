"""How a broker begins and ends in an interpreter of its own, whatever it is doing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ohmqtt.broker import Broker, Faults
from rawclient import PATIENCE, RawClient

USE = """
import logging, signal, socket, sys, threading, time
from urllib.parse import urlsplit
from ohmqtt.broker import Broker
from ohmqtt.codec import ConnectPacket, PublishPacket, SubscribePacket, TopicFilter

def connect(broker, client_id):
    address = urlsplit(broker.url)
    client = socket.create_connection((address.hostname, address.port))
    client.sendall(ConnectPacket(client_id).write())
    return client

"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "dev", "-W", "ignore::ResourceWarning", "-c", USE + program]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("asked", ["authenticator", "authorizer"])
def test_an_interpreter_exits_while_a_function_is_asked_and_never_answers(asked: str) -> None:
    done = run(
        "logging.disable()\n"
        "asked = threading.Event()\n"
        "def never(_):\n"
        "    asked.set()\n"
        "    while True:\n"
        "        time.sleep(0.001)\n"
        f"broker = Broker({asked}=never, authorizer_timeout=0.2).start()\n"
        "client = connect(broker, 'c')\n"
        "asked.wait()\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_interpreter_exits_in_the_middle_of_traffic_that_is_asked_about() -> None:
    done = run(
        "broker = Broker(authenticator=lambda login: True, authorizer=lambda access: True).start()\n"
        "client = connect(broker, 'c')\n"
        "client.sendall(SubscribePacket(1, [TopicFilter('a')]).write())\n"
        "client.sendall(b''.join(PublishPacket('a', b'x').write() for _ in range(5000)))\n"
        "assert client.recv(1000)\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
@pytest.mark.parametrize("wait", ["broker.faults().wait_for('c', lambda packet: False, None)", "broker.stop(1000)"])
def test_a_wait_heeds_ctrl_c(wait: str) -> None:
    done = run(
        "broker = Broker().start()\n"
        "client = connect(broker, 'c')\n"
        "client.recv(100)\n"
        # What it gets is not acknowledged, so that the broker is patient when it is told to stop.
        "client.sendall(SubscribePacket(1, [TopicFilter('a')]).write())\n"
        "client.sendall(PublishPacket('a', b'', qos=1, packet_id=1).write())\n"
        "client.recv(100)\n"
        "try:\n"
        "    threading.Timer(0.2, signal.raise_signal, [signal.SIGINT]).start()\n"
        f"    {wait}\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not tell")
def test_brokers_leave_neither_threads_nor_files_behind() -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    def use() -> None:
        with Broker(authenticator=lambda _: True, authorizer=lambda _: True) as broker, RawClient(broker.url) as client:
            broker.faults().all()
            client.connect("c")
            client.publish("a")

    use()
    before = held()
    for _ in range(20):
        use()
    until = time.monotonic() + PATIENCE
    while any(now > then for now, then in zip(held(), before, strict=True)):
        assert time.monotonic() < until, (before, held())
        time.sleep(0.01)


def test_a_broker_is_stopped_by_one_thread_while_others_use_it() -> None:
    failed: list[BaseException] = []

    def use(broker: Broker, faults: Faults) -> None:
        try:
            while True:
                broker.metrics()
                faults.forget_session("c")
                faults.client("c").cut()
        except RuntimeError as error:
            if "does not run" not in str(error) and "has stopped" not in str(error):
                failed.append(error)
        except BaseException as error:
            failed.append(error)

    with Broker() as broker:
        threads = [threading.Thread(target=use, args=(broker, broker.faults())) for _ in range(4)]
        for thread in threads:
            thread.start()
        with RawClient(broker.url) as client:
            client.connect("another")
    for thread in threads:
        thread.join()
    assert failed == []
