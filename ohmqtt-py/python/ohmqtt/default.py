"""The API of umqtt.default (`from umqtt import MQTTClient`), over MQTT 5.0: handlers of topics, and TLS by files.

    >>> from ohmqtt.default import MQTTClient
    >>> client = MQTTClient("lamp", "example.org", ssl=True, ssl_params={"cafile": "ca.pem"})
    >>> client.connect()                                                # doctest: +SKIP
    0
    >>> client.subscribe("lamp/+", lambda data: print(*data))           # doctest: +SKIP

`ssl_params` are files, or their contents: `key` and `cert` of this client, `cafile` or `cadata` of the authorities,
`server_hostname`, `cert_reqs` (of `ssl`; `ssl.CERT_NONE` checks nothing). Without authorities those of the system
count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ohmqtt import robust
from ohmqtt.simple import MQTTException
from ohmqtt.topic_filter import match_topic_filter

if TYPE_CHECKING:
    import ssl as tls

    from ohmqtt.simple import Text

__all__ = ["MQTTClient", "MQTTException"]

Handler: TypeAlias = Callable[[tuple[bytes, bytes]], object]
"""What is called with `(topic, msg)`."""


class MQTTClient(robust.MQTTClient):
    """As `ohmqtt.robust.MQTTClient`, with handlers of single topics.

    A message goes to each handler whose topic filter matches, wildcards included, and to the callback of
    `set_callback` when there is none.
    """

    def __init__(
        self,
        client_id: Text,
        server: str,
        port: int = 0,
        user: Text | None = None,
        password: Text | None = None,
        keepalive: int = 0,
        ssl: tls.SSLContext | bool | None = None,
        ssl_params: dict[str, Any] | None = None,
    ) -> None:
        """Take what `connect` will need."""
        super().__init__(client_id, server, port, user, password, keepalive, ssl, ssl_params)
        self._handlers: dict[str, tuple[Handler, int]] = {}

    def isconnected(self) -> bool:
        """Whether the connection takes a ping."""
        try:
            self.ping()
        except OSError:
            return False
        return True

    def reconnect(self) -> int:
        """As in `ohmqtt.robust`; subscribes again where the server has no session."""
        while True:
            session_present = super().reconnect()
            if session_present:
                return session_present
            try:
                for topic, (_, qos) in self._handlers.items():
                    self._subscribe(topic, qos)
            except OSError as e:
                self.log(True, e)
                continue
            return session_present

    def subscribe(  # type: ignore[override]
        self, topic: Text, handler: Handler | None = None, qos: int = 0
    ) -> None:
        """Subscribe, and have `handler((topic, msg))` called for each message of this topic filter.

        Without a handler its messages go to the callback of `set_callback`.
        """
        name = topic if isinstance(topic, str) else bytes(topic).decode()
        if handler is None:
            super().subscribe(topic, qos)
            return
        self._handlers[name] = (handler, qos)
        try:
            self._subscribe(topic, qos)
        except MQTTException:
            del self._handlers[name]
            raise

    def unsubscribe(self, topic: Text) -> None:
        """End a subscription, and forget its handler."""
        super().unsubscribe(topic)
        self._handlers.pop(topic if isinstance(topic, str) else bytes(topic).decode(), None)

    def _deliver(self, topic: bytes, msg: bytes) -> None:
        name = topic.decode()
        handlers = [handler for wanted, (handler, _) in self._handlers.items() if match_topic_filter(wanted, name)]
        for handler in handlers:
            handler((topic, msg))
        if not handlers:
            super()._deliver(topic, msg)
