"""MQTT 5 on a Rust engine.

`Client` is the client, and `help(ohmqtt.client)` a start.

`ohmqtt.aio` is a client for asyncio and Trio; `ohmqtt.codec` makes bytes of packets, and packets of bytes;
`ohmqtt.sansio` has sessions without I/O; `ohmqtt.broker` is a broker in the process.
`ohmqtt.packet` and `ohmqtt.property` are mutable packets and their properties, with `ohmqtt.topic_filter`,
`ohmqtt.serialization` and their kin around them.

A module is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ohmqtt._native import StoreError as StoreError
    from ohmqtt.client import Client as Client
    from ohmqtt.error import MQTTError as MQTTError
    from ohmqtt.handles import PublishHandle as PublishHandle
    from ohmqtt.handles import SubscribeHandle as SubscribeHandle
    from ohmqtt.handles import UnsubscribeHandle as UnsubscribeHandle
    from ohmqtt.logger import set_log_level as set_log_level
    from ohmqtt.mqtt_spec import MQTTQoS as MQTTQoS
    from ohmqtt.mqtt_spec import MQTTReasonCode as MQTTReasonCode
    from ohmqtt.packet import MQTTAuthPacket as MQTTAuthPacket
    from ohmqtt.packet import MQTTConnAckPacket as MQTTConnAckPacket
    from ohmqtt.packet import MQTTConnectPacket as MQTTConnectPacket
    from ohmqtt.packet import MQTTDisconnectPacket as MQTTDisconnectPacket
    from ohmqtt.packet import MQTTPacket as MQTTPacket
    from ohmqtt.packet import MQTTPingReqPacket as MQTTPingReqPacket
    from ohmqtt.packet import MQTTPingRespPacket as MQTTPingRespPacket
    from ohmqtt.packet import MQTTPubAckPacket as MQTTPubAckPacket
    from ohmqtt.packet import MQTTPubCompPacket as MQTTPubCompPacket
    from ohmqtt.packet import MQTTPublishPacket as MQTTPublishPacket
    from ohmqtt.packet import MQTTPubRecPacket as MQTTPubRecPacket
    from ohmqtt.packet import MQTTPubRelPacket as MQTTPubRelPacket
    from ohmqtt.packet import MQTTSubAckPacket as MQTTSubAckPacket
    from ohmqtt.packet import MQTTSubscribePacket as MQTTSubscribePacket
    from ohmqtt.packet import MQTTUnsubAckPacket as MQTTUnsubAckPacket
    from ohmqtt.packet import MQTTUnsubscribePacket as MQTTUnsubscribePacket
    from ohmqtt.persistence.base import LostMessageError as LostMessageError
    from ohmqtt.property import MQTTAuthProps as MQTTAuthProps
    from ohmqtt.property import MQTTConnAckProps as MQTTConnAckProps
    from ohmqtt.property import MQTTConnectProps as MQTTConnectProps
    from ohmqtt.property import MQTTDisconnectProps as MQTTDisconnectProps
    from ohmqtt.property import MQTTProperties as MQTTProperties
    from ohmqtt.property import MQTTPubAckProps as MQTTPubAckProps
    from ohmqtt.property import MQTTPubCompProps as MQTTPubCompProps
    from ohmqtt.property import MQTTPublishProps as MQTTPublishProps
    from ohmqtt.property import MQTTPubRecProps as MQTTPubRecProps
    from ohmqtt.property import MQTTPubRelProps as MQTTPubRelProps
    from ohmqtt.property import MQTTSubAckProps as MQTTSubAckProps
    from ohmqtt.property import MQTTSubscribeProps as MQTTSubscribeProps
    from ohmqtt.property import MQTTUnsubAckProps as MQTTUnsubAckProps
    from ohmqtt.property import MQTTUnsubscribeProps as MQTTUnsubscribeProps
    from ohmqtt.property import MQTTWillProps as MQTTWillProps
    from ohmqtt.subscriptions import RetainPolicy as RetainPolicy
    from ohmqtt.topic_alias import AliasPolicy as AliasPolicy
    from ohmqtt.topic_alias import MaxOutboundAliasError as MaxOutboundAliasError

    __version__: str
    __version_info__: tuple[int, ...]

_NAMES = {
    "_native": "StoreError",
    "client": "Client",
    "error": "MQTTError",
    "handles": "PublishHandle SubscribeHandle UnsubscribeHandle",
    "logger": "set_log_level",
    "mqtt_spec": "MQTTQoS MQTTReasonCode",
    "packet": """MQTTAuthPacket MQTTConnAckPacket MQTTConnectPacket MQTTDisconnectPacket MQTTPacket MQTTPingReqPacket
        MQTTPingRespPacket MQTTPubAckPacket MQTTPubCompPacket MQTTPubRecPacket MQTTPubRelPacket MQTTPublishPacket
        MQTTSubAckPacket MQTTSubscribePacket MQTTUnsubAckPacket MQTTUnsubscribePacket""",
    "persistence.base": "LostMessageError",
    "property": """MQTTAuthProps MQTTConnAckProps MQTTConnectProps MQTTDisconnectProps MQTTProperties MQTTPubAckProps
        MQTTPubCompProps MQTTPubRecProps MQTTPubRelProps MQTTPublishProps MQTTSubAckProps MQTTSubscribeProps
        MQTTUnsubAckProps MQTTUnsubscribeProps MQTTWillProps""",
    "subscriptions": "RetainPolicy",
    "topic_alias": "AliasPolicy MaxOutboundAliasError",
}
"""The names of this module, by the module that defines them."""

_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}

# Type checkers know the names above and no other.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import what is asked for."""
        from importlib import import_module

        if name in _MODULES:
            value: Any = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        elif name in _NAMES:
            value = import_module(f"{__name__}.{name}")
        elif name == "__version__":
            value = import_module("importlib.metadata").version(__name__)
        elif name == "__version_info__":
            value = tuple(int(part) for part in __getattr__("__version__").split(".") if part.isdecimal())
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List also what is not imported yet."""
    return sorted({*globals(), *_MODULES, *_NAMES, "__version__", "__version_info__"})
