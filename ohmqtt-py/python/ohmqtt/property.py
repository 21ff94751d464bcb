"""The properties of packets: one class for each packet, and one for a will.

    >>> from ohmqtt.property import MQTTPublishProps
    >>> props = MQTTPublishProps(ContentType="text/plain", UserProperty=[("unit", "K")])
    >>> props.ContentType, props.ResponseTopic, len(props)
    ('text/plain', None, 2)

They are set by keyword or as attributes, go out in the order in which they were set, and come in in the order they had:
`vars(props)` has them so. What may stand where is looked at when they are encoded and decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from ohmqtt._native import toolkit_decode_properties, toolkit_encode_properties
from ohmqtt.mqtt_spec import MQTTPacketType

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self, dataclass_transform
else:

    def dataclass_transform(**_options: Any) -> Callable[[Any], Any]:
        """Tell type checkers, and nobody else, that a class takes its attributes by keyword."""
        return lambda cls: cls


@dataclass_transform(kw_only_default=True)
class MQTTProperties(SimpleNamespace):
    """Properties. What is not set is `None`, `len()` is how many are set, and none is false.

    Equal are those with the same properties of the same values, of whatever packets they are.
    """

    valid_properties: ClassVar[frozenset[str]] = frozenset()
    """The names of those that the packet may have."""

    _place: ClassVar[int] = 0xFF
    """The number of the packet's type, 0 for a will."""

    def __init_subclass__(cls, *, place: int | None = None) -> None:
        """Take down where the properties stand, and which there are; what is derived from a packet's has the same."""
        if place is not None:
            cls._place = place
            cls.valid_properties = frozenset(cls.__annotations__)

    def __init__(self, **properties: Any) -> None:
        """Set these properties, in this order."""
        self.__dict__.update(properties)

    def encode(self) -> bytes:
        """Give the bytes of the properties with their length before them.

        ValueError for what may not stand in the packet, TypeError for a value of the wrong type.
        """
        return toolkit_encode_properties(self._place, self.__dict__)

    @classmethod
    def decode(cls, data: Buffer) -> tuple[Self, int]:
        """Read the properties at the front of a buffer: give them, and how many bytes they had.

        MQTTError for what is no block of properties, or has one that may not stand in the packet.
        """
        properties, size = toolkit_decode_properties(cls._place, data)
        if type(properties) is not cls:
            derived = cls.__new__(cls)
            derived.__dict__.update(vars(properties))
            return derived, size
        return properties, size

    def __len__(self) -> int:
        """Count the properties that are set."""
        return len(self.__dict__)

    def __bool__(self) -> bool:
        """Tell whether any is set."""
        return bool(self.__dict__)

    def __repr__(self) -> str:
        """Show the properties, without the data of an authentication."""
        return self._shown(repr)

    def __str__(self) -> str:
        """Show the properties, without the data of an authentication."""
        return self._shown(str)

    def _shown(self, show: Callable[[Any], str]) -> str:
        values = (
            (name, "<hidden>" if name == "AuthenticationData" else show(value)) for name, value in vars(self).items()
        )
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in values)})"


class MQTTConnectProps(MQTTProperties, place=MQTTPacketType.CONNECT):
    """The properties of a CONNECT, those of its will apart. Intervals are in seconds, sizes in bytes."""

    SessionExpiryInterval: int | None = None
    ReceiveMaximum: int | None = None
    MaximumPacketSize: int | None = None
    TopicAliasMaximum: int | None = None
    RequestResponseInformation: bool | None = None
    RequestProblemInformation: bool | None = None
    AuthenticationMethod: str | None = None
    AuthenticationData: bytes | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTConnAckProps(MQTTProperties, place=MQTTPacketType.CONNACK):
    """The properties of a CONNACK: what the server allows, and what it chose. Intervals in seconds, sizes in bytes."""

    SessionExpiryInterval: int | None = None
    ReceiveMaximum: int | None = None
    MaximumQoS: int | None = None
    RetainAvailable: bool | None = None
    MaximumPacketSize: int | None = None
    AssignedClientIdentifier: str | None = None
    TopicAliasMaximum: int | None = None
    ReasonString: str | None = None
    WildcardSubscriptionAvailable: bool | None = None
    SubscriptionIdentifierAvailable: bool | None = None
    SharedSubscriptionAvailable: bool | None = None
    ServerKeepAlive: int | None = None
    ResponseInformation: str | None = None
    ServerReference: str | None = None
    AuthenticationMethod: str | None = None
    AuthenticationData: bytes | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTPublishProps(MQTTProperties, place=MQTTPacketType.PUBLISH):
    """The properties of a PUBLISH. MessageExpiryInterval is in seconds."""

    PayloadFormatIndicator: int | None = None
    MessageExpiryInterval: int | None = None
    ContentType: str | None = None
    ResponseTopic: str | None = None
    CorrelationData: bytes | None = None
    SubscriptionIdentifier: set[int] | None = None
    TopicAlias: int | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTWillProps(MQTTProperties, place=0):
    """The properties of a will. Intervals are in seconds."""

    PayloadFormatIndicator: int | None = None
    MessageExpiryInterval: int | None = None
    ContentType: str | None = None
    ResponseTopic: str | None = None
    CorrelationData: bytes | None = None
    WillDelayInterval: int | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTPubAckProps(MQTTProperties, place=MQTTPacketType.PUBACK):
    """The properties of a PUBACK."""

    ReasonString: str | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTPubRecProps(MQTTProperties, place=MQTTPacketType.PUBREC):
    """The properties of a PUBREC."""

    ReasonString: str | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTPubRelProps(MQTTProperties, place=MQTTPacketType.PUBREL):
    """The properties of a PUBREL."""

    ReasonString: str | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTPubCompProps(MQTTProperties, place=MQTTPacketType.PUBCOMP):
    """The properties of a PUBCOMP."""

    ReasonString: str | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTSubscribeProps(MQTTProperties, place=MQTTPacketType.SUBSCRIBE):
    """The properties of a SUBSCRIBE, of which SubscriptionIdentifier has one number."""

    SubscriptionIdentifier: set[int] | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTSubAckProps(MQTTProperties, place=MQTTPacketType.SUBACK):
    """The properties of a SUBACK."""

    ReasonString: str | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTUnsubscribeProps(MQTTProperties, place=MQTTPacketType.UNSUBSCRIBE):
    """The properties of an UNSUBSCRIBE."""

    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTUnsubAckProps(MQTTProperties, place=MQTTPacketType.UNSUBACK):
    """The properties of an UNSUBACK."""

    ReasonString: str | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTDisconnectProps(MQTTProperties, place=MQTTPacketType.DISCONNECT):
    """The properties of a DISCONNECT. SessionExpiryInterval is in seconds."""

    SessionExpiryInterval: int | None = None
    ReasonString: str | None = None
    ServerReference: str | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None


class MQTTAuthProps(MQTTProperties, place=MQTTPacketType.AUTH):
    """The properties of an AUTH."""

    ReasonString: str | None = None
    AuthenticationMethod: str | None = None
    AuthenticationData: bytes | None = None
    UserProperty: Sequence[tuple[str, str]] | None = None
