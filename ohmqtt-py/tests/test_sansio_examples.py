"""The examples against Mosquitto, and the loop of the documentation against a server of our own."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ohmqtt.sansio
from ohmqtt.codec import ConnectPacket, DisconnectPacket, DisconnectReasonCode
from ohmqtt.sansio import ClientSession, ConnectRequest, Disconnected, ServerSession

ROOT = Path(__file__).parent.parent
# Long enough that only what hangs is cut off.
PATIENCE = 60


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


def wait_for(port: int, broker: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        assert broker.poll() is None, "mosquitto has ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("mosquitto does not listen")


@pytest.fixture(scope="module")
def mosquitto() -> Iterator[str]:
    port = free_port()
    with subprocess.Popen(
        ["mosquitto", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as broker:
        try:
            wait_for(port, broker)
            yield f"localhost:{port}"
        finally:
            broker.terminate()


def run(*args: str) -> str:
    command = [sys.executable, "-W", "error", "-m", *args]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "options"),
    [("sockets", []), ("anyio", []), ("anyio", ["--backend", "trio"])],
    ids=["sockets", "asyncio", "trio"],
)
def test_an_example_hears_what_it_says(mosquitto: str, name: str, options: list[str]) -> None:
    out = run(f"examples.sansio_{name}", "--address", mosquitto, *options)
    heard = [f"ohmqtt/examples/sansio_{name}: hello at QoS {qos}" for qos in range(3)]
    assert out.splitlines() == [*heard, "disconnected on request"]


def serve(sock: socket.socket) -> None:
    """Accept a client, and say that this was enough."""
    server = ServerSession()
    server.connection_made(time.monotonic())
    while not server.should_close:
        server.receive(sock.recv(65536), time.monotonic())
        for event in server.events():
            if isinstance(event, ConnectRequest):
                server.accept()
                server.finish(DisconnectPacket(reason_code=DisconnectReasonCode.SERVER_BUSY))
        sock.sendall(server.data_to_send(time.monotonic()))
    sock.close()


def test_the_loop_of_the_documentation_runs() -> None:
    (loop,) = re.findall(r"    client = ClientSession.*?(?=\n\n)", ohmqtt.sansio.__doc__ or "", re.DOTALL)
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(theirs,))
    thread.start()
    names = {"sock": ours, "time": time, "ClientSession": ClientSession, "ConnectPacket": ConnectPacket}
    with ours:
        exec(textwrap.dedent(loop), names)
    thread.join(PATIENCE)
    client = names["client"]
    assert isinstance(client, ClientSession)
    told = client.events()[-1]
    assert isinstance(told, Disconnected)
    assert told.reason_code is DisconnectReasonCode.SERVER_BUSY


def test_importing_the_sessions_starts_no_loop_and_opens_no_socket() -> None:
    program = (
        "import sys, ohmqtt.sansio; print(sorted({'asyncio', 'trio', 'anyio', 'socket', 'ssl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.strip() == "[]"
