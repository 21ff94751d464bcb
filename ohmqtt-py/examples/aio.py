"""Messages, requests and answers with `async` and `await`, on asyncio or Trio.

    python -m examples.aio --address mqtt://localhost:1883
    python -m examples.aio --trio

It is client and service at once: it publishes readings and reads them, and asks itself for the time.
"""

from __future__ import annotations

import argparse
import time

from ohmqtt.aio import Client


async def readings(client: Client) -> None:
    """Publish three readings, and read what comes of them."""
    async with client.subscribe("example/readings/+") as messages:
        for number, value in enumerate(["21.5", "19.0", "22.1"]):
            publication = await client.publish(f"example/readings/{number}", value, qos=1)
            print("acknowledged:", (await publication).reason_code.name)
        for _ in range(3):
            message = await anext(messages)
            print(f"{message.topic}: {message.text}")


async def clock(client: Client, address: str) -> None:
    """Ask a service for the time: here both ends of it, one after the other."""
    async with (
        Client(address) as service,
        service.subscribe("example/time") as requests,
        client.subscribe("example/answers") as answers,
    ):
        await client.publish("example/time", qos=1, response_topic="example/answers")
        request = await anext(requests)
        await request.reply(time.strftime("%H:%M:%S"))
        print("the time:", (await anext(answers)).text)


async def run(address: str) -> None:
    """Connect, do it all, and close: in order, also when something goes wrong or this is cancelled."""
    async with Client(address) as client:
        await readings(client)
        await clock(client, address)


def main() -> None:
    """Run it on the library of choice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-a", "--address", default="localhost:1883", help="URL of the broker (%(default)s)")
    parser.add_argument("--trio", action="store_true", help="run on Trio, which is to be installed")
    args = parser.parse_args()
    if args.trio:
        import trio

        trio.run(run, args.address)
    else:
        import asyncio

        asyncio.run(run(args.address))


if __name__ == "__main__":
    main()
