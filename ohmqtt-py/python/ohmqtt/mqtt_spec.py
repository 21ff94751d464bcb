"""The numbers and names of MQTT 5.0."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from ohmqtt._native import toolkit_reason_codes

MAX_PACKET_ID: Final = 0xFFFF
"""The largest packet identifier; the smallest is 1."""


class MQTTPacketType(IntEnum):
    """The types of control packets."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class MQTTQoS(IntEnum):
    """Quality of service: at most once, at least once, exactly once."""

    Q0 = 0
    Q1 = 1
    Q2 = 2


class MQTTPropertyId(IntEnum):
    """The properties, by their identifiers on the wire."""

    PayloadFormatIndicator = 0x01
    MessageExpiryInterval = 0x02
    ContentType = 0x03
    ResponseTopic = 0x08
    CorrelationData = 0x09
    SubscriptionIdentifier = 0x0B
    SessionExpiryInterval = 0x11
    AssignedClientIdentifier = 0x12
    ServerKeepAlive = 0x13
    AuthenticationMethod = 0x15
    AuthenticationData = 0x16
    RequestProblemInformation = 0x17
    WillDelayInterval = 0x18
    RequestResponseInformation = 0x19
    ResponseInformation = 0x1A
    ServerReference = 0x1C
    ReasonString = 0x1F
    ReceiveMaximum = 0x21
    TopicAliasMaximum = 0x22
    TopicAlias = 0x23
    MaximumQoS = 0x24
    RetainAvailable = 0x25
    UserProperty = 0x26
    MaximumPacketSize = 0x27
    WildcardSubscriptionAvailable = 0x28
    SubscriptionIdentifierAvailable = 0x29
    SharedSubscriptionAvailable = 0x2A


class MQTTReasonCode(IntEnum):
    """How an operation ended; 0 has three names."""

    Success = 0x00
    NormalDisconnection = 0x00
    GrantedQoS0 = 0x00
    GrantedQoS1 = 0x01
    GrantedQoS2 = 0x02
    DisconnectWithWillMessage = 0x04
    NoMatchingSubscribers = 0x10
    NoSubscriptionExisted = 0x11
    ContinueAuthentication = 0x18
    ReAuthenticate = 0x19
    UnspecifiedError = 0x80
    MalformedPacket = 0x81
    ProtocolError = 0x82
    ImplementationSpecificError = 0x83
    UnsupportedProtocolVersion = 0x84
    ClientIdentifierNotValid = 0x85
    BadUserNameOrPassword = 0x86
    NotAuthorized = 0x87
    ServerUnavailable = 0x88
    ServerBusy = 0x89
    Banned = 0x8A
    ServerShuttingDown = 0x8B
    BadAuthenticationMethod = 0x8C
    KeepAliveTimeout = 0x8D
    SessionTakenOver = 0x8E
    TopicFilterInvalid = 0x8F
    TopicNameInvalid = 0x90
    PacketIdentifierInUse = 0x91
    PacketIdentifierNotFound = 0x92
    ReceiveMaximumExceeded = 0x93
    TopicAliasInvalid = 0x94
    PacketTooLarge = 0x95
    MessageRateTooHigh = 0x96
    QuotaExceeded = 0x97
    AdministrativeAction = 0x98
    PayloadFormatInvalid = 0x99
    RetainNotSupported = 0x9A
    QoSNotSupported = 0x9B
    UseAnotherServer = 0x9C
    ServerMoved = 0x9D
    SharedSubscriptionsNotSupported = 0x9E
    ConnectionRateExceeded = 0x9F
    MaximumConnectTime = 0xA0
    SubscriptionIdentifiersNotSupported = 0xA1
    WildcardSubscriptionsNotSupported = 0xA2

    def is_error(self) -> bool:
        """Tell whether it is of a failure: those from 0x80 on are."""
        return self >= 0x80


def _reason_codes(packet: MQTTPacketType) -> frozenset[MQTTReasonCode]:
    return frozenset(map(MQTTReasonCode, toolkit_reason_codes(packet)))


CONNACK_REASON_CODES: Final = _reason_codes(MQTTPacketType.CONNACK)
PUBACK_REASON_CODES: Final = _reason_codes(MQTTPacketType.PUBACK)
PUBREC_REASON_CODES: Final = _reason_codes(MQTTPacketType.PUBREC)
PUBREL_REASON_CODES: Final = _reason_codes(MQTTPacketType.PUBREL)
PUBCOMP_REASON_CODES: Final = _reason_codes(MQTTPacketType.PUBCOMP)
SUBACK_REASON_CODES: Final = _reason_codes(MQTTPacketType.SUBACK)
UNSUBACK_REASON_CODES: Final = _reason_codes(MQTTPacketType.UNSUBACK)
DISCONNECT_REASON_CODES: Final = _reason_codes(MQTTPacketType.DISCONNECT)
AUTH_REASON_CODES: Final = _reason_codes(MQTTPacketType.AUTH)
