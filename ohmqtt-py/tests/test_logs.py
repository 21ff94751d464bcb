"""What the Rust half has to say comes through `logging`, below the logger `ohmqtt`, for those who listen."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

import ohmqtt
from mosquitto import PATIENCE, publish
from ohmqtt.broker import Broker


class Listener(logging.Handler):
    """Keeps what it is given, and lets one wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.arrived = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self.arrived:
            self.records.append(record)
            self.arrived.notify_all()

    def wait_for(self, text: str) -> logging.LogRecord:
        """Return the first record that has `text` in it, once it has come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: any(text in record.getMessage() for record in self.records), PATIENCE)
            return next(record for record in self.records if text in record.getMessage())


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    logger = logging.getLogger("ohmqtt")
    logger.addHandler(listener)
    yield listener
    logger.removeHandler(listener)
    ohmqtt.set_log_level(logging.NOTSET)


def test_a_record_says_what_it_is_about(listener: Listener) -> None:
    ohmqtt.set_log_level(logging.DEBUG)
    with Broker() as broker:
        assert publish(broker.url, "a", "secret payload", "-i", "me").returncode == 0
        record = listener.wait_for("me")
    assert record.name.startswith("ohmqtt.")
    assert record.levelno in {logging.DEBUG, logging.INFO}
    assert record.pathname.endswith(".rs")
    assert record.lineno > 0
    assert not any("secret" in record.getMessage() for record in listener.records)


def test_what_nobody_takes_is_not_said(listener: Listener) -> None:
    ohmqtt.set_log_level(logging.CRITICAL)
    with Broker() as broker:
        assert publish(broker.url, "a", "b", "-i", "unheard").returncode == 0
    ohmqtt.set_log_level(logging.DEBUG)
    with Broker() as broker:
        assert publish(broker.url, "a", "b", "-i", "heard").returncode == 0
        listener.wait_for("heard")
    assert not any("unheard" in record.getMessage() for record in listener.records)


def test_a_level_that_logging_is_told_of_counts_too() -> None:
    program = (
        "import asyncio, logging; logging.basicConfig(level=logging.DEBUG, format='%(name)s %(levelname)s')\n"
        "from ohmqtt.aio import Client\n"
        "from ohmqtt.broker import Broker\n"
        "async def main(url):\n"
        "    async with Client(url): pass\n"
        "with Broker() as broker: asyncio.run(main(broker.url))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "ohmqtt.broker " in done.stderr
    assert "ohmqtt.client " in done.stderr


def test_a_handler_that_fails_or_uses_the_package_harms_nobody(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    arrived = threading.Event()

    class Wild(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())
            if len(said) == 1:
                with Broker():
                    arrived.set()
            raise RuntimeError("wild")

    failed = threading.Event()
    monkeypatch.setattr(sys, "unraisablehook", lambda _: failed.set())
    wild = Wild()
    logging.getLogger("ohmqtt").addHandler(wild)
    ohmqtt.set_log_level(logging.DEBUG)
    try:
        with Broker() as broker:
            assert publish(broker.url, "a", "b").returncode == 0
            assert arrived.wait(PATIENCE)
            # It fails behind that, on the thread of the logs.
            assert failed.wait(PATIENCE)
    finally:
        logging.getLogger("ohmqtt").removeHandler(wild)
    assert said
    with Broker() as broker:
        assert publish(broker.url, "a", "b", "-i", "behind").returncode == 0
        # That thread may have been at its last failure still.
        listener.wait_for("behind")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")
def test_a_forked_process_ends() -> None:
    program = (
        "import logging, os, sys; logging.basicConfig(level=logging.DEBUG)\n"
        "from ohmqtt.broker import Broker\n"
        "broker = Broker().start()\n"
        "child = os.fork()\n"
        "if child == 0: sys.exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=PATIENCE, check=True)
