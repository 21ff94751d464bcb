"""A store of messages that is gone with the process."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ohmqtt.handles import Handle, PublishHandle
from ohmqtt.mqtt_spec import MAX_PACKET_ID, MQTTQoS
from ohmqtt.packet import (
    MQTTPubAckPacket,
    MQTTPubCompPacket,
    MQTTPublishPacket,
    MQTTPubRecPacket,
    MQTTPubRelPacket,
)
from ohmqtt.persistence.base import (
    LostMessageError,
    Persistence,
    RenderedPacket,
    check_message,
    check_received,
    check_step,
    refusal,
)
from ohmqtt.property import MQTTPublishProps
from ohmqtt.topic_alias import AliasPolicy


@dataclass(slots=True)
class RetainedMessage:
    """A message that is not acknowledged. Its packet has the identifier 0 until it is sent for the first time."""

    packet: MQTTPublishPacket
    alias_policy: AliasPolicy
    handle: weakref.ref[PublishHandle]
    received: bool = False
    inflight: bool = False


class InMemoryPersistence(Persistence):
    """A store in memory."""

    __slots__ = ("_client_id", "_cond", "_last_id", "_last_packet_id", "_messages", "_packet_ids", "_received")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._cond = threading.Condition(threading.RLock())
        self._client_id: str | None = None
        self._messages: dict[int, RetainedMessage] = {}
        self._packet_ids: dict[int, int] = {}
        self._received: set[int] = set()
        self._last_id = 0
        self._last_packet_id = 0

    def __len__(self) -> int:
        """Count the messages that are not acknowledged."""
        return len(self._messages)

    def add(
        self,
        topic: str,
        payload: bytes,
        qos: MQTTQoS,
        retain: bool,
        properties: MQTTPublishProps,
        alias_policy: AliasPolicy,
    ) -> PublishHandle:
        """Store a message."""
        own = MQTTPublishProps(**vars(properties))
        packet = MQTTPublishPacket(topic, payload, MQTTQoS(qos), retain, MAX_PACKET_ID, own)
        check_message(packet, alias_policy)
        handle: PublishHandle = Handle(self._cond)
        with self._cond:
            self._last_id += 1
            packet.packet_id = 0
            self._messages[self._last_id] = RetainedMessage(packet, alias_policy, weakref.ref(handle))
        return handle

    def get(self, count: int) -> Sequence[int]:
        """Give the identifiers of at most so many messages that are to be sent now."""
        with self._cond:
            ready = [(number, message.received) for number, message in self._messages.items() if not message.inflight]
            ready.sort(key=lambda entry: not entry[1])
            return [number for number, _ in islice(ready, count)]

    def ack(self, packet: MQTTPubAckPacket | MQTTPubRecPacket | MQTTPubCompPacket) -> None:
        """Take an acknowledgement."""
        with self._cond:
            number = self._packet_ids.get(packet.packet_id)
            if number is None:
                raise ValueError(f"Unknown packet_id: {packet.packet_id}")
            message = self._messages[number]
            check_step(packet, message.packet.qos, message.received)
            error = refusal(packet)
            if isinstance(packet, MQTTPubRecPacket) and error is None:
                message.received, message.inflight = True, False
                return
            del self._messages[number], self._packet_ids[packet.packet_id]
            handle = message.handle()
            if handle is not None:
                handle.ack, handle.exc = packet, error
            self._cond.notify_all()

    def check_rec(self, packet: MQTTPublishPacket) -> bool:
        """Tell whether an incoming message of QoS 2 is new."""
        check_received(packet)
        return packet.packet_id not in self._received

    def set_rec(self, packet: MQTTPublishPacket) -> None:
        """Remember that an incoming message of QoS 2 was received."""
        check_received(packet)
        self._received.add(packet.packet_id)

    def rel(self, packet: MQTTPubRelPacket) -> None:
        """Forget an incoming message."""
        self._received.discard(packet.packet_id)

    def render(self, message_id: int) -> RenderedPacket:
        """Give the packet that is to be sent for a message."""
        with self._cond:
            message = self._messages[message_id]
            if message.packet.packet_id == 0:
                message.packet.packet_id = self._free_packet_id()
                self._packet_ids[message.packet.packet_id] = message_id
            message.inflight = True
            if message.received:
                return RenderedPacket(MQTTPubRelPacket(message.packet.packet_id), AliasPolicy.NEVER)
            properties = MQTTPublishProps(**vars(message.packet.properties))
            return RenderedPacket(replace(message.packet, properties=properties), message.alias_policy)

    def _free_packet_id(self) -> int:
        for ahead in range(MAX_PACKET_ID):
            packet_id = (self._last_packet_id + ahead) % MAX_PACKET_ID + 1
            if packet_id not in self._packet_ids:
                self._last_packet_id = packet_id
                return packet_id
        raise ValueError(f"all {MAX_PACKET_ID} packet identifiers are in use: wait for acknowledgements")

    def clear(self) -> None:
        """Forget everything."""
        with self._cond:
            for message in self._messages.values():
                handle = message.handle()
                if handle is not None:
                    handle.exc = LostMessageError("the message was lost with its session")
            self._messages.clear()
            self._packet_ids.clear()
            self._received.clear()
            self._cond.notify_all()

    def open(self, client_id: str, clear: bool = False) -> None:
        """Begin a connection."""
        with self._cond:
            if clear or self._client_id not in (None, client_id):
                self.clear()
            self._client_id = client_id
            for message in self._messages.values():
                if message.inflight:
                    message.inflight = False
                    message.packet.dup = True

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""
