"""A client over AnyIO streams, on asyncio or Trio: subscribes, publishes once at each QoS, prints what comes back.

The session does no I/O; AnyIO does all of it. From ohmqtt-py/, with anyio installed:

    python -m examples.sansio_anyio --address localhost:1883
"""

from __future__ import annotations

import argparse
import math

import anyio
from anyio.abc import ByteStream

from ohmqtt.codec import ConnectPacket, QoS
from ohmqtt.sansio import Acked, ClientSession, Connected, Disconnected, Message, Received, Sent, Subscribed

TOPIC = "ohmqtt/examples/sansio_anyio"


def act(session: ClientSession, came: list[str]) -> None:
    """Do what the application does, for all that has happened."""
    for event in session.events():
        match event:
            case Connected():
                session.subscribe(TOPIC)
            case Subscribed():
                for qos in QoS:
                    message = Message(TOPIC, f"hello at QoS {qos.value}".encode(), qos=qos)
                    session.publish(message, now=anyio.current_time())
            case Received(message, receipt):
                came.append(message.payload.decode())
                print(f"{message.topic}: {came[-1]}")
                if receipt is not None:
                    session.acknowledge(receipt)
                if len(came) == len(QoS):
                    session.disconnect()
            case Sent() | Acked():
                pass
            case Disconnected(_, text):
                print(text)
            case _:
                print(event)


async def run(session: ClientSession, stream: ByteStream) -> None:
    """Carry bytes and time between the session and the stream until either ends."""
    came: list[str] = []
    session.connection_made(anyio.current_time())
    while True:
        act(session, came)
        if data := session.data_to_send(anyio.current_time()):
            await stream.send(data)
            continue  # what has left may have made events
        if session.should_close:
            break
        deadline = session.next_timeout()
        with anyio.CancelScope(deadline=math.inf if deadline is None else deadline) as waiting:
            try:
                session.receive(await stream.receive(), anyio.current_time())
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                break
        if waiting.cancelled_caught:
            session.handle_timeout(anyio.current_time())
    session.connection_lost(anyio.current_time())
    act(session, came)


async def connect(address: str) -> None:
    """Connect to the broker at host:port."""
    host, _, port = address.rpartition(":")
    # An empty client_id: the server chooses one.
    session = ClientSession(ConnectPacket("", clean_start=True, keep_alive=60))
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await run(session, stream)


def main() -> None:
    """Connect to the broker that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", default="localhost:1883", help="host:port of a broker (default: %(default)s)")
    parser.add_argument("--backend", default="asyncio", choices=["asyncio", "trio"])
    arguments = parser.parse_args()
    anyio.run(connect, arguments.address, backend=arguments.backend)


if __name__ == "__main__":
    main()
