from __future__ import annotations

import subprocess
import sys

import pytest

from ohmqtt.broker import Broker, Limits
from rawclient import RawClient

pytest_plugins = ["pytester"]

TESTS = """
import pytest
from urllib.parse import urlsplit
from ohmqtt.broker import Broker, Limits, Listener

seen = []


def test_a_broker(mqtt_broker, mqtt_url):
    assert isinstance(mqtt_broker, Broker)
    assert mqtt_broker.url == mqtt_url
    assert mqtt_broker.metrics().connected == 0
    seen.append(mqtt_broker)


def test_another(mqtt_broker):
    assert mqtt_broker is not seen[0]
    with pytest.raises(RuntimeError):
        seen[0].metrics()


@pytest.mark.mqtt_broker("ws://127.0.0.1:0", authenticator=lambda login: True)
class TestMarked:
    def test_it_listens_there(self, mqtt_url):
        assert urlsplit(mqtt_url).scheme == "ws"

    @pytest.mark.mqtt_broker("mqtt://127.0.0.1:0", "ws://127.0.0.1:0")
    def test_the_closest_marker_has_the_last_word(self, mqtt_broker):
        assert [urlsplit(url).scheme for url in mqtt_broker.urls] == ["mqtt", "ws"]
"""

OPTIONS = """
import pytest


@pytest.fixture
def mqtt_broker_options(tmp_path):
    return {"store": tmp_path / "broker.redb"}
"""

WITH_OPTIONS = """
def test_the_options_are_taken(mqtt_broker, tmp_path):
    assert (tmp_path / "broker.redb").exists()
"""


def test_the_fixtures_are_there_by_themselves(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers", "-W", "error")
    result.assert_outcomes(passed=4)


def test_the_fixtures_are_there_when_the_plugin_is_named(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "ohmqtt.pytest_plugin", "--strict-markers")
    result.assert_outcomes(passed=4)


def test_the_plugin_can_be_left_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(mqtt_url):\n    pass\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:ohmqtt.pytest_plugin")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'mqtt_url' not found*"])


def test_the_options_are_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(OPTIONS)
    pytester.makepyfile(WITH_OPTIONS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")
    result.assert_outcomes(passed=1)


@pytest.mark.mqtt_broker(limits=Limits(receive_max=3))
def test_the_fixtures_work_here(mqtt_broker: Broker, mqtt_url: str) -> None:
    with RawClient(mqtt_url) as client:
        assert client.connect("c").receive_max == 3
    assert mqtt_broker.url == mqtt_url


def test_neither_pytest_nor_the_broker_is_imported_before_it_is_used() -> None:
    program = (
        "import sys, ohmqtt, ohmqtt.broker\n"
        "assert not {'pytest', 'asyncio', 'trio', 'ssl'} & sys.modules.keys(), sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    program = "import sys, ohmqtt.pytest_plugin\nassert 'ohmqtt.broker' not in sys.modules\n"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
