"""The address of a server."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from ohmqtt._native import toolkit_parse_address
from ohmqtt.platform import AF_UNIX, HAS_AF_UNIX, PlatformError

DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883, "unix": 0, "ws": 80, "wss": 443, "quic": 14567}
"""The port of each scheme where an address names none."""


def is_ipv6(hostname: str) -> bool:
    """Tell whether this is an IPv6 address, without brackets."""
    try:
        socket.inet_pton(socket.AF_INET6, hostname)
    except OSError:
        return False
    return True


@dataclass(slots=True, init=False, frozen=True, repr=False)
class Address:
    """The address of a server: `mqtts://user:password@example.org:8883`, `[::1]`, `unix:/run/mqtt.sock`.

    Schemes are mqtt (which no scheme means), mqtts, ws, wss, quic and unix; only ws and wss have a path and a query.
    Of a Unix socket the path is the `host`, and `port` is 0. User name and password are percent-decoded. The address
    of no text has no attributes.
    """

    scheme: str
    family: int
    host: str
    port: int
    path: str
    username: str | None
    password: str | None

    def __init__(self, address: str = "") -> None:
        """Take an address apart; a ValueError, which shows no password, when it is none."""
        if not address:
            return
        is_unix = address.lower().startswith("unix:")
        if is_unix and not HAS_AF_UNIX:
            raise PlatformError("there are no Unix sockets on this platform: use another address")
        relative = is_unix and len(address) > 5 and address[5] not in "/@"
        # The engine's addresses are absolute, and `//` before the host means nothing.
        whole = f"unix:/{address[5:]}" if relative else address.removeprefix("//")
        scheme, host, port, path, username, password = toolkit_parse_address(whole)
        if relative:
            host = host[1:]
        family = AF_UNIX if is_unix else socket.AF_INET6 if is_ipv6(host) else socket.AF_INET
        if scheme in ("ws", "wss") and not path.startswith("/"):
            path = f"/{path}"
        values = (scheme, family, host, port, path, username, password)
        for name, value in zip(self.__match_args__, values, strict=True):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        """Show the address, without its password, and without a query, which may hold a token."""
        if not hasattr(self, "scheme"):
            return "Address()"
        user = self.username or ""
        if self.password:
            user += ":<hidden>"
        host = f"{user}@{self.host}" if user else self.host
        port = "" if self.scheme == "unix" else f":{self.port}"
        # A socket's file may have one in its name.
        path, has_query, _ = (self.path, "", "") if self.scheme == "unix" else self.path.partition("?")
        query = "?<hidden>" if has_query else ""
        return f"Address({self.scheme}://{host}{port}{path}{query})"

    @property
    def use_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return getattr(self, "scheme", None) in ("mqtts", "wss", "quic")

    def is_websocket(self) -> bool:
        """Tell whether MQTT goes over a WebSocket."""
        return getattr(self, "scheme", None) in ("ws", "wss")

    def is_default_port(self) -> bool:
        """Tell whether the port is the scheme's own."""
        return hasattr(self, "scheme") and self.port == DEFAULT_PORTS[self.scheme]
