"""What a client that somebody else has written is to do with a broker: subscribe and publish at each QoS, retained
messages, and messages from and to the client of this workspace. The same for each; how it is done stands with the peer.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

# Seconds until a check has failed.
DEADLINE = 20

# More than one read, and bytes that are no text.
LARGE = bytes(index * 31 % 256 for index in range(100_000))


@dataclass(frozen=True)
class Message:
    """A message as it is published, or as it came."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    content_type: str | None = None
    user: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Broker:
    """Where it is. At `mqtts` it is believed when it shows a certificate that the one in the file `ca` has signed."""

    url: str
    ca: str

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @property
    def tls(self) -> bool:
        return self.scheme == "mqtts"


Publish = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]


class Peer(Protocol):
    """A client that somebody else has written. Each connection is one of its own, in MQTT 5.0 with a clean start."""

    name: str

    def publisher(self, broker: Broker) -> AbstractAsyncContextManager[Publish]:
        """A function that publishes, and returns when the broker has acknowledged as the QoS has it."""
        ...

    def subscriber(self, broker: Broker, topic: str, qos: int) -> AbstractAsyncContextManager[Receive]:
        """A function that waits for the next message of a subscription, which the broker has acknowledged with `qos`."""
        ...


async def at_qos(peer: Peer, broker: Broker, topic: str, qos: int) -> None:
    """Text with properties, many bytes and none, in their order."""
    messages = [
        Message(topic, b"hello", qos, content_type="text/plain", user=(("from", peer.name),)),
        Message(topic, LARGE, qos),
        Message(topic, b"", qos),
    ]
    async with peer.subscriber(broker, topic, qos) as receive, peer.publisher(broker) as publish:
        for message in messages:
            await publish(message)
        for message in messages:
            equal(await receive(), message, "a message")


async def retained(peer: Peer, broker: Broker, topic: str) -> None:
    """A message is kept for later subscriptions, is an ordinary one for those that are there, and goes when it is removed."""
    kept = Message(topic, b"kept", 1, retain=True, content_type="text/plain", user=(("from", peer.name),))
    async with peer.publisher(broker) as publish:
        await publish(kept)
        async with peer.subscriber(broker, topic, 2) as receive:
            equal(await receive(), kept, "the retained message")
            await publish(replace(kept, payload=b"anew"))
            equal(await receive(), replace(kept, payload=b"anew", retain=False), "the message that replaces it")
        await publish(Message(topic, b"", 1, retain=True))
        async with peer.subscriber(broker, topic, 2) as receive:
            live = Message(topic, b"live", 1)
            await publish(live)
            equal(await receive(), live, "the first message after it was removed")


async def to_ours(peer: Peer, broker: Broker, topic: str, examples: Path) -> None:
    """Our example `subscribe` shows what the peer publishes."""
    user = (("from", peer.name),)
    async with peer.publisher(broker) as publish:
        # Who has received a retained message has subscribed.
        await publish(Message(topic, b"kept", 1, retain=True, user=user))
        async with program(examples / "subscribe", broker.url, topic) as ours:
            await shows(ours, f"{topic}: kept (AtLeastOnce, retained)", f"  from: {peer.name}")
            for qos, name in enumerate(["AtMostOnce", "AtLeastOnce", "ExactlyOnce"]):
                await publish(Message(topic, b"hello", qos, user=user))
                await shows(ours, f"{topic}: hello ({name})", f"  from: {peer.name}")
            ours.send_signal(signal.SIGINT)
            await shows(ours, "closed")
            equal(await ours.wait(), 0, "exit code of our subscriber")
        await publish(Message(topic, b"", 1, retain=True))


async def from_ours(peer: Peer, broker: Broker, topic: str, examples: Path) -> None:
    """The ten readings of our example `publish` reach the peer."""
    unit = (("unit", "degree Celsius"),)
    async with peer.subscriber(broker, topic, 2) as receive:
        async with program(examples / "publish", broker.url, topic) as ours:
            for tenth in range(1, 11):
                celsius = f"{20 + tenth / 10:.1f}"
                want = Message(topic, celsius.encode(), 1, content_type="text/plain", user=unit)
                equal(await receive(), want, "a reading")
                await shows(ours, f"{topic}: {celsius}: Success (0x00)")
            await shows(ours, "closed, 0 messages left")
            equal(await ours.wait(), 0, "exit code of our publisher")
    async with peer.publisher(broker) as publish:
        await publish(Message(topic, b"", 1, retain=True))


@asynccontextmanager
async def program(*command: str | Path, stdin: bytes = b"") -> AsyncIterator[Process]:
    """A running program, which is killed at the end if it has not ended."""
    # A payload in hexadecimal is a long line.
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=1 << 20)
    try:
        if process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: Process) -> str:
    """The next line that it says."""
    text = await process.stdout.readline() if process.stdout else b""
    if not text:
        raise AssertionError(f"it ended with {await process.wait()}")
    return text.decode().rstrip("\n")


async def shows(ours: Process, *wanted: str) -> None:
    """Our program says these lines, after what it has to say of its connection."""
    said = await line(ours)
    while said.startswith("connected to "):
        said = await line(ours)
    for want in wanted:
        equal(said, want, "a line of our program")
        if want != wanted[-1]:
            said = await line(ours)


def equal(got: object, want: object, what: str) -> None:
    if got != want:
        raise AssertionError(f"{what}: {got!r:.200} instead of {want!r:.200}")


async def passes(name: str, check: Awaitable[None]) -> bool:
    try:
        await asyncio.wait_for(check, DEADLINE)
    except Exception as error:
        print(f"{name} FAILED: {type(error).__name__} {error}", flush=True)
        return False
    print(f"{name} ok", flush=True)
    return True


async def checks(peer: Peer, ca: str, examples: Path, urls: list[str]) -> bool:
    results = []
    for broker in [Broker(url, ca) for url in urls]:
        name = f"{peer.name} {broker.scheme}"
        topic = f"interop/{peer.name}/{broker.scheme}"
        for qos in (0, 1, 2):
            results.append(await passes(f"{name} qos={qos}", at_qos(peer, broker, f"{topic}/{qos}", qos)))
        results.append(await passes(f"{name} retained", retained(peer, broker, f"{topic}/retained")))
        # Our examples know no certificate but those of the machine.
        if not broker.tls:
            results.append(await passes(f"{name} to-ours", to_ours(peer, broker, f"{topic}/to", examples)))
            results.append(await passes(f"{name} from-ours", from_ours(peer, broker, f"{topic}/from", examples)))
    return all(results)


def main(peer: Peer) -> None:
    """Does it with the arguments `CA_FILE EXAMPLES URL...`; a line for each check, and 1 when one of them has failed."""
    ca, examples, *urls = sys.argv[1:]
    sys.exit(0 if asyncio.run(checks(peer, ca, Path(examples), urls)) else 1)
