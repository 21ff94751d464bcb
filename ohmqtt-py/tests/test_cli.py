"""`python -m ohmqtt` as a process, against a broker in this one."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen
from threading import Event, Thread

import pytest

import ohmqtt
from ohmqtt.broker import Broker
from ohmqtt.cli.subscribe import line as line_for
from processes import PATIENCE, line, run, running, succeed


@pytest.fixture
def address() -> Iterator[str]:
    with Broker() as broker:
        yield broker.url.removeprefix("mqtt://")


def test_the_version_is_that_of_the_package() -> None:
    assert succeed("ohmqtt", "--version") == [ohmqtt.__version__]


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_what_is_published_is_printed_by_a_subscriber(address: str, qos: str) -> None:
    with running("ohmqtt", "-v", "subscribe", "cli/+", "--address", address) as subscriber:
        wait_until_subscribed(address, "cli/probe", subscriber)
        options = ["--qos", qos, "--content_type", "text/plain", "--correlation_data", "1", "--response_topic", "r"]
        options += ["--payload_format_indicator", "--message_expiry_interval", "60"]
        said = succeed("ohmqtt", "publish", "cli/a", "grüße", "--address", address, *options)
        assert said == ["Published message to cli/a"]
        assert line(subscriber) == "cli/a : grüße"


def wait_until_subscribed(address: str, topic: str, subscriber: Popen[str]) -> None:
    """Leave a message for the broker to keep, which the subscriber prints once, before or after it is subscribed."""
    succeed("ohmqtt", "publish", topic, "ready", "--retain", "--qos", "1", "--address", address)
    assert line(subscriber) == f"{topic} : ready"


def test_what_is_kept_is_left_out_on_request(address: str) -> None:
    succeed("ohmqtt", "publish", "cli/kept", "old", "--retain", "--qos", "1", "--address", address)
    options = ["--no_retained", "--max_qos", "1", "--client_id", "one", "--session_expiry_interval", "60"]
    with (
        running("ohmqtt", "subscribe", "cli/#", "--address", address, *options) as subscriber,
        publishing_again_and_again(address, "cli/new"),
    ):
        # What was kept would come first, as soon as it is subscribed.
        assert line(subscriber) == "cli/new : new"


@contextmanager
def publishing_again_and_again(address: str, topic: str) -> Iterator[None]:
    """Publish a message every now and then during the block, for whoever subscribes meanwhile."""
    ended = Event()

    def publish() -> None:
        while not ended.wait(0.05):
            client.publish(topic, "new", qos=1).wait_for_ack(PATIENCE)

    with ohmqtt.Client() as client:
        client.connect(address)
        client.wait_for_connect(PATIENCE)
        thread = Thread(target=publish)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def test_a_subscriber_outlives_its_broker(own_url: str) -> None:
    with Broker(own_url) as broker:
        address = broker.url.removeprefix("mqtt://")
        with running("ohmqtt", "subscribe", "cli/+", "--address", address) as subscriber:
            wait_until_subscribed(address, "cli/probe", subscriber)
            broker.restart()
            wait_until_subscribed(address, "cli/again", subscriber)


def test_all_options_about_the_broker_are_taken(address: str) -> None:
    options = ["--client_id", "me", "--clean_start", "--connect_timeout", "30", "--username", "u", "--password", "p"]
    options += ["--session_expiry_interval", "1", "--receive_maximum", "9", "--max_packet_size", "1000"]
    options += ["--topic_alias_maximum", "3", "--request_response_info", "--request_problem_info"]
    assert succeed("ohmqtt", "publish", "cli/a", "x", "--address", address, *options) == ["Published message to cli/a"]


def test_a_broker_that_is_not_there_is_told(closed_url: str) -> None:
    for command in (["publish", "a", "b"], ["subscribe", "a"]):
        done = run("ohmqtt", *command, "--address", closed_url.removeprefix("mqtt://"))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("ohmqtt: no connection to 127.0.0.1:")
        assert "refused" in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_wrong_address_is_told_without_its_password() -> None:
    done = run("ohmqtt", "publish", "a", "b", "--address", "gopher://me:secret@localhost")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ohmqtt: no connection to the broker: ")
    assert "secret" not in done.stderr


def test_a_wrong_topic_is_told(address: str) -> None:
    done = run("ohmqtt", "publish", "a/#", "b", "--address", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ohmqtt: not published: ")
    done = run("ohmqtt", "subscribe", "a/#/b", "--address", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ohmqtt: not subscribed: ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["publish"], "the following arguments are required: TOPIC"),
        (["publish", "a", "--qos", "3"], "argument --qos: invalid choice: 3"),
        (["publish", "a", "--receive_maximum", "0"], "--receive_maximum: '0' is not a number from 1 to 65535"),
        (["subscribe", "a", "--connect_timeout", "soon"], "'soon' is not a number of seconds above 0"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(args: list[str], said: str) -> None:
    done = run("ohmqtt", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no signal of its own reaches a process there")
def test_a_subscriber_ends_with_ctrl_c(address: str) -> None:
    with running("ohmqtt", "subscribe", "cli/+", "--address", address) as subscriber:
        wait_until_subscribed(address, "cli/probe", subscriber)
        subscriber.send_signal(signal.SIGINT)
        assert subscriber.wait(timeout=PATIENCE) == 130
        assert subscriber.stderr is not None
        assert subscriber.stderr.read() == ""


def test_a_subscriber_ends_when_nobody_reads(address: str) -> None:
    with running("ohmqtt", "subscribe", "cli/+", "--address", address) as subscriber:
        wait_until_subscribed(address, "cli/probe", subscriber)
        assert subscriber.stdout is not None
        subscriber.stdout.close()
        succeed("ohmqtt", "publish", "cli/a", "x", "--address", address)
        assert subscriber.wait(timeout=PATIENCE) == 0


def test_a_payload_that_is_no_text_is_counted() -> None:
    packet = ohmqtt.MQTTPublishPacket
    assert line_for(packet("a", b"line\n\tnext")) == "a : line\n\tnext"
    assert line_for(packet("a", b"\x1b[2J")) == "a : <4 bytes of binary data>"
    assert line_for(packet("a", b"\xff\xfe")) == "a : <2 bytes of binary data>"
