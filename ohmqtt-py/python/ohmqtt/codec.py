"""MQTT 5.0 packets to bytes and back, at native speed.

`read` takes one packet off the front of a buffer, `read_many` all that are whole; each packet has `write`:

    >>> from ohmqtt.codec import PublishPacket, read
    >>> data = PublishPacket("a/b", b"hello").write()
    >>> read(data)
    (PublishPacket('a/b', b'hello'), 13)

Packets are immutable: they compare, hash, pickle and `match`, and lists in them are tuples. What one packet by itself
shows to be wrong is refused when it is made (`ValueError`) and when it is read (`MalformedError`). Who may send which
packet when is not looked at here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from ohmqtt._native import (
    AuthPacket,
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    PingReqPacket,
    PingRespPacket,
    PubAckPacket,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
    PubRelPacket,
    SubAckPacket,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubscribePacket,
    Will,
    read,
    read_many,
)

__all__ = [
    "AuthPacket",
    "AuthReasonCode",
    "ConnAckPacket",
    "ConnAckReasonCode",
    "ConnectPacket",
    "DisconnectPacket",
    "DisconnectReasonCode",
    "IncompleteError",
    "MalformedError",
    "Packet",
    "PingReqPacket",
    "PingRespPacket",
    "PubAckPacket",
    "PubAckReasonCode",
    "PubCompPacket",
    "PubCompReasonCode",
    "PubRecPacket",
    "PubRecReasonCode",
    "PubRelPacket",
    "PubRelReasonCode",
    "PublishPacket",
    "QoS",
    "RetainHandling",
    "SubAckPacket",
    "SubAckReasonCode",
    "SubscribePacket",
    "TopicFilter",
    "UnsubAckPacket",
    "UnsubAckReasonCode",
    "UnsubscribePacket",
    "Will",
    "read",
    "read_many",
]


class IncompleteError(IndexError):
    """The buffer ends before its packet does: read more, then try again."""

    needed: int
    """How many more bytes are needed, at least."""

    def __init__(self, needed: int) -> None:
        """Say how many bytes are missing."""
        super().__init__(needed)
        self.needed = needed

    def __str__(self) -> str:
        """Tell what to do."""
        return f"not enough bytes: at least {self.needed} more needed"


class MalformedError(ValueError):
    """The bytes are no packet. The stream has no next packet to find: end the connection with `reason_code`."""

    reason_code: ConnAckReasonCode | DisconnectReasonCode
    """What to answer: in a CONNACK if the packet was a CONNECT, in a DISCONNECT otherwise."""
    position: int
    """Where in the buffer the packet starts."""
    packets: tuple[Packet, ...]
    """What `read_many` had read before it."""

    def __init__(
        self,
        message: str,
        reason_code: ConnAckReasonCode | DisconnectReasonCode,
        position: int = 0,
        packets: tuple[Packet, ...] = (),
    ) -> None:
        """Say what is wrong, and where."""
        super().__init__(message, reason_code, position, packets)
        self.reason_code = reason_code
        self.position = position
        self.packets = packets

    def __str__(self) -> str:
        """Tell what is wrong, in which field of which packet."""
        return str(self.args[0])


class QoS(IntEnum):
    """Quality of service: how often a message may arrive."""

    AT_MOST_ONCE = 0
    AT_LEAST_ONCE = 1
    EXACTLY_ONCE = 2


class RetainHandling(IntEnum):
    """Which retained messages a subscription wants at once."""

    SEND_ALWAYS = 0
    SEND_IF_SUBSCRIPTION_NOT_EXISTS = 1
    SEND_NEVER = 2


class ConnAckReasonCode(IntEnum):
    """What a CONNACK can say."""

    SUCCESS = 0
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_ID_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    BAD_AUTHENTICATION_METHOD = 0x8C
    TOPIC_NAME_INVALID = 0x90
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QUALITY_NOT_SUPPORTED = 0x9B
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    CONNECTION_RATE_EXCEEDED = 0x9F


class PubAckReasonCode(IntEnum):
    """What a PUBACK can say."""

    SUCCESS = 0
    NO_MATCHING_SUBSCRIBERS = 0x10
    UNSPECIFIED_ERROR = 0x80
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    NOT_AUTHORIZED = 0x87
    TOPIC_NAME_INVALID = 0x90
    PACKET_ID_IN_USE = 0x91
    QUOTA_EXCEEDED = 0x97
    PAYLOAD_FORMAT_INVALID = 0x99


class PubRecReasonCode(IntEnum):
    """What a PUBREC can say."""

    SUCCESS = 0
    NO_MATCHING_SUBSCRIBERS = 0x10
    UNSPECIFIED_ERROR = 0x80
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    NOT_AUTHORIZED = 0x87
    TOPIC_NAME_INVALID = 0x90
    PACKET_ID_IN_USE = 0x91
    QUOTA_EXCEEDED = 0x97
    PAYLOAD_FORMAT_INVALID = 0x99


class PubRelReasonCode(IntEnum):
    """What a PUBREL can say."""

    SUCCESS = 0
    PACKET_ID_NOT_FOUND = 0x92


class PubCompReasonCode(IntEnum):
    """What a PUBCOMP can say."""

    SUCCESS = 0
    PACKET_ID_NOT_FOUND = 0x92


class SubAckReasonCode(IntEnum):
    """What a SUBACK can say."""

    GRANTED_QOS_AT_MOST_ONCE = 0
    GRANTED_QOS_AT_LEAST_ONCE = 1
    GRANTED_QOS_EXACTLY_ONCE = 2
    UNSPECIFIED_ERROR = 0x80
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    NOT_AUTHORIZED = 0x87
    TOPIC_FILTER_INVALID = 0x8F
    PACKET_ID_IN_USE = 0x91
    QUOTA_EXCEEDED = 0x97
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


class UnsubAckReasonCode(IntEnum):
    """What an UNSUBACK can say."""

    SUCCESS = 0
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED_ERROR = 0x80
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    NOT_AUTHORIZED = 0x87
    TOPIC_FILTER_INVALID = 0x8F
    PACKET_ID_IN_USE = 0x91


class DisconnectReasonCode(IntEnum):
    """What a DISCONNECT can say."""

    NORMAL_DISCONNECTION = 0
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    NOT_AUTHORIZED = 0x87
    SERVER_BUSY = 0x89
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    RECEIVE_MAX_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAX_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


class AuthReasonCode(IntEnum):
    """What an AUTH can say."""

    SUCCESS = 0
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19


Packet: TypeAlias = (
    ConnectPacket
    | ConnAckPacket
    | PublishPacket
    | PubAckPacket
    | PubRecPacket
    | PubRelPacket
    | PubCompPacket
    | SubscribePacket
    | SubAckPacket
    | UnsubscribePacket
    | UnsubAckPacket
    | PingReqPacket
    | PingRespPacket
    | DisconnectPacket
    | AuthPacket
)
"""Any packet."""
