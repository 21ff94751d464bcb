from __future__ import annotations

import doctest
import errno
import gc
import os
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

import mosquitto
import ohmqtt.broker
from ohmqtt.broker import Broker


def reached(url: str) -> bool:
    parts = urlsplit(url)
    assert parts.port is not None
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=mosquitto.PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program of its own, with everything that Python can complain about."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=mosquitto.PATIENCE, check=False)


def test_a_broker_serves_for_the_length_of_a_block() -> None:
    with Broker() as broker:
        assert broker.url == broker.urls[0]
        assert broker.url.startswith("mqtt://127.0.0.1:")
        assert not broker.url.endswith(":0")
        assert repr(broker) == f"<Broker {broker.url}>"
        assert mosquitto.publish(broker.url, "a", "hello", "-r").returncode == 0
        assert mosquitto.subscribe(broker.url, "a").stdout == "hello\n"
    assert repr(broker) == "<Broker, stopped>"
    assert not reached(broker.url)


def test_the_examples_of_the_docstrings_are_right() -> None:
    failed, tried = doctest.testmod(ohmqtt.broker)
    assert failed == 0
    assert tried > 0


def test_stop_may_come_twice_and_first() -> None:
    broker = Broker()
    broker.stop()
    broker.start()
    broker.stop()
    broker.stop()
    assert not reached(broker.url)


def test_a_stopped_broker_starts_again_where_it_was() -> None:
    with Broker() as broker:
        url = broker.url
        with pytest.raises(RuntimeError, match="runs already"):
            broker.start()
    with broker:
        assert broker.url == url
        assert reached(url)


def test_a_broker_that_was_not_started_has_no_address() -> None:
    broker = Broker()
    with pytest.raises(RuntimeError, match=r"use `with Broker\(\) as broker:`, or start\(\)"):
        _ = broker.url


def test_a_broker_that_is_forgotten_stops() -> None:
    broker = Broker().start()
    url = broker.url
    del broker
    gc.collect()
    until = time.monotonic() + mosquitto.PATIENCE
    while reached(url):
        assert time.monotonic() < until


def test_an_address_in_use_is_an_oserror_that_says_so() -> None:
    with Broker() as broker, pytest.raises(OSError, match="in use") as raised:
        Broker(broker.url).start()
    assert raised.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1", "unknown scheme `http` in broker URL; use one of mqtt, mqtts"),
        ("mqtt://127.0.0.1:x", "bad port `x`"),
        ("mqtt://0.0.0.0:0", "or say insecure_allow_anonymous=True"),
        ("mqtts://127.0.0.1:0", r'no certificate for a mqtts listener: give the files, as in identity=\("chain.pem'),
    ],
)
def test_what_cannot_be_listened_at_is_a_valueerror(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Broker(url).start()


def test_what_the_system_does_not_let_it_listen_at_is_an_oserror() -> None:
    with pytest.raises(OSError, match="listen") as raised:
        Broker("mqtt://127.0.0.1:0", "unix:/no/such/folder/broker.sock").start()
    assert raised.value.errno == errno.ENOENT


def test_an_interpreter_exits_with_a_broker_that_runs_and_a_client_that_stays() -> None:
    done = run(
        "import socket\n"
        "from urllib.parse import urlsplit\n"
        "from ohmqtt.broker import Broker\n"
        "from ohmqtt.codec import ConnectPacket\n"
        "brokers = [Broker().start(), Broker().start()]\n"
        "parts = urlsplit(brokers[0].url)\n"
        "client = socket.create_connection((parts.hostname, parts.port))\n"
        "client.sendall(ConnectPacket('stays').write())\n"
        "assert client.recv(1) == b'\\x20'\n"
        "keep = client.detach()\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_process_is_told_so_and_its_parent_goes_on() -> None:
    done = run(
        "import os, sys\n"
        "from ohmqtt.broker import Broker\n"
        "broker = Broker().start()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    for use in (broker.stop, Broker().start):\n"
        "        try:\n"
        "            use()\n"
        "        except RuntimeError as error:\n"
        "            assert 'before this process was forked' in str(error)\n"
        "        else:\n"
        "            raise AssertionError(use)\n"
        "    sys.exit()\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "with broker:\n"
        "    print(broker.url)\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not reached(done.stdout.strip())
