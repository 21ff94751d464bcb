"""A broker in the process, for tests, development and small sites.

    >>> from ohmqtt.broker import Broker
    >>> with Broker() as broker:
    ...     print(broker.url)  # doctest: +ELLIPSIS
    mqtt://127.0.0.1:...

It is ready in milliseconds, speaks all of MQTT 5.0 over TCP, TLS, WebSocket, QUIC and Unix sockets, and is gone at
the end of the block. It runs on a thread of its own, which needs no GIL to pass a message on. `Broker.faults()` has
switches that cut, delay, withhold, refuse and forget, for tests of programs that are to bear it; pytest has fixtures
for it, `mqtt_broker` and `mqtt_url`.

Who may do what: unless told otherwise the broker asks nobody who it is, and so it listens at loopback addresses only.
It asks by a file of `passwords`, by `scram`, by the certificates of clients, or by an `authenticator` of yours, and
allows what an `acl` file or an `authorizer` of yours allows.
"""

from __future__ import annotations

from ohmqtt._native import Faults, Switches
from ohmqtt.broker._access import Access, Authenticator, Authorizer, Login
from ohmqtt.broker._broker import Broker
from ohmqtt.broker._limits import Limits
from ohmqtt.broker._listener import Identity, Listener, StrPath
from ohmqtt.broker._metrics import Metrics

__all__ = [
    "Access",
    "Authenticator",
    "Authorizer",
    "Broker",
    "Faults",
    "Identity",
    "Limits",
    "Listener",
    "Login",
    "Metrics",
    "StrPath",
    "Switches",
]
