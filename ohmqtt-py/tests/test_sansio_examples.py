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
from clients import mosquitto
from ohmqtt.codec import ConnectPacket, DisconnectPacket, DisconnectReasonCode
from ohmqtt.sansio import ClientSession, ConnectRequest, Disconnected, ServerSession

ROOT = Path(__file__).parent.parent
# Long enough that only what hangs is cut off.
PATIENCE = 60


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mosquitto(tmp_path_factory.mktemp("mosquitto")) as url:
        yield url.removeprefix("mqtt://")


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
def test_an_example_hears_what_it_says(address: str, name: str, options: list[str]) -> None:
    out = run(f"examples.sansio_{name}", "--address", address, *options)
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
