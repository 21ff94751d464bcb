from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rawclient import PATIENCE, RawClient

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_where_it_is_told_until_it_is_asked_to_end(tmp_path: Path, number: signal.Signals) -> None:
    socket = tmp_path / "broker.sock"
    arguments = ["-a", "mqtt://127.0.0.1:0", "--address", f"unix:{socket}", "--store", str(tmp_path / "broker.redb")]
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "examples.own_broker", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as example:
        assert example.stdout is not None
        urls = [example.stdout.readline().strip() for _ in range(2)]
        assert urls[1] == f"unix:{socket}"
        for url in urls:
            with RawClient(url) as client:
                client.connect("c")
                client.publish("a")
        example.send_signal(number)
        output = example.communicate(timeout=PATIENCE)
    assert (example.returncode, output) == (0, ("", ""))
    assert not socket.exists()
