"""A client and a server session joined by memory, with bytes cut at random and a clock of the test's own."""

from __future__ import annotations

import random
from collections.abc import Callable

from ohmqtt.codec import ConnectPacket
from ohmqtt.sansio import (
    ClientEvent,
    ClientSession,
    ConnectRequest,
    Flows,
    Message,
    Received,
    ServerEvent,
    ServerSession,
    SubscribeRequest,
    UnsubscribeRequest,
    Verify,
)

CONNECT = ConnectPacket("c", clean_start=True, keep_alive=60, session_expiry_interval=3600)
SIZES = (1, 2, 3, 7, 50, 1000, 100_000)


class Pair:
    """What each side does with an event can be put in other hands: `on_client` and `on_server`."""

    def __init__(
        self,
        client: ClientSession | None = None,
        server: ServerSession | None = None,
        *,
        seed: int = 0,
        flows: Flows | None = None,
        now: float = 1000.0,
    ) -> None:
        self.client = client or ClientSession(CONNECT)
        self.server = server or ServerSession()
        self.random = random.Random(seed)
        self.flows = flows
        self.now = now
        self.on_client: Callable[[ClientEvent], object] = self.take
        self.on_server: Callable[[ServerEvent], object] = self.serve
        self.told_client: list[ClientEvent] = []
        self.told_server: list[ServerEvent] = []

    def connect(self) -> None:
        self.client.connection_made(self.now)
        self.server.connection_made(self.now)
        self.run()

    def take(self, event: ClientEvent) -> None:
        match event:
            case Received(_, receipt) if receipt is not None:
                self.client.acknowledge(receipt)
            case Verify():
                self.client.verified()

    def serve(self, event: ServerEvent) -> None:
        match event:
            case ConnectRequest():
                self.server.accept(flows=self.flows)
            case SubscribeRequest(packet):
                self.server.suback(packet, [each.max_qos for each in packet.topic_filters])
            case UnsubscribeRequest(packet):
                self.server.unsuback(packet, [0] * len(packet.patterns))
            case Received(_, receipt) if receipt is not None:
                self.server.acknowledge(receipt)

    def run(self) -> None:
        """Go on until nothing moves."""
        while self.step():
            pass

    def step(self) -> bool:
        moved = self.carry(self.client, self.server)
        for to_server in self.server.events():
            moved = True
            self.told_server.append(to_server)
            self.on_server(to_server)
        moved |= self.carry(self.server, self.client)
        for to_client in self.client.events():
            moved = True
            self.told_client.append(to_client)
            self.on_client(to_client)
        return moved

    def carry(self, source: ClientSession | ServerSession, target: ClientSession | ServerSession) -> bool:
        data = source.data_to_send(self.now)
        rest = memoryview(data)
        while rest:
            size = self.random.choice(SIZES)
            kind = self.random.choice([bytes, bytearray, memoryview])
            target.receive(kind(rest[:size]), self.now)
            rest = rest[size:]
        return bool(data)

    def cut(self) -> None:
        """End the stream; what was under way is gone."""
        for side in (self.client, self.server):
            side.connection_lost(self.now)
        self.told_client += self.client.events()
        self.told_server += self.server.events()

    def came_to_client(self) -> list[Message]:
        return [event.message for event in self.told_client if isinstance(event, Received)]

    def came_to_server(self) -> list[Message]:
        return [event.message for event in self.told_server if isinstance(event, Received)]
