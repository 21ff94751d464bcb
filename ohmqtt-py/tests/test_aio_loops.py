"""How a client lives with event loops: asyncio's and Trio's own words, and the end of loops and of the interpreter."""

from __future__ import annotations

import asyncio
import doctest
import gc
import re
import signal
import subprocess
import sys
import textwrap
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio

import ohmqtt.aio
from aioclients import PATIENCE
from clients import until
from ohmqtt.aio import Client, Publication
from ohmqtt.broker import Broker


@pytest.fixture
def url() -> Iterator[str]:
    with Broker() as broker:
        yield broker.url


def run(program: str, *args: str) -> str:
    """Run a program of its own, which ends well and in time."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_neither_library_is_imported_before_it_is_used(url: str) -> None:
    program = """
        import sys
        import ohmqtt.aio
        from ohmqtt.aio import Client
        libraries = {"asyncio", "trio", "sniffio", "ssl"}
        assert not libraries & set(sys.modules), libraries & set(sys.modules)
        client = Client(sys.argv[1])
        assert not libraries & set(sys.modules)

        async def main():
            async with client:
                await client.publish("a")

        if sys.argv[2] == "asyncio":
            import asyncio
            asyncio.run(main())
            assert "trio" not in sys.modules
        else:
            import trio
            trio.run(main)
            assert "ohmqtt.aio._asyncio" not in sys.modules
        """
    run(program, url, "asyncio")
    run(program, url, "trio")


def test_asyncio_waits_for_publications_in_its_ways(url: str) -> None:
    async def main() -> None:
        async with Client(url) as client:
            publications = [await client.publish("a", qos=1) for _ in range(1000)]
            acknowledgements = await asyncio.gather(*publications)
            assert len(acknowledgements) == 1000
            await asyncio.wait_for(await client.publish("a", qos=2), PATIENCE)

    asyncio.run(main())


def test_trio_starts_what_is_asked_for_in_its_ways(url: str) -> None:
    async def main() -> None:
        async with Client(url) as client, client.subscribe("a") as messages, trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(client.publish, "a", str(number))
            for _ in range(100):
                await anext(messages)
            await client.publish("a", qos=1, response_topic="b")
            nursery.start_soon((await anext(messages)).reply, "answer")

    trio.run(main)


def test_a_cancelled_block_still_says_goodbye(url: str) -> None:
    async def with_asyncio() -> None:
        async with Client(url) as other, other.subscribe("a") as messages:

            async def publish() -> None:
                async with Client(url) as client:
                    for number in range(1000):
                        client.publish_nowait("a", str(number), qos=1)
                    await asyncio.sleep(PATIENCE)

            task = asyncio.create_task(publish())
            assert (await anext(messages)).payload == b"0"
            task.cancel()
            await asyncio.sleep(0)
            # Again, while it is closing.
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # By then the broker has it all.
            for number in range(1, 1000):
                assert (await anext(messages)).payload == b"%d" % number

    async def with_trio() -> None:
        async with Client(url) as other, other.subscribe("a") as messages:
            with trio.CancelScope() as scope:
                async with Client(url) as client:
                    for number in range(1000):
                        client.publish_nowait("a", str(number), qos=1)
                    scope.cancel()
            assert client.state.name == "closed"
            for number in range(1000):
                assert (await anext(messages)).payload == b"%d" % number

    asyncio.run(with_asyncio())
    trio.run(with_trio)


def test_others_have_their_turn_while_messages_come(url: str) -> None:
    async def main() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with Client(url) as client, client.subscribe("a", capacity=10_000) as messages:
            for _ in range(5000):
                await client.publish("a", qos=1)
            task = asyncio.create_task(count())
            before = client.metrics().received
            for _ in range(5000):
                await anext(messages)
            task.cancel()
            assert before <= 5000
            assert turns >= 5000 // 64 - 1

    asyncio.run(main())


def test_a_loop_that_ends_first_does_no_harm(url: str) -> None:
    async def main() -> tuple[Client, Publication]:
        client = await Client(url, close_timeout=0).__aenter__()
        publication = await client.publish("a", qos=2)
        # Nobody is there to hear of it.
        native = publication._native.acked(publication._port.native)
        assert native is not None
        return client, publication

    for _ in range(20):
        client, publication = asyncio.run(main())
        # Said to a loop that is closed.
        until(lambda publication=publication: publication.done)  # type: ignore[misc]
        del client, publication
    _, publication = trio.run(main)
    until(lambda: publication.done)


def test_a_client_that_is_forgotten_is_gone(url: str) -> None:
    async def main() -> None:
        loop = weakref.ref(asyncio.get_running_loop())
        assert loop() is not None
        async with Client(url) as other:
            forgotten = await Client(url, client_id="forgotten").__aenter__()
            subscription = await forgotten.subscribe("a").__aenter__()
            await forgotten.publish("a")
            gone, port = weakref.ref(forgotten), weakref.ref(forgotten._port)
            del forgotten, subscription
            gc.collect()
            # The other has the same port.
            assert gone() is None
            assert port() is not None
        del other
        # The thread that wakes loops has its last look at it.
        while port() is not None:
            await asyncio.sleep(0.01)
            gc.collect()

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


@pytest.mark.parametrize("library", ["asyncio", "trio"])
@pytest.mark.parametrize("end", ["return", "raise SystemExit"])
def test_the_interpreter_ends_with_live_clients(url: str, library: str, end: str) -> None:
    program = f"""
        import {library}, sys
        from ohmqtt.aio import Client
        kept = []

        async def main():
            client = await Client(sys.argv[1]).__aenter__()
            messages = await client.subscribe("a").__aenter__()
            kept.extend([client, messages])
            for number in range(2000):
                kept.append(await client.publish("a", str(number), qos=1))
            kept.append(client.events())
            await anext(messages)
            {end}

        {"asyncio.run(main())" if library == "asyncio" else "trio.run(main)"}
        """
    run(program, url)


def test_a_forked_child_is_told(url: str) -> None:
    program = """
        import asyncio, os, sys
        from ohmqtt.aio import Client

        async def main():
            async with Client(sys.argv[1]):
                pass

        asyncio.run(main())
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(main())
            except RuntimeError as error:
                assert "fork" in str(error), error
                sys.exit(7)
            sys.exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        """
    run(program, url)


@pytest.mark.parametrize("more", [[], ["--trio"]])
def test_the_example_runs(url: str, more: list[str]) -> None:
    command = [sys.executable, "-m", "examples.aio", "--address", url, *more]
    folder = Path(__file__).parent.parent
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[:3] == ["acknowledged: SUCCESS"] * 3
    assert lines[3:6] == ["example/readings/0: 21.5", "example/readings/1: 19.0", "example/readings/2: 22.1"]
    assert re.fullmatch(r"the time: \d\d:\d\d:\d\d", lines[6])


def test_loops_in_several_threads_have_clients_of_their_own(url: str) -> None:
    async def exchange(name: str) -> None:
        async with Client(url) as client, client.subscribe(name) as messages:
            for number in range(500):
                await client.publish(name, b"%d" % number, qos=1)
            for number in range(500):
                assert (await anext(messages)).payload == b"%d" % number

    with ThreadPoolExecutor() as threads:
        runs = [threads.submit(asyncio.run, exchange(f"asyncio/{number}")) for number in range(2)]
        runs += [threads.submit(trio.run, exchange, f"trio/{number}") for number in range(2)]
        for each in runs:
            each.result(PATIENCE)


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_an_interrupt_ends_a_wait_and_closes_the_client(library: str) -> None:
    program = f"""
        import {library}, sys
        from ohmqtt.aio import Client

        async def main():
            async with Client(sys.argv[1]) as client, client.subscribe("a") as messages:
                client.publish_nowait("ready", qos=1)
                await anext(messages)

        try:
            {"asyncio.run(main())" if library == "asyncio" else "trio.run(main)"}
        except KeyboardInterrupt:
            print("interrupted")
        """
    with Broker() as broker:

        async def wait() -> None:
            async with Client(broker.url) as client, client.subscribe("ready") as messages:
                command = [sys.executable, "-c", textwrap.dedent(program), broker.url]
                with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                    await anext(messages)
                    process.send_signal(signal.SIGINT)
                    assert process.communicate(timeout=PATIENCE) == ("interrupted\n", "")
                    assert process.returncode == 0

        asyncio.run(asyncio.wait_for(wait(), PATIENCE))


def test_the_example_of_the_docstring_is_right() -> None:
    assert doctest.testmod(ohmqtt.aio) == (0, 5)
