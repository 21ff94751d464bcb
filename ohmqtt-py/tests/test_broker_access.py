from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

from ohmqtt.broker import Access, Broker, Limits, Login
from ohmqtt.codec import ConnAckReasonCode, PublishPacket, QoS, SubAckReasonCode
from rawclient import PATIENCE, RawClient

REFUSED = ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (True, ConnAckReasonCode.SUCCESS),
        ("carol", ConnAckReasonCode.SUCCESS),
        (False, REFUSED),
        (None, REFUSED),
        (ConnAckReasonCode.BANNED, ConnAckReasonCode.BANNED),
    ],
)
def test_an_authenticator_says_who_a_client_is(answer: str | bool | None, reason: ConnAckReasonCode) -> None:
    logins: list[Login] = []
    users: list[str | None] = []

    def authenticator(login: Login) -> str | bool | ConnAckReasonCode | None:
        logins.append(login)
        return answer

    def authorizer(access: Access) -> bool:
        users.append(access.user)
        return True

    with Broker(authenticator=authenticator, authorizer=authorizer) as broker, RawClient(broker.url) as client:
        assert client.connect("c", username="alice", password=b"wonderland").reason_code == reason
        address, port = client.socket.getsockname()
        (login,) = logins
        assert (login.client_id, login.username, login.password) == ("c", "alice", b"wonderland")
        assert (login.address, login.listener) == (f"{address}:{port}", broker.url)
        assert (login.certificate_names, login.path) == ((), None)
        assert "wonderland" not in repr(login)
    known = {"carol": "carol", True: "alice"}
    assert users == ([known[answer]] if answer in known else [])


def test_the_broker_goes_on_while_an_authenticator_thinks() -> None:
    thinks, done = threading.Event(), threading.Event()

    def authenticator(login: Login) -> bool:
        if login.client_id == "slow":
            thinks.set()
            done.wait()
        return True

    with Broker(authenticator=authenticator) as broker, RawClient(broker.url) as slow, RawClient(broker.url) as quick:
        waiting = threading.Thread(target=slow.connect, args=("slow",))
        waiting.start()
        thinks.wait()
        assert quick.connect("quick").reason_code == ConnAckReasonCode.SUCCESS
        assert broker.metrics().connected == 1
        done.set()
        waiting.join()
        assert broker.metrics().connected == 2


def test_a_client_is_refused_when_the_authenticator_takes_too_long() -> None:
    done = threading.Event()
    limits = Limits(connect_timeout=0.2)
    with Broker(authenticator=lambda _: done.wait(), limits=limits) as broker:
        # Of a CONNECT that is late itself there is nobody to refuse.
        assert answer_to_connect(broker.url) == ConnAckReasonCode.SERVER_UNAVAILABLE
        done.set()


def answer_to_connect(url: str) -> ConnAckReasonCode:
    """Connect as often as it takes to be answered."""
    until = time.monotonic() + PATIENCE
    while True:
        with RawClient(url) as client:
            try:
                return client.connect("c").reason_code
            except ConnectionError:
                assert time.monotonic() < until


def fails(_: object) -> bool:
    raise LookupError("the list is lost")


def test_an_authenticator_that_raises_refuses_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with Broker(authenticator=fails) as broker, RawClient(broker.url) as client:
        assert client.connect("c").reason_code == ConnAckReasonCode.SERVER_UNAVAILABLE
    (record,) = [record for record in caplog.records if record.name == "ohmqtt.broker"]
    assert record.levelno == logging.ERROR
    assert record.getMessage() == "authenticator failed: client 'c' is refused"
    assert "LookupError: the list is lost" in caplog.text


def test_an_answer_that_is_none_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [1, ConnAckReasonCode.SUCCESS, b"alice"]
    while answers:
        caplog.clear()
        with Broker(authenticator=lambda _: answers.pop()) as broker, RawClient(broker.url) as client:
            assert client.connect("c").reason_code == ConnAckReasonCode.SERVER_UNAVAILABLE
        assert "an authenticator returns the name of a user, True, False or a ConnAckReasonCode" in caplog.text
    with Broker(authorizer=lambda _: None) as broker, RawClient(broker.url) as client:  # type: ignore[arg-type,return-value]
        assert client.connect("c").reason_code == ConnAckReasonCode.NOT_AUTHORIZED
    assert "an authorizer returns True or False, not None" in caplog.text


def test_an_authorizer_is_asked_about_everything() -> None:
    asked: list[Access] = []

    def authorizer(access: Access) -> bool:
        asked.append(access)
        return access.topic != "secret"

    with Broker(authorizer=authorizer) as broker, RawClient(broker.url) as client:
        client.connect("c")
        assert client.subscribe("a", max_qos=1).reason_codes == (SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE,)
        assert client.subscribe("secret").reason_codes == (SubAckReasonCode.NOT_AUTHORIZED,)
        assert client.publish("secret", b"x").reason_code == 0x87
        client.send(PublishPacket("a", b"x", retain=True))
        assert client.receive(PublishPacket).payload == b"x"
    common = {"client_id": "c", "user": None}
    assert asked == [
        Access(**common, action="connect", topic=None, qos=None, retain=False),  # type: ignore[arg-type]
        Access(**common, action="subscribe", topic="a", qos=QoS.AT_LEAST_ONCE, retain=False),  # type: ignore[arg-type]
        Access(**common, action="subscribe", topic="secret", qos=QoS.EXACTLY_ONCE, retain=False),  # type: ignore[arg-type]
        Access(**common, action="publish", topic="secret", qos=QoS.AT_LEAST_ONCE, retain=False),  # type: ignore[arg-type]
        Access(**common, action="publish", topic="a", qos=QoS.AT_MOST_ONCE, retain=True),  # type: ignore[arg-type]
        Access(**common, action="deliver", topic="a", qos=None, retain=False),  # type: ignore[arg-type]
    ]


def test_an_authorizer_that_raises_refuses_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with Broker(authorizer=fails) as broker, RawClient(broker.url) as client:
        assert client.connect("c").reason_code == ConnAckReasonCode.NOT_AUTHORIZED
    (record,) = [record for record in caplog.records if record.name == "ohmqtt.broker"]
    assert record.getMessage() == "authorizer failed: connect of client 'c' is refused"
    assert "LookupError: the list is lost" in caplog.text


def test_an_authorizer_that_hangs_refuses_until_it_returns(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def authorizer(access: Access) -> bool:
        return access.topic != "hang" or done.wait()

    with Broker(authorizer=authorizer, authorizer_timeout=0.2) as broker:
        until = time.monotonic() + PATIENCE
        with admitted(broker.url, until) as client:
            assert client.publish("hang").reason_code == 0x87
            assert client.publish("a").reason_code == 0x87
            while "has not answered within 200ms" not in caplog.text:
                assert time.monotonic() < until
                time.sleep(0.01)
            done.set()
            while client.publish("a").reason_code == 0x87:
                assert time.monotonic() < until


def admitted(url: str, until: float) -> RawClient:
    """Connect as often as it takes to be let in: on a busy machine that answer may be late as well."""
    while True:
        client = RawClient(url)
        if client.connect("c").reason_code == ConnAckReasonCode.SUCCESS:
            return client
        client.socket.close()
        assert time.monotonic() < until


def test_an_authorizer_cannot_wait_for_its_broker(caplog: pytest.LogCaptureFixture) -> None:
    def authorizer(_: Access) -> bool:
        broker.metrics()
        return True

    with Broker(authorizer=authorizer) as broker, RawClient(broker.url) as client:
        assert client.connect("c").reason_code == ConnAckReasonCode.NOT_AUTHORIZED
    assert "RuntimeError: an authorizer cannot ask anything of a broker" in caplog.text


async def later(_: object) -> bool:
    return True


def test_what_is_no_plain_function_is_a_typeerror() -> None:
    for name in ("authenticator", "authorizer"):
        with pytest.raises(TypeError, match=f"{name}: give a plain function, not an async one"):
            Broker(**{name: later})  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=f"{name}: give a function, not 'int'"):
            Broker(**{name: 1})  # type: ignore[arg-type]
