"""Measures `ohmqtt.codec`, with `--peers` against mqtt5, in interleaved rounds of one process.

Prints `name=number` for each kind of work: nanoseconds of CPU time per packet, and `..._ratio`, the median over the
rounds of ours to mqtt5's. Reading one packet is from a memoryview, reading many from the bytes of a thousand, beside
mqtt5's reading of one; writing is constructing and writing.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from types import ModuleType

from ohmqtt import codec

ROUNDS = 15
LOOPS = 4000
MANY = 1000

Make = Callable[[ModuleType], Callable[[], object]]


def connect(of: ModuleType) -> Callable[[], object]:
    """Write a CONNECT with credentials, a will and properties."""
    connect_packet, will, user = of.ConnectPacket, of.Will, [("k", "v")]
    qos = of.QoS.AT_LEAST_ONCE
    return lambda: connect_packet(
        "client-0123456789",
        username="user",
        password=b"password",
        clean_start=True,
        will=will("last/words", payload=b"goodbye", qos=qos, retain=True),
        keep_alive=60,
        session_expiry_interval=3600,
        receive_max=100,
        user_properties=user,
    ).write()


def publish(of: ModuleType) -> Callable[[], object]:
    """Write a PUBLISH of QoS 1 with 256 bytes."""
    publish_packet, qos, payload = of.PublishPacket, of.QoS.AT_LEAST_ONCE, b"x" * 256
    return lambda: publish_packet("foo/bar/1234", payload, qos=qos, packet_id=1234).write()


def subscribe(of: ModuleType) -> Callable[[], object]:
    """Write a SUBSCRIBE with three filters."""
    subscribe_packet, topic_filter, qos = of.SubscribePacket, of.TopicFilter, of.QoS.AT_LEAST_ONCE
    return lambda: subscribe_packet(
        1234,
        [topic_filter("foo/bar/+", max_qos=qos), topic_filter("foo/#"), topic_filter("a/b", no_local=True)],
    ).write()


def simple(name: str, *args: object, **keys: object) -> Make:
    """Write a packet of these arguments."""

    def make(of: ModuleType) -> Callable[[], object]:
        packet = getattr(of, name)
        return lambda: packet(*args, **keys).write()

    return make


def codes(name: str, enum: str, *members: str) -> Make:
    """Write an acknowledgement of several reason codes."""

    def make(of: ModuleType) -> Callable[[], object]:
        packet, reasons = getattr(of, name), [getattr(getattr(of, enum), member) for member in members]
        return lambda: packet(1234, reasons).write()

    return make


PACKETS: dict[str, Make] = {
    "publish": publish,
    "connect": connect,
    "subscribe": subscribe,
    "connack": simple("ConnAckPacket", session_present=True, assigned_client_id="client-1", receive_max=20),
    "puback": simple("PubAckPacket", 1234),
    "pubrec": simple("PubRecPacket", 1234),
    "pubrel": simple("PubRelPacket", 1234),
    "pubcomp": simple("PubCompPacket", 1234),
    "suback": codes(
        "SubAckPacket", "SubAckReasonCode", "GRANTED_QOS_AT_LEAST_ONCE", "GRANTED_QOS_EXACTLY_ONCE", "NOT_AUTHORIZED"
    ),
    "unsubscribe": simple("UnsubscribePacket", 1234, ["foo/bar/+", "foo/#", "a/b"]),
    "unsuback": codes("UnsubAckPacket", "UnsubAckReasonCode", "SUCCESS", "SUCCESS", "NOT_AUTHORIZED"),
    "pingreq": simple("PingReqPacket"),
    "pingresp": simple("PingRespPacket"),
    "disconnect": simple("DisconnectPacket", reason_str="bye"),
    "auth": simple("AuthPacket", authentication_method="SCRAM-SHA-1", authentication_data=b"data"),
}
"""What is constructed and written, by its name."""


def timed(call: Callable[[], object], loops: int) -> float:
    """Tell the nanoseconds of CPU time per call."""
    numbers = range(loops)
    began = time.process_time_ns()
    for _ in numbers:
        call()
    return (time.process_time_ns() - began) / loops


def reader(of: ModuleType, data: bytes) -> Callable[[], object]:
    """Read the packet that these bytes are."""
    read, buffer = of.read, memoryview(data)
    return lambda: read(buffer)


def compare(name: str, ours: Callable[[], float], peer: Callable[[], float] | None) -> list[str]:
    """Time both by turns, first the one and then the other."""
    pairs = []
    for number in range(ROUNDS):
        if number % 2 and peer is not None:
            other = peer()
            pairs.append((ours(), other))
        else:
            pairs.append((ours(), peer() if peer is not None else 1.0))
    lines = [f"{name}={median(pair[0] for pair in pairs):.1f}"]
    if peer is not None:
        lines.append(f"{name}_ratio={median(pair[0] / pair[1] for pair in pairs):.4f}")
    return lines


def main() -> None:
    """Measure all kinds of packets."""
    peers = "--peers" in sys.argv[1:]
    if peers:
        import mqtt5 as other
    else:
        other = None
    lines = []
    for name, make in PACKETS.items():
        data = make(codec)()
        assert isinstance(data, bytes)
        mine, read_mine = make(codec), reader(codec, data)
        many = data * MANY
        works = {
            "write": (lambda mine=mine: timed(mine, LOOPS), make),
            "read": (lambda read=read_mine: timed(read, LOOPS), lambda of, data=data: reader(of, data)),
            "many": (
                lambda many=many: timed(lambda: codec.read_many(many), 4) / MANY,
                lambda of, data=data: reader(of, data),
            ),
        }
        for work, (ours, theirs) in works.items():
            call = theirs(other) if other is not None else None
            lines += compare(f"{work}_{name}", ours, call and (lambda call=call: timed(call, LOOPS)))
    print(*lines)


main()
