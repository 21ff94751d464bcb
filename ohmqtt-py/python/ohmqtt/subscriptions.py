"""What a client is subscribed to, and the callback of each subscription."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from ohmqtt.handles import Answered, SubscribeHandle, UnsubscribeHandle
from ohmqtt.packet import MQTTPublishPacket, MQTTUnsubAckPacket
from ohmqtt.topic_filter import join_share, split_share

if TYPE_CHECKING:
    from ohmqtt._native import Engine, Subscribed
    from ohmqtt.client import Client

__all__ = [
    "NoMatchingSubscriptionError",
    "ReconfiguredError",
    "RetainPolicy",
    "SubscribeCallback",
    "Subscription",
    "Subscriptions",
]

SubscribeCallback: TypeAlias = Callable[["Client", MQTTPublishPacket], None]
"""What is called with each message. What it raises is logged, and the message is acknowledged all the same."""


class RetainPolicy(IntEnum):
    """When the server sends the messages it has retained."""

    ALWAYS = 0
    """At each subscribing."""
    ONCE = 1
    """When the subscription is new."""
    NEVER = 2
    """Not at all."""


class ReconfiguredError(Exception):
    """The filter was subscribed to again before the server had answered."""


class NoMatchingSubscriptionError(Exception):
    """No subscription matches. Kept for programs that name it; nothing raises it."""


class Subscription:
    """One topic filter, and the callback that gets what it matches."""

    __slots__ = ("callback", "engine_side", "numbers", "sub_id", "topic_filter")

    def __init__(
        self, topic_filter: str, callback: SubscribeCallback, engine_side: Subscribed, sub_id: int | None
    ) -> None:
        """`topic_filter` is whole, with its `$share/NAME/` if it is shared."""
        self.topic_filter = topic_filter
        self.callback = callback
        self.engine_side = engine_side
        self.sub_id = sub_id
        self.numbers = [engine_side.number]


class Subscriptions:
    """The subscriptions of one client: one for each filter and share name. Any thread may call it."""

    __slots__ = ("__weakref__", "_by_filter", "_by_number", "_engine", "_lock")

    def __init__(self, engine: Engine) -> None:
        """Subscribe by means of `engine`."""
        self._engine = engine
        self._lock = threading.RLock()
        self._by_filter: dict[str, Subscription] = {}
        self._by_number: dict[int, Subscription] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_filter)

    def add(
        self,
        topic_filter: str,
        callback: SubscribeCallback,
        *,
        share_name: str | None,
        max_qos: int,
        no_local: bool,
        retain_as_published: bool,
        retain_policy: int,
        sub_id: int | None,
        user_properties: Sequence[tuple[str, str]] | None,
    ) -> SubscribeHandle:
        """Subscribe, in the place of what there is for the same filter and share name."""
        whole = whole_filter(topic_filter, share_name)
        if sub_id is not None and not 1 <= sub_id <= MAX_SUB_ID:
            raise ValueError(f"sub_id: {sub_id} is not from 1 to {MAX_SUB_ID}")
        with self._lock:
            before = self._by_filter.get(whole)
            engine_side = self._engine.subscribe(
                whole,
                max_qos,
                no_local,
                retain_as_published,
                retain_policy,
                user_properties,
                before.engine_side if before is not None else None,
            )
            subscription = Subscription(whole, callback, engine_side, sub_id)
            if before is not None:
                before.engine_side.give_up(ReconfiguredError(f"'{whole}' was subscribed to again"))
                # What came for the one before goes to the callback that is wanted now.
                self._by_number.pop(before.numbers[0], None)
                subscription.numbers.insert(0, before.numbers[-1])
            self._by_filter[whole] = subscription
            for number in subscription.numbers:
                self._by_number[number] = subscription
        own = weakref.ref(self)

        def leave() -> UnsubscribeHandle | None:
            subscriptions = own()
            return None if subscriptions is None else subscriptions.remove_this(subscription)

        return SubscribeHandle(engine_side.ticket(), leave)

    def remove(self, topic_filter: str, share_name: str | None) -> UnsubscribeHandle | None:
        """Unsubscribe; None if there is no such subscription."""
        with self._lock:
            subscription = self._by_filter.get(whole_filter(topic_filter, share_name))
            return None if subscription is None else self.remove_this(subscription)

    def remove_this(self, subscription: Subscription) -> UnsubscribeHandle | None:
        """Unsubscribe; None if it has ended already."""
        with self._lock:
            if self._by_filter.get(subscription.topic_filter) is not subscription:
                return None
            del self._by_filter[subscription.topic_filter]
            for number in subscription.numbers:
                self._by_number.pop(number, None)
        return Answered[MQTTUnsubAckPacket](subscription.engine_side.unsubscribe())

    def find(self, number: int) -> Subscription | None:
        """Look up the subscription that the engine knows by this number; None if it has ended."""
        found = self._by_number.get(number)
        if found is None:
            # It may just be under way into the table.
            with self._lock:
                found = self._by_number.get(number)
        return found


MAX_SUB_ID = 268_435_455
"""The largest subscription identifier (section 3.8.2.1.2)."""


def whole_filter(topic_filter: str, share_name: str | None) -> str:
    """Give the filter with its share name, which may be given in either way, but not in both."""
    if share_name is None:
        return topic_filter
    if split_share(topic_filter)[1] is not None:
        raise ValueError(f"'{topic_filter}' has a share name already: leave share_name out")
    return join_share(topic_filter, share_name)
