"""The examples as processes, against the embedded broker, and some of them against Mosquitto."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients import mosquitto
from ohmqtt.broker import Broker
from processes import PACKAGE, PATIENCE, line, run, running, succeed


@pytest.fixture(params=["embedded", "mosquitto"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "embedded":
        with Broker() as broker:
            yield broker.url.removeprefix("mqtt://")
    else:
        with mosquitto(tmp_path) as url:
            yield url.removeprefix("mqtt://")


def test_publish(address: str) -> None:
    said = succeed("examples.publish", "--address", address)
    assert said == [*(f"published message {number}" for number in range(1, 9)), "disconnected"]


def test_publish_retain(address: str) -> None:
    assert succeed("examples.publish_retain", "-a", address) == [
        "published, to be kept",
        "received ohmqtt/examples/publish_retain: on (retain=True)",
        "removed",
    ]


def test_publish_wait_for_ack(address: str) -> None:
    done = run("examples.publish_wait_for_ack", "-a", address)
    assert done.returncode == 0, done
    lines = done.stdout.splitlines()
    assert [text.split(":")[0] for text in lines] == [f"message {number}" for number in range(1, 9)]
    assert all("PUBCOMP" in text for text in lines)
    assert " ms ohmqtt" in done.stderr


def test_rpc(address: str) -> None:
    with running("examples.rpc_server", "-a", address) as server:
        assert line(server) == "answering on ohmqtt/examples/rpc/upper"
        for _ in range(2):
            said = succeed("examples.rpc_caller", "-a", address)
            assert said == ["one -> ONE", "two -> TWO", "three -> THREE"]
        assert line(server) == "answered 'one'"
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=PATIENCE) == 0
        assert server.stderr is not None
        assert server.stderr.read() == ""


def test_threadless(address: str) -> None:
    assert succeed("examples.threadless", "-a", address) == ["5", "4", "3", "2", "1", "0", "done"]


def test_auth() -> None:
    with Broker(scram={"alice": "secret"}) as broker:
        said = succeed("examples.auth", "-a", broker.url)
        assert said == ["the broker asks: ContinueAuthentication", "logged in, and so is the broker"]
        done = run("examples.auth", "-a", broker.url, "--password", "wrong")
        assert done.returncode == 1
        assert "NotAuthorized" in done.stderr


def test_auth_over_tls() -> None:
    folder = PACKAGE / "tests/tls"
    certificate = str(folder / "localhost.pem")
    with Broker(
        "mqtts://127.0.0.1:0", identity=(certificate, str(folder / "localhost.key")), scram={"bob": "hunter2"}
    ) as broker:
        at = broker.url.replace("127.0.0.1", "localhost")
        who = ("--username", "bob", "--password", "hunter2")
        said = succeed("examples.auth", "-a", at, "--cafile", certificate, *who)
        assert said[-1] == "logged in, and so is the broker"
        done = run("examples.auth", "-a", at, *who)
        assert done.returncode == 1
        assert "certificate" in done.stderr


def test_args() -> None:
    assert succeed("examples.args") == ["localhost:1883"]
    assert succeed("examples.args", "--address", "mqtts://example.org") == ["mqtts://example.org"]


def test_every_example_says_what_it_shows() -> None:
    names = {path.stem for path in (PACKAGE / "examples").glob("[a-z]*.py")}
    assert names >= {"publish", "publish_retain", "publish_wait_for_ack", "rpc_caller", "rpc_server"}
    assert names >= {"threadless", "auth", "args"}
    for name in names:
        done = run(f"examples.{name}", "--help")
        assert done.returncode == 0, done
        assert "--address" in done.stdout
