"""A client over a plain socket: subscribes, publishes once at each QoS, prints what comes back, and leaves.

The session does no I/O; this file has all of it, and no thread. From ohmqtt-py/:

    python -m examples.sansio_sockets --address localhost:1883
"""

from __future__ import annotations

import argparse
import socket
import time

from ohmqtt.codec import ConnectPacket, QoS
from ohmqtt.sansio import Acked, ClientSession, Connected, Disconnected, Message, Received, Sent, Subscribed

TOPIC = "ohmqtt/examples/sansio_sockets"


def act(session: ClientSession, came: list[str]) -> None:
    """Do what the application does, for all that has happened."""
    for event in session.events():
        match event:
            case Connected():
                session.subscribe(TOPIC)
            case Subscribed():
                for qos in QoS:
                    session.publish(Message(TOPIC, f"hello at QoS {qos.value}".encode(), qos=qos), now=time.monotonic())
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


def run(session: ClientSession, sock: socket.socket) -> None:
    """Carry bytes and time between the session and the socket until either ends."""
    came: list[str] = []
    session.connection_made(time.monotonic())
    while True:
        act(session, came)
        if data := session.data_to_send(time.monotonic()):
            sock.sendall(data)
            continue  # what has left may have made events
        if session.should_close:
            break
        deadline = session.next_timeout()
        sock.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
        try:
            data = sock.recv(65536)
        except TimeoutError:
            session.handle_timeout(time.monotonic())
            continue
        if not data:
            break
        session.receive(data, time.monotonic())
    session.connection_lost(time.monotonic())
    act(session, came)


def main() -> None:
    """Connect to the broker that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", default="localhost:1883", help="host:port of a broker (default: %(default)s)")
    host, _, port = parser.parse_args().address.rpartition(":")
    # An empty client_id: the server chooses one.
    session = ClientSession(ConnectPacket("", clean_start=True, keep_alive=60))
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        run(session, sock)


if __name__ == "__main__":
    main()
