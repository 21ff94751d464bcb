"""What outlives a connection: messages on their way, and subscriptions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ohmqtt.handles import UNANSWERED, Answered, PublishHandle, SubscribeHandle, UnsubscribeHandle
from ohmqtt.mqtt_spec import MQTTQoS
from ohmqtt.property import MQTTPublishProps
from ohmqtt.subscriptions import RetainPolicy, SubscribeCallback, Subscriptions
from ohmqtt.topic_alias import AliasPolicy

if TYPE_CHECKING:
    from ohmqtt._native import Engine

__all__ = ["Session"]


class Session:
    """The half of a `Client` that does not need a connection."""

    __slots__ = ("__weakref__", "_engine", "subscriptions")

    subscriptions: Subscriptions
    """What there is a callback for."""

    def __init__(self, engine: Engine) -> None:
        """Publish and subscribe by means of `engine`."""
        self._engine = engine
        self.subscriptions = Subscriptions(engine)

    def publish(
        self,
        topic: str,
        payload: bytes | bytearray | str,
        *,
        qos: int | MQTTQoS = MQTTQoS.Q0,
        retain: bool = False,
        properties: MQTTPublishProps | None = None,
        alias_policy: AliasPolicy = AliasPolicy.NEVER,
    ) -> PublishHandle:
        """Publish a message, and return the handle that waits for its acknowledgement.

        At QoS 1 and 2 it is kept until it is acknowledged, also while there is no connection. At QoS 0 it is sent if
        there is one, else dropped. A str is sent as UTF-8.

        Raises ValueError for a topic or a value that cannot be sent, MQTTError for what the server has said it does
        not support and when no more can be kept (QuotaExceeded), MaxOutboundAliasError if `alias_policy` demands an
        alias and none is left, StoreError if the database could not keep it.
        """
        if type(payload) is not bytes:
            payload = payload.encode() if isinstance(payload, str) else bytes(payload)
        ticket = self._engine.publish(topic, payload, qos, retain, properties or None, alias_policy)
        return UNANSWERED if ticket is None else Answered(ticket)

    def subscribe(
        self,
        topic_filter: str,
        callback: SubscribeCallback,
        max_qos: int | MQTTQoS = MQTTQoS.Q2,
        *,
        share_name: str | None = None,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_policy: RetainPolicy = RetainPolicy.ALWAYS,
        sub_id: int | None = None,
        user_properties: Sequence[tuple[str, str]] | None = None,
    ) -> SubscribeHandle:
        """Have `callback` called, in the loop, with this client and each message that matches.

        It may be called before there is a connection, and holds over all connections until `unsubscribe`. The same
        filter again takes the place of what was there, whose handle gets a ReconfiguredError if it still waits.

        A message is acknowledged when its callback has returned; what it raises is logged. `share_name`, or a filter
        `$share/NAME/...`, shares the messages among all clients of that name. `sub_id` is shown in the messages'
        `SubscriptionIdentifier`.

        The packet is shown without what belongs to one connection: its `packet_id` is 0 and its `dup` False.

        Raises ValueError for a filter that is none.
        """
        return self.subscriptions.add(
            topic_filter,
            callback,
            share_name=share_name,
            max_qos=int(max_qos),
            no_local=no_local,
            retain_as_published=retain_as_published,
            retain_policy=int(retain_policy),
            sub_id=sub_id,
            user_properties=user_properties,
        )

    def unsubscribe(
        self,
        topic_filter: str,
        callback: object = None,  # noqa: ARG002
        *,
        share_name: str | None = None,
    ) -> UnsubscribeHandle | None:
        """End a subscription: its callback is not called any more. None if there is none.

        `callback` is not looked at: a filter has one.
        """
        return self.subscriptions.remove(topic_filter, share_name)
