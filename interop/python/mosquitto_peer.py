"""The commands mosquitto_pub and mosquitto_sub: `mosquitto_peer.py CA_FILE EXAMPLES URL...`, see `exchange.main`.

mosquitto_pub is a connection for each message, and ends when it is acknowledged.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import exchange
from exchange import Broker, Message, Publish, Receive, equal, line, program

# Of a message: topic, QoS, retained, content type, the one user property, payload in hexadecimal.
FORMAT = "message|%t|%q|%r|%C|%P|%x"


def command(name: str, broker: Broker, topic: str, qos: int) -> list[str]:
    words = [name, "-V", "mqttv5", "-h", broker.host, "-p", str(broker.port), "-t", topic, "-q", str(qos)]
    return words + (["--cafile", broker.ca] if broker.tls else [])


class Mosquitto:
    name = "mosquitto"

    @asynccontextmanager
    async def publisher(self, broker: Broker) -> AsyncIterator[Publish]:
        async def publish(message: Message) -> None:
            words = command("mosquitto_pub", broker, message.topic, message.qos)
            words += ["-r"] if message.retain else []
            words += ["-s"] if message.payload else ["-n"]
            if message.content_type:
                words += ["-D", "publish", "content-type", message.content_type]
            for key, value in message.user:
                words += ["-D", "publish", "user-property", key, value]
            async with program(*words, stdin=message.payload) as pub:
                equal(await pub.wait(), 0, "exit code of mosquitto_pub")

        yield publish

    @asynccontextmanager
    async def subscriber(self, broker: Broker, topic: str, qos: int) -> AsyncIterator[Receive]:
        async def receive() -> Message:
            said = await line(sub)
            while not said.startswith("message|"):
                said = await line(sub)
            _, topic, qos, retain, content_type, user, payload = said.split("|")
            key, _, value = user.partition(":")
            pairs = ((key, value),) if user else ()
            return Message(topic, bytes.fromhex(payload), int(qos), retain == "1", content_type or None, pairs)

        # With -d it says when it has subscribed; by stdbuf at once, and not with its first message.
        words = ["stdbuf", "-oL", *command("mosquitto_sub", broker, topic, qos), "-d", "-F", FORMAT]
        async with program(*words) as sub:
            said = await line(sub)
            while not said.startswith("Subscribed "):
                said = await line(sub)
            equal(said.rpartition(": ")[2], str(qos), "granted QoS")
            yield receive
            # It disconnects in order then.
            sub.terminate()
            await sub.wait()


if __name__ == "__main__":
    exchange.main(Mosquitto())
