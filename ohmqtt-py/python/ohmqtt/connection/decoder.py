"""Packets from a socket, however their bytes come."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ohmqtt.codec import IncompleteError, MalformedError, read
from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTReasonCode
from ohmqtt.packet import MQTTPacket, decode_packet

if TYPE_CHECKING:
    import socket


class ClosedSocketError(Exception):
    """The socket is closed: nothing more will come."""


class WantReadError(Exception):
    """The socket has nothing to read now."""


class IncrementalDecoder:
    """Takes one packet after another from a socket, blocking or not. It reads no byte of the next one."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        """Begin between two packets."""
        self.data = bytearray()

    def reset(self) -> None:
        """Forget the part of a packet that has come."""
        self.data.clear()

    def decode(self, sock: socket.socket, max_packet_size: int = 0) -> MQTTPacket | None:
        """Read a packet from a socket, or as much of it as there is: `None` then.

        ClosedSocketError when the socket is closed, MQTTError when what came is no packet, or one of more bytes than
        `max_packet_size`, 0 being the format's own limit.
        """
        try:
            while (needed := self._needed(max_packet_size)) > 0:
                self.data += _receive(sock, needed)
        except WantReadError:
            return None
        packet = decode_packet(self.data)
        self.reset()
        return packet

    def _needed(self, max_packet_size: int) -> int:
        """Tell how many bytes are to be read at least until the packet is whole."""
        try:
            read(self.data, max_packet_size=max_packet_size or None)
        except IncompleteError as error:
            return error.needed
        except MalformedError as error:
            raise MQTTError(str(error), MQTTReasonCode(error.reason_code)) from error
        return 0


def _receive(sock: socket.socket, size: int) -> bytes:
    try:
        data = sock.recv(size)
    except BlockingIOError as error:
        raise WantReadError("nothing to read now") from error
    except OSError as error:
        # Whoever made a TLS socket has imported it.
        ssl = sys.modules.get("ssl")
        if ssl is not None and isinstance(error, ssl.SSLWantReadError):
            raise WantReadError("nothing to read now") from error
        raise ClosedSocketError(f"the socket is closed: {error}") from error
    if not data:
        raise ClosedSocketError("the other side has closed the socket")
    return data
