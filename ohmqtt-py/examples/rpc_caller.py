"""Ask `examples.rpc_server`, which has to be running, and wait for its answers.

A request says where to answer (ResponseTopic), and what the answer shall bear to be known as its own (CorrelationData).
"""

from __future__ import annotations

from queue import Queue
from uuid import uuid4

from examples import args
from examples.rpc_server import TOPIC
from ohmqtt import Client, MQTTPublishPacket, MQTTPublishProps


def call(client: Client, text: str, timeout: float = 10.0) -> str:
    """Return the answer to `text`; `queue.Empty` when there is none within `timeout` seconds."""
    answers: Queue[MQTTPublishPacket] = Queue()
    request = uuid4()
    answer_topic = f"ohmqtt/examples/rpc/answers/{request}"
    # In place before the request is sent, so that no answer comes too early.
    client.subscribe(answer_topic, lambda _, packet: answers.put(packet)).wait_for_ack(timeout)
    try:
        properties = MQTTPublishProps(ResponseTopic=answer_topic, CorrelationData=request.bytes)
        client.publish(TOPIC, text, qos=2, properties=properties)
        answer = answers.get(timeout=timeout)
        while answer.properties.CorrelationData != request.bytes:
            answer = answers.get(timeout=timeout)
        return answer.payload.decode()
    finally:
        client.unsubscribe(answer_topic)


def main() -> None:
    """Connect, and ask three times."""
    address = args.address(__doc__)
    with Client() as client:
        client.connect(address)
        client.wait_for_connect(timeout=10.0)
        for text in ("one", "two", "three"):
            print(f"{text} -> {call(client, text)}")


if __name__ == "__main__":
    main()
