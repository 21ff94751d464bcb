"""Enhanced authentication by the drop-in client: `handle_auth` hears the server, `auth` answers it."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Queue

import pytest

from clients import SOON, Server, until
from ohmqtt import (
    Client,
    MQTTAuthPacket,
    MQTTAuthProps,
    MQTTConnAckPacket,
    MQTTConnAckProps,
    MQTTConnectProps,
    MQTTError,
    MQTTReasonCode,
)
from ohmqtt.connection import InvalidStateError

METHOD = "TEST"


class AuthClient(Client):
    """Answers each challenge by what it says, backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: Queue[MQTTAuthPacket] = Queue()

    def handle_auth(self, packet: MQTTAuthPacket) -> None:
        self.heard.put(packet)
        data = packet.properties.AuthenticationData
        if packet.reason_code == MQTTReasonCode.ContinueAuthentication and data is not None:
            self.auth(
                authentication_method=METHOD,
                authentication_data=data[::-1],
                reason_code=MQTTReasonCode.ContinueAuthentication,
            )


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.listener:
        yield server


def auth(code: MQTTReasonCode, data: bytes) -> MQTTAuthPacket:
    return MQTTAuthPacket(code, MQTTAuthProps(AuthenticationMethod=METHOD, AuthenticationData=data))


def test_the_client_authenticates_before_it_is_connected_and_anew(server: Server) -> None:
    begin = MQTTConnectProps(AuthenticationMethod=METHOD, AuthenticationData=b"begin")
    with AuthClient() as client:
        client.connect(server.url, connect_properties=begin)
        peer, connect = server.accept(None)
        with peer.stream:
            properties = connect.properties
            assert (properties.AuthenticationMethod, properties.AuthenticationData) == (METHOD, b"begin")
            for challenge in (b"abc", b"def"):
                peer.send(auth(MQTTReasonCode.ContinueAuthentication, challenge))
                assert peer.receive() == auth(MQTTReasonCode.ContinueAuthentication, challenge[::-1])
                assert client.heard.get(timeout=SOON) == auth(MQTTReasonCode.ContinueAuthentication, challenge)
            assert not client.is_connected()
            accepted = MQTTConnAckProps(AuthenticationMethod=METHOD, AuthenticationData=b"proof")
            peer.send(MQTTConnAckPacket(properties=accepted))
            client.wait_for_connect(SOON)
            assert client.connack is not None
            assert client.connack.properties == accepted

            client.auth(
                authentication_method=METHOD,
                authentication_data=b"anew",
                reason_code=MQTTReasonCode.ReAuthenticate,
            )
            assert peer.receive() == auth(MQTTReasonCode.ReAuthenticate, b"anew")
            peer.send(auth(MQTTReasonCode.ContinueAuthentication, b"ghi"))
            assert peer.receive() == auth(MQTTReasonCode.ContinueAuthentication, b"ihg")
            assert client.heard.get(timeout=SOON).properties.AuthenticationData == b"ghi"
            peer.send(auth(MQTTReasonCode.Success, b"done"))
            assert client.heard.get(timeout=SOON) == auth(MQTTReasonCode.Success, b"done")
            assert client.is_connected()


def test_nobody_answers_for_a_client_that_does_not(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with Client() as client:
        begin = MQTTConnectProps(AuthenticationMethod=METHOD)
        client.connect(server.url, connect_properties=begin)
        peer, _ = server.accept(None)
        with peer.stream:
            peer.send(auth(MQTTReasonCode.ContinueAuthentication, b"abc"))
            until(lambda: "override handle_auth" in caplog.text)
            with pytest.raises(TimeoutError):
                client.wait_for_connect(0.1)
        # Nothing was said to the server, which has had enough.
        with pytest.raises((ConnectionError, MQTTError)):
            client.wait_for_connect(SOON)


def test_a_refused_authentication_is_raised(server: Server) -> None:
    with AuthClient() as client:
        client.connect(server.url, connect_properties=MQTTConnectProps(AuthenticationMethod=METHOD))
        peer, _ = server.accept(MQTTConnAckPacket(MQTTReasonCode.NotAuthorized))
        with peer.stream, pytest.raises(MQTTError) as raised:
            client.wait_for_connect(SOON)
        assert raised.value.reason_code == MQTTReasonCode.NotAuthorized


def test_auth_out_of_place_is_an_invalid_state(server: Server) -> None:
    with AuthClient() as client:
        with pytest.raises(InvalidStateError):
            client.auth(authentication_method=METHOD)
        client.connect(server.url, connect_properties=MQTTConnectProps(AuthenticationMethod=METHOD))
        with pytest.raises(ValueError, match="authentication_method"):
            client.auth(authentication_method="OTHER")
        peer, _ = server.accept(MQTTConnAckPacket(properties=MQTTConnAckProps(AuthenticationMethod=METHOD)))
        with peer.stream:
            client.wait_for_connect(SOON)
            with pytest.raises(InvalidStateError, match="waits for no answer"):
                client.auth(authentication_method=METHOD)
