"""The command `ohmqtt` as the package has it: that all of it is there. What it does is tested beside its crate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from subprocess import Popen

import pytest

from ohmqtt.cli import main
from processes import ENVIRONMENT, PATIENCE, line, run, running, succeed

on_unix = pytest.mark.skipif(sys.platform == "win32", reason="no signal of its own reaches a process there")


@contextmanager
def broker() -> Iterator[tuple[Popen[str], str]]:
    """Run `ohmqtt broker` at a free port, and give it with its URL."""
    with running("ohmqtt", "broker", "--port", "0") as process:
        while "listens at" not in (text := line(process)):
            pass
        yield process, text.split()[-1]


@pytest.mark.parametrize(
    "name", ["pub", "sub", "rr", "broker", "check", "bench", "passwd", "config", "completions", "man"]
)
def test_each_command_has_its_help(name: str) -> None:
    assert any(f"Usage: ohmqtt {name}" in text for text in succeed("ohmqtt", name, "--help"))


def test_the_help_has_the_commands_of_both_halves() -> None:
    words = [text.split()[0] for text in succeed("ohmqtt", "--help") if text.strip()]
    assert {"pub", "sub", "broker", "check", "publish", "subscribe"} <= set(words)


def test_a_message_passes_from_pub_to_sub_through_its_broker() -> None:
    with broker() as (_, url):
        assert succeed("ohmqtt", "pub", "--url", url, "-t", "a/b", "-m", "grüße", "-r", "-q", "1") == []
        assert succeed("ohmqtt", "sub", "--url", url, "-v", "-t", "a/#", "-C", "1", "-W", "30") == ["a/b grüße"]
        assert any("retain" in text for text in succeed("ohmqtt", "check", url))
        # The commands of either half meet there.
        succeed("ohmqtt", "publish", "a/c", "other", "--retain", "--qos", "1", "--address", url)
        assert succeed("ohmqtt", "sub", "--url", url, "-t", "a/c", "-C", "1", "-W", "30") == ["other"]


def test_exit_codes_say_how_it_ended() -> None:
    with broker() as (_, url):
        assert run("ohmqtt", "sub", "--url", url, "-t", "none", "-C", "1", "-W", "0.2").returncode == 27
        wrong = run("ohmqtt", "pub", "--url", url, "-t", "a", "-q", "3", "-m", "x")
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "QoS" in wrong.stderr
    gone = run("ohmqtt", "pub", "--url", url, "-t", "a", "-m", "x")
    assert gone.returncode == 1
    assert "ohmqtt: " in gone.stderr
    assert "refused" in gone.stderr


@on_unix
def test_ctrl_c_ends_it_in_order_with_a_summary() -> None:
    with broker() as (process, url):
        succeed("ohmqtt", "pub", "--url", url, "-t", "a", "-m", "x", "-r", "-q", "1")
        with running("ohmqtt", "sub", "--url", url, "-t", "a") as subscriber:
            assert line(subscriber) == "x"
            assert ended(subscriber) == (130, "ohmqtt: interrupted: 1 messages\n")
        status, said = ended(process)
        assert status == 0
        assert said.startswith("ohmqtt: stopped: 1 messages published")


def ended(process: Popen[str]) -> tuple[int, str]:
    """Send Ctrl-C, and return the exit status and what is left on standard error."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def test_ctrl_c_is_pythons_again_behind_it() -> None:
    def handle(*_: object) -> None:
        pass

    before = signal.signal(signal.SIGINT, handle)
    try:
        assert main(["config", "--help"]) == 0
        assert signal.getsignal(signal.SIGINT) is handle
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_is_no_command_is_a_usage_error() -> None:
    for words in (["pubb"], ["-v", "pub"], ["--profil"]):
        done = run("ohmqtt", *words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: ")


def test_a_pipe_that_nobody_reads_is_no_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        for words in (["--help"], ["pub", "--help"], ["completions", "bash"]):
            command = [sys.executable, "-m", "ohmqtt", *words]
            done = subprocess.run(command, env=ENVIRONMENT, stdout=writer, stderr=subprocess.PIPE, timeout=PATIENCE)
            assert (done.returncode, done.stderr) == (0, b"")
    finally:
        os.close(writer)


def test_the_console_script_is_the_same_command() -> None:
    scripts = distribution("ohmqtt").entry_points.select(group="console_scripts")
    assert [(script.name, script.value) for script in scripts] == [("ohmqtt", "ohmqtt.cli:main")]
    program = Path(sysconfig.get_path("scripts")) / ("ohmqtt.exe" if sys.platform == "win32" else "ohmqtt")
    command = [str(program), "sub", "--help"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE, check=True)
    assert b"Usage: ohmqtt sub" in done.stdout
