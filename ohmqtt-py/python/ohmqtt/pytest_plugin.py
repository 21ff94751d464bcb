"""Fixtures for pytest: a broker for each test that asks for one.

pytest finds them by itself where this package is installed:

    def test_it_says_hello(mqtt_url):
        run_my_program(mqtt_url)

    @pytest.mark.mqtt_broker(limits=Limits(receive_max=1))
    def test_it_bears_a_narrow_broker(mqtt_broker):
        run_my_program(mqtt_broker.url)

The options are those of `ohmqtt.broker.Broker`. For many tests, a fixture `mqtt_broker_options` of your own in a test
module or a `conftest.py` returns them as a dict; what a marker says goes before it. `-p no:ohmqtt.pytest_plugin`
leaves all of this out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ohmqtt.broker import Broker


def pytest_configure(config: pytest.Config) -> None:
    """Tell pytest of the marker."""
    marker = "mqtt_broker(*listeners, **options): how the broker of the fixtures mqtt_broker and mqtt_url is to be"
    config.addinivalue_line("markers", marker)


@pytest.fixture
def mqtt_broker_options() -> Mapping[str, Any]:
    """Give no options for the broker of each test. Define it anew to change that."""
    return {}


@pytest.fixture
def mqtt_broker(request: pytest.FixtureRequest, mqtt_broker_options: Mapping[str, Any]) -> Iterator[Broker]:
    """Start a broker for this test alone, at a free port of this machine; it stops when the test is done."""
    from ohmqtt.broker import Broker

    listeners: tuple[Any, ...] = ()
    options: dict[str, Any] = {**mqtt_broker_options}
    # The closest marker comes first, and has the last word.
    for marker in reversed(list(request.node.iter_markers("mqtt_broker"))):
        listeners = marker.args or listeners
        options.update(marker.kwargs)
    with Broker(*listeners, **options) as broker:
        yield broker


@pytest.fixture
def mqtt_url(mqtt_broker: Broker) -> str:
    """Give the URL of the broker that `mqtt_broker` is."""
    return mqtt_broker.url
