from __future__ import annotations

import pytest

from ohmqtt.codec import ConnAckPacket, ConnectPacket, DisconnectPacket, DisconnectReasonCode
from ohmqtt.sansio import (
    Authenticate,
    Authenticated,
    Cause,
    ClientEvent,
    ClientSession,
    Connected,
    ConnectRequest,
    Disconnected,
    ServerEvent,
    Verify,
)
from sansio_pair import Pair

CONNECT = ConnectPacket("c", clean_start=True, authentication_method="steps", authentication_data=b"first")


class Authenticating(Pair):
    """Three questions, each answered by its own bytes and a bang; then a proof from the server."""

    questions = (b"one", b"two")

    def __init__(self) -> None:
        super().__init__(ClientSession(CONNECT))
        self.asked = list(self.questions)
        self.answers: list[bytes | None] = []
        self.on_client, self.on_server = self.prove, self.ask

    def prove(self, event: ClientEvent) -> None:
        match event:
            case Authenticate(data):
                self.client.authenticate((data or b"") + b"!")
            case Verify(data):
                assert data == b"proof"
                assert not self.client.is_connected
                self.client.verified()

    def ask(self, event: ServerEvent) -> None:
        match event:
            case ConnectRequest(packet):
                self.answers.append(packet.authentication_data)
            case Authenticate(data):
                self.answers.append(data)
            case _:
                return
        if self.asked:
            self.server.authenticate(self.asked.pop(0))
        elif self.server.is_connected:
            self.server.authenticated(b"proof")
        else:
            method = ConnAckPacket(authentication_method="steps", authentication_data=b"proof")
            self.server.accept(packet=method)


def test_an_exchange_goes_to_and_fro_and_the_server_is_verified() -> None:
    pair = Authenticating()
    pair.connect()
    assert pair.answers == [b"first", b"one!", b"two!"]
    assert [type(event) for event in pair.told_client] == [Authenticate, Authenticate, Verify, Connected]
    assert pair.client.is_connected


def test_nothing_happens_before_the_verdict_on_the_server() -> None:
    pair = Authenticating()
    pair.on_client = lambda event: pair.prove(event) if isinstance(event, Authenticate) else None
    pair.connect()
    assert isinstance(pair.told_client[-1], Verify)
    pair.client.receive(b"\xd0\x00")
    assert not pair.client.wants_data
    pair.client.fail_authentication()
    assert pair.client.should_close or pair.client.data_to_send() != b""
    pair.run()
    assert pair.client.should_close
    pair.cut()
    assert not any(isinstance(event, Connected) for event in pair.told_client)
    told = pair.told_client[-1]
    assert isinstance(told, Disconnected)
    assert (told.cause, told.reason_code) == (Cause.BY_US, DisconnectReasonCode.UNSPECIFIED_ERROR)


def test_a_client_authenticates_again() -> None:
    pair = Authenticating()
    pair.connect()
    pair.asked = [b"three"]
    pair.client.reauthenticate(b"again")
    pair.run()
    assert pair.answers[3:] == [b"again", b"three!"]
    assert pair.told_client[-1] == Authenticated(b"proof")
    assert "proof" not in repr(pair.told_client[-1])


def test_a_client_that_fails_to_authenticate_again_is_disconnected() -> None:
    pair = Authenticating()
    pair.connect()
    said = DisconnectPacket(reason_code=DisconnectReasonCode.NOT_AUTHORIZED)
    pair.on_server = lambda _: pair.server.disconnect(said)
    pair.client.reauthenticate()
    pair.run()
    assert pair.server.should_close
    pair.cut()
    told = pair.told_client[-1]
    assert isinstance(told, Disconnected)
    assert told.packet == said


def test_the_method_of_the_next_connect_is_the_one_set_last() -> None:
    pair = Authenticating()
    pair.client.set_authentication("other", b"more")
    pair.on_server = lambda _: None
    pair.connect()
    (asked,) = pair.told_server
    assert isinstance(asked, ConnectRequest)
    assert (asked.packet.authentication_method, asked.packet.authentication_data) == ("other", b"more")


def test_words_that_answer_nothing_are_runtime_errors() -> None:
    pair = Authenticating()
    with pytest.raises(RuntimeError, match="authenticate answers an Authenticate event"):
        pair.client.authenticate(b"")
    with pytest.raises(RuntimeError, match="verified answers a Verify event"):
        pair.client.verified()
    with pytest.raises(RuntimeError, match="to authenticate again, be connected"):
        pair.client.reauthenticate()
    with pytest.raises(RuntimeError, match="the client named no authentication_method"):
        pair.server.authenticate()
    pair.connect()
    with pytest.raises(RuntimeError, match="authenticate answers, once, a ConnectRequest or Authenticate"):
        pair.server.authenticate()
    with pytest.raises(RuntimeError, match="no client authenticates again"):
        pair.server.authenticated()
