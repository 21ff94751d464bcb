"""Topic aliases: numbers in place of topic names, for one connection and one direction."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTReasonCode

if TYPE_CHECKING:
    from ohmqtt.packet import MQTTPublishPacket


class MaxOutboundAliasError(Exception):
    """A message had to go out with an alias, and the server takes no more of them."""


class AliasPolicy(IntEnum):
    """When a message goes out with a topic alias.

    NEVER: the topic is sent each time.

    TRY: an alias is used where the server takes one more, or has it already.

    ALWAYS: as TRY, and where there is no alias left the message is not sent: MaxOutboundAliasError.
    """

    NEVER = 0
    TRY = 1
    ALWAYS = 2


class OutboundLookupResult(NamedTuple):
    """Which alias to send a topic with.

    0: none. With `existed` send the alias alone, without it the topic and the alias.
    """

    alias: int
    existed: bool


@dataclass(slots=True)
class OutboundTopicAlias:
    """The aliases that this side gives its topics. `max_alias` is what the other side takes, 0 when it takes none."""

    aliases: dict[str, int] = field(default_factory=dict)
    next_alias: int = field(default=1, init=False)
    max_alias: int = field(default=0, init=False)

    def lookup(self, topic: str, policy: AliasPolicy) -> OutboundLookupResult:
        """Give the alias of a topic, a new one where that is possible; MaxOutboundAliasError as the policy says."""
        if policy == AliasPolicy.NEVER:
            return OutboundLookupResult(0, existed=False)
        known = self.aliases.get(topic)
        if known is not None:
            return OutboundLookupResult(known, existed=True)
        if self.next_alias > self.max_alias:
            if policy == AliasPolicy.ALWAYS:
                message = f"no topic alias is left for {topic!r}: the server takes {self.max_alias} of them"
                raise MaxOutboundAliasError(message)
            return OutboundLookupResult(0, existed=False)
        alias = self.aliases[topic] = self.next_alias
        self.next_alias += 1
        return OutboundLookupResult(alias, existed=False)

    def pop(self) -> None:
        """Take back the alias that was given last, whose message was not sent after all."""
        if self.aliases:
            self.aliases.popitem()
            self.next_alias -= 1

    def reset(self) -> None:
        """Forget all aliases, as at each new connection. `max_alias` stays."""
        self.aliases.clear()
        self.next_alias = 1


@dataclass(slots=True)
class InboundTopicAlias:
    """The topics that the other side's aliases stand for. `max_alias` is what this side takes, 0 when it takes none."""

    aliases: dict[int, str] = field(default_factory=dict)
    max_alias: int = field(default=0, init=False)

    def handle(self, packet: MQTTPublishPacket) -> None:
        """Remember the topic that a packet gives its alias, or put in the topic that its alias stands for.

        MQTTError with TopicAliasInvalid when the alias is 0, over `max_alias`, or unknown.
        """
        alias = packet.properties.TopicAlias
        if alias is None:
            return
        if not 1 <= alias <= self.max_alias:
            message = f"topic alias {alias} is not from 1 to {self.max_alias}"
            raise MQTTError(message, MQTTReasonCode.TopicAliasInvalid)
        if packet.topic:
            self.aliases[alias] = packet.topic
        elif alias in self.aliases:
            packet.topic = self.aliases[alias]
        else:
            raise MQTTError(f"topic alias {alias} has no topic", MQTTReasonCode.TopicAliasInvalid)

    def reset(self) -> None:
        """Forget all aliases, as at each new connection. `max_alias` stays."""
        self.aliases.clear()
