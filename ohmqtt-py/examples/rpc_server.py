"""Answer the requests of `examples.rpc_caller`, until Ctrl-C.

The loop runs in the main thread, and the callback publishes the answer.
"""

from __future__ import annotations

from examples import args
from ohmqtt import Client, MQTTPublishPacket, MQTTPublishProps

TOPIC = "ohmqtt/examples/rpc/upper"


def answer(client: Client, request: MQTTPublishPacket) -> None:
    """Publish the answer on the topic that the request asks for it on."""
    to = request.properties.ResponseTopic
    if to is None:
        print("a request that says no topic to answer on")
        return
    properties = MQTTPublishProps()
    if request.properties.CorrelationData is not None:
        properties.CorrelationData = request.properties.CorrelationData
    text = request.payload.decode(errors="replace")
    client.publish(to, text.upper(), qos=2, properties=properties)
    print(f"answered {text!r}")


def main() -> None:
    """Connect, subscribe, and run the loop."""
    client = Client()
    client.connect(args.address(__doc__), reconnect_delay=1)
    client.loop_until_connected(timeout=10.0)
    handle = client.subscribe(TOPIC, answer)
    while handle.ack is None:
        client.loop_once(max_wait=1.0)
    print(f"answering on {TOPIC}", flush=True)
    try:
        client.loop_forever()
    except KeyboardInterrupt:
        client.disconnect()
        client.wait_for_disconnect(timeout=10.0)
    finally:
        client.shutdown()


if __name__ == "__main__":
    main()
