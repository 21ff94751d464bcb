"""What happens to a client, for those who listen from its beginning on and for those who come later."""

from __future__ import annotations

from pathlib import Path

import pytest

from aioclients import bounded, eventually
from ohmqtt.aio import Client, Closed, Connected, ConnectFailed, Disconnected, Events, Missed
from ohmqtt.broker import Broker

pytestmark = pytest.mark.anyio

QUICK = (0.01, 0.1)


async def rest(events: Events) -> list[str]:
    """Give the names of the beginnings and ends of connections that come until the client is closed."""
    ends = (Connected, Disconnected, Closed)
    return [type(event).__name__ async for event in events if isinstance(event, ends)]


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("store", [None, "outbox.redb"])
@bounded
async def test_who_asks_before_the_client_is_entered_hears_of_its_first_connection(
    wait: bool, store: str | None, tmp_path: Path
) -> None:
    kept = {"client_id": "a", "store": tmp_path / store} if store else {}
    with Broker() as broker:
        client = Client(broker.url, wait=wait, backoff=QUICK, **kept)  # type: ignore[arg-type]
        early, another = client.events(), client.events()
        async with client:
            first = await anext(early)
            assert isinstance(first, Connected)
            assert (first.address, first.session_present) == (broker.url, False)
            late = client.events()
            broker.restart()
            await eventually(lambda: client.metrics().connections == 2)
    end = ["Disconnected", "Connected", "Closed"]
    assert await rest(early) == end
    assert await rest(another) == ["Connected", *end]
    assert await rest(late) == end


@bounded
async def test_why_a_client_could_not_be_entered_is_among_its_events(closed_url: str) -> None:
    client = Client(closed_url)
    events = client.events()
    with pytest.raises(ConnectionRefusedError):
        async with client:
            pass
    failed, closed = [event async for event in events]
    assert isinstance(failed, ConnectFailed)
    assert isinstance(failed.error, ConnectionRefusedError)
    assert isinstance(closed, Closed)


@bounded
async def test_events_of_a_client_that_cannot_be_started_end() -> None:
    client = Client("localhost", receive_maximum=0)
    events = client.events()
    with pytest.raises(ValueError, match="receive_maximum"):
        async with client:
            pass
    assert await rest(events) == []
    with pytest.raises(RuntimeError, match="before the client is entered, or when it is"):
        client.events()


@bounded
async def test_what_waits_for_a_listener_is_bounded_and_what_is_too_much_is_counted(closed_url: str) -> None:
    client = Client(closed_url, wait=False, backoff=(0, 0))
    events = client.events()
    async with client:
        await eventually(lambda: client.state.attempt > 1100)
    missed, *kept, last = [event async for event in events]
    assert isinstance(missed, Missed)
    assert {type(event) for event in kept} == {ConnectFailed}
    assert isinstance(last, Closed)
    assert len(kept) + 1 == 1024
    assert missed.events + len(kept) >= 1100
