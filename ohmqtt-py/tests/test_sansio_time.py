from __future__ import annotations

import math

import pytest

from ohmqtt.codec import ConnectPacket, DisconnectReasonCode, PingReqPacket, PingRespPacket, read_many
from ohmqtt.sansio import Cause, ClientDisconnected, ClientSession, Disconnected, Message, ServerSession
from sansio_pair import CONNECT, Pair


def test_a_client_pings_when_next_timeout_says_so_and_is_answered() -> None:
    pair = Pair(ClientSession(ConnectPacket("c", clean_start=True, keep_alive=10)))
    pair.connect()
    assert pair.client.next_timeout() == 1010.0
    pair.client.handle_timeout(1009.9)
    assert pair.client.data_to_send(1009.9) == b""
    pair.now = 1010.0
    pair.client.handle_timeout(pair.now)
    data = pair.client.data_to_send(pair.now)
    assert read_many(data)[0] == [PingReqPacket()]
    pair.server.receive(data, pair.now)
    answer = pair.server.data_to_send(pair.now)
    assert read_many(answer)[0] == [PingRespPacket()]
    pair.client.receive(answer, pair.now)
    assert pair.client.next_timeout() == 1020.0
    assert pair.server.next_timeout() == 1025.0


def test_a_silent_server_is_given_up() -> None:
    pair = Pair(ClientSession(ConnectPacket("c", clean_start=True, keep_alive=60), ping_timeout=5))
    pair.connect()
    pair.client.handle_timeout(1060)
    pair.client.data_to_send(1060)
    assert pair.client.next_timeout() == 1065.0
    pair.client.handle_timeout(1065)
    pair.client.data_to_send()
    assert pair.client.should_close
    pair.client.connection_lost()
    told = pair.client.events()[-1]
    assert isinstance(told, Disconnected)
    assert told.cause is Cause.KEEP_ALIVE_TIMEOUT


def test_a_silent_client_is_given_up() -> None:
    pair = Pair(ClientSession(ConnectPacket("c", clean_start=True, keep_alive=10)))
    pair.connect()
    assert pair.server.next_timeout() == 1015.0
    pair.now = 1015.0
    pair.server.handle_timeout(pair.now)
    pair.run()
    assert pair.server.should_close
    pair.cut()
    gone, told = pair.told_server[-1], pair.told_client[-1]
    assert isinstance(gone, ClientDisconnected)
    assert gone.cause is Cause.KEEP_ALIVE_TIMEOUT
    assert isinstance(told, Disconnected)
    assert told.reason_code is DisconnectReasonCode.KEEP_ALIVE_TIMEOUT


def test_a_server_may_insist_on_its_own_keep_alive() -> None:
    pair = Pair(ClientSession(CONNECT), ServerSession(server_keep_alive=20))
    pair.connect()
    assert (pair.client.next_timeout(), pair.server.next_timeout()) == (1020.0, 1030.0)


@pytest.mark.parametrize("side", [ClientSession(CONNECT, connect_timeout=2.5), ServerSession(connect_timeout=2.5)])
def test_a_handshake_has_its_time(side: ClientSession | ServerSession) -> None:
    assert side.next_timeout() is None
    side.connection_made(7)
    side.data_to_send()
    assert side.next_timeout() == 9.5
    side.handle_timeout(9.5)
    assert side.data_to_send() == b""
    assert side.should_close
    side.connection_lost()
    told = side.events()[-1]
    assert isinstance(told, Disconnected)
    assert told.cause is Cause.CONNECT_TIMEOUT
    assert side.next_timeout() is None


@pytest.mark.parametrize("start", [0, 0.1, 12_345.678_901_234, 2**31 + 0.1, 1_800_000_000.123_456_7, 4e9 + 1 / 3])
def test_telling_the_deadline_itself_gets_on(start: float) -> None:
    pair = Pair(ClientSession(ConnectPacket("c", clean_start=True, keep_alive=1)), now=start)
    pair.connect()
    for _ in range(50):
        deadline = pair.client.next_timeout()
        assert deadline is not None
        assert deadline >= pair.now
        pair.now = deadline
        pair.client.handle_timeout(deadline)
        later = pair.client.next_timeout()
        assert later is not None
        assert later > deadline
        pair.run()
    assert pair.client.is_connected


def test_time_left_out_is_the_latest_and_never_goes_back() -> None:
    client = ClientSession(CONNECT, connect_timeout=10)
    client.handle_timeout(100)
    client.connection_made(50)
    assert client.next_timeout() == 110.0
    # It counts from the latest, 100.
    client.publish(Message("t", b"", qos=1, message_expiry_interval=10))
    pair = Pair(client, now=104.5)
    pair.connect()
    assert [message.message_expiry_interval for message in pair.came_to_server()] == [6]


@pytest.mark.parametrize("now", [-1, math.nan, math.inf, 1e10])
def test_what_is_no_moment_is_a_value_error(now: float) -> None:
    for side in (ClientSession(CONNECT), ServerSession()):
        for call in (side.handle_timeout, side.connection_made, side.connection_lost, side.data_to_send):
            with pytest.raises(ValueError, match=r"is no moment: give seconds .* such as time\.monotonic"):
                call(now)


def test_patience_is_above_0() -> None:
    for seconds in (0, -1, math.nan, math.inf, 1e-12):
        with pytest.raises(ValueError, match=r"connect_timeout: .* is no number of seconds above 0"):
            ServerSession(connect_timeout=seconds)
        with pytest.raises(ValueError, match=r"ping_timeout: .* is no number of seconds above 0"):
            ClientSession(CONNECT, ping_timeout=seconds)
