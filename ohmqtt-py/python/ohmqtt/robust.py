"""The API of umqtt.robust, over MQTT 5.0: `ohmqtt.simple` that connects again when a connection ends.

It relies on the session at the server: connect with `clean_session=False`, and subscribe when `connect` returns 0.

    >>> from ohmqtt.robust import MQTTClient
    >>> client = MQTTClient("lamp", "localhost")
    >>> client.set_callback(print)
    >>> if not client.connect(clean_session=False):     # doctest: +SKIP
    ...     client.subscribe(b"lamp/set")

A message of QoS 1 or 2 that was under way when the connection ended goes on in the session, and arrives twice only if
the server has lost that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from ohmqtt import simple
from ohmqtt.simple import MQTTException

if TYPE_CHECKING:
    from ohmqtt.simple import Text

__all__ = ["MQTTClient", "MQTTException"]


class MQTTClient(simple.MQTTClient):
    """As `ohmqtt.simple.MQTTClient`; what meets an `OSError` connects again, and goes on."""

    DELAY: ClassVar[float] = 2
    """Seconds between attempts to connect."""
    DEBUG = False
    """Print errors."""

    def delay(self, i: int) -> None:
        """Wait before attempt number `i` + 1. To be overridden for another policy."""
        del i
        time.sleep(self.DELAY)

    def log(self, in_reconnect: bool, e: OSError) -> None:
        """Tell of an error. To be overridden for another log."""
        if self.DEBUG:
            print(f"mqtt reconnect: {e!r}" if in_reconnect else f"mqtt: {e!r}")

    def reconnect(self) -> int:
        """Connect with the session that the server has, trying for ever. Returns as `connect` does."""
        i = 0
        while True:
            try:
                return super().connect(False, self._timeout)
            except OSError as e:
                self.log(True, e)
                i += 1
                self.delay(i)

    def publish(self, topic: Text, msg: Text, retain: bool = False, qos: int = 0) -> None:
        """As in `ohmqtt.simple`, over any number of connections."""
        ticket, session = None, None
        while True:
            try:
                if ticket is None or session is not self._session or qos == 0:
                    ticket = self._submit(topic, msg, retain, qos)
                    session = self._session
                return self._finish(ticket, qos)
            except OSError as e:
                self.log(False, e)
            self.reconnect()

    def wait_msg(self) -> int | None:
        """As in `ohmqtt.simple`, over any number of connections."""
        while True:
            try:
                return self._step()
            except OSError as e:
                self.log(False, e)
            self.reconnect()

    def check_msg(self, attempts: int = 2) -> int | None:
        """As in `ohmqtt.simple`; connects again up to `attempts` times, then returns None."""
        for _ in range(attempts):
            try:
                return simple.MQTTClient.check_msg(self)
            except OSError as e:
                self.log(False, e)
            self.reconnect()
        return None
