"""Secrets are planted in what programs give, and looked for in all that may be shown: logs, exceptions, reprs.

Payloads are part of a message's repr, as that of any value has what it is made of; in a log they have no place. What
stands in for a password, the data of an authentication and whatever an address hides is in neither.
"""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

import ohmqtt
from aioclients import CERTIFICATE, bounded, eventually
from clients import SOON, until
from ohmqtt import (
    Client,
    MQTTAuthPacket,
    MQTTAuthProps,
    MQTTConnectPacket,
    MQTTConnectProps,
    MQTTError,
    MQTTWillProps,
    aio,
)
from ohmqtt.broker import Broker, Login
from ohmqtt.codec import AuthPacket, ConnectPacket, Will
from ohmqtt.connection import Address
from ohmqtt.sansio import ClientSession
from processes import run
from rawclient import RawClient
from sansio_pair import Pair

SECRET = "hunter2"

WAYS = (
    SECRET,
    SECRET.encode().hex(),
    base64.b64encode(SECRET.encode()).decode().rstrip("="),
    ", ".join(str(byte) for byte in SECRET.encode()),
)


def check(*shown: object) -> None:
    """Assert that none of these shows the secret; of an exception also what is behind it."""
    for value in shown:
        texts = [repr(value), str(value)]
        if isinstance(value, BaseException):
            error: BaseException | None = value
            while error is not None:
                texts += [*traceback.format_exception_only(error), repr(error.args)]
                error = error.__cause__ or error.__context__
        for text in texts:
            assert not [way for way in WAYS if way in text], text


def test_what_looks_for_secrets_finds_them() -> None:
    chained = ValueError("outside")
    chained.__cause__ = KeyError(SECRET)
    for value in (SECRET, SECRET.encode(), [1, {"a": SECRET}], ValueError(SECRET), chained):
        with pytest.raises(AssertionError):
            check(value)
    check("nothing", ValueError("nothing"))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Keep all that is logged, of every level, and look for the secret in it when the test is over."""
    told: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(f"{logging.Formatter().format(record)} {record.args!r}")

    handler = Keeps(level=1)
    logging.getLogger("ohmqtt").addHandler(handler)
    ohmqtt.set_log_level(1)
    yield told
    logging.getLogger("ohmqtt").removeHandler(handler)
    ohmqtt.set_log_level(logging.NOTSET)
    check(*told)


def knows_it(login: Login) -> bool:
    check(login)
    return login.password == SECRET.encode()


def test_the_client_shows_none(log: list[str], tmp_path: Path) -> None:
    will = {"will_topic": "gone", "will_payload": b"hunter2-will"}
    properties = MQTTWillProps(CorrelationData=b"hunter2-correlation")
    with Broker(authenticator=knows_it) as broker:
        with Client(str(tmp_path / "outbox.db")) as client:
            client.connect(
                broker.url.replace("//", f"//me:{SECRET}@"),
                client_id="c",
                will_properties=properties,
                **will,  # type: ignore[arg-type]
            )
            client.wait_for_connect(SOON)
            subscribed = client.subscribe("a", lambda *_: None)
            subscribed.wait_for_ack(SOON)
            handles = [client.publish("a", "hunter2-payload", qos=qos) for qos in (0, 1, 2)]
            for handle in handles[1:]:
                handle.wait_for_ack(SOON)
            check(client, subscribed, *handles, broker, broker.metrics())
            until(lambda: any("connected" in text for text in log))
        with Client() as client:
            client.connect(broker.url, username="me", password=b"hunter22")
            with pytest.raises(MQTTError) as refused:
                client.wait_for_connect(SOON)
            check(refused.value)
            for wrong in ("gopher://me:hunter2@h", "mqtt://me:hunter2@h:99999", "ws://h:x/?hunter2"):
                with pytest.raises(ValueError) as error:  # noqa: PT011
                    client.connect(wrong)
                check(error.value)


@pytest.mark.anyio
@bounded
async def test_the_client_for_event_loops_shows_none(log: list[str]) -> None:
    with Broker("mqtt://127.0.0.1:0", "ws://127.0.0.1:0", authenticator=knows_it) as broker:
        plain, ws = broker.urls
        options: aio.ClientOptions = {
            "password": SECRET,
            "user_name": "me",
            "headers": {"Authorization": f"Bearer {SECRET}"},
            "will": Will("gone", payload=b"hunter2-will"),
        }
        async with aio.Client(f"{ws}/mqtt?token=hunter2", **options) as client, client.subscribe("a") as messages:
            publication = await client.publish("a", "hunter2-payload", qos=2, correlation_data=b"hunter2-correlation")
            acknowledgement = await publication
            assert (await anext(messages)).text == "hunter2-payload"
            check(client, publication, acknowledgement, messages, client.state)
        with pytest.raises(MQTTError) as refused:
            async with aio.Client(plain, user_name="me", password="hunter22"):
                pass
        check(refused.value)
        with pytest.raises(OSError) as unreachable:  # noqa: PT011
            async with aio.Client(plain, proxy=plain.replace("mqtt://", f"socks5://me:{SECRET}@")):
                pass
        check(unreachable.value)
    await eventually(lambda: any("connecting" in text for text in log))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("htp://me:hunter2@h", {}),
        ("mqtt://me:hunter2@h:x", {}),
        ("wss://h:x/mqtt?token=hunter2", {}),
        ("mqtt://h", {"proxy": "ftp://me:hunter2@h"}),
        ("mqtt://h", {"proxy": "socks5://me:hunter2@h:x"}),
        ("mqtt://h", {"headers": {"Authorization": "hunter2\r\n"}}),
        ("mqtt://h", {"password": [SECRET]}),
        ("mqtt://h", {"scram": ("me", SECRET, SECRET)}),
        ("mqtts://h", {"cert_file": CERTIFICATE, "key_file": CERTIFICATE}),
    ],
)
def test_options_that_are_wrong_are_told_without(url: str, options: aio.ClientOptions) -> None:
    with pytest.raises((ValueError, TypeError)) as error:
        aio.Client(url, **options)
    check(error.value)


def test_a_broker_shows_none(log: list[str], tmp_path: Path) -> None:
    settings = {"scram": {"me": SECRET}, "insecure_allow_anonymous": True}
    with Broker("mqtt://eve:hunter2@127.0.0.1:0", **settings) as broker:  # type: ignore[arg-type]
        check(broker, broker.url, broker.faults())
        with RawClient(broker.url) as client:
            answer = client.connect("c", username="me", password=SECRET.encode())
        check(answer, broker.metrics())
    users = tmp_path / "users"
    for line in ("me:hunter2", "hunter2", "me:$7$hunter2"):
        users.write_text(line + "\n")
        with pytest.raises((OSError, ValueError)) as error, Broker(passwords=users):
            pass
        check(error.value)
    until(lambda: any("client" in text for text in log))


def test_values_show_none() -> None:
    data = SECRET.encode()
    connect = ConnectPacket("c", username="me", password=data, authentication_method="m", authentication_data=data)
    props = MQTTConnectProps(AuthenticationMethod="m", AuthenticationData=data)
    check(
        connect,
        AuthPacket(reason_code=0x18, authentication_method="m", authentication_data=data),
        props,
        MQTTConnectPacket("c", username="me", password=data, properties=props),
        MQTTAuthPacket(properties=MQTTAuthProps(AuthenticationMethod="m", AuthenticationData=data)),
        Address("mqtt://me:hunter2@h"),
        Address("wss://h/mqtt?token=hunter2"),
    )
    pair = Pair(ClientSession(ConnectPacket("c", username="me", password=data, clean_start=True)))
    pair.connect()
    check(pair.told_server, pair.told_client, pair.client, pair.server)


def test_the_commands_tell_none() -> None:
    with Broker(authenticator=knows_it) as broker:
        for words in (
            ["-v", "publish", "a", "hunter2", "--address", broker.url, "--username", "me", "--password", SECRET],
            ["pub", "-t", "a", "-m", "hunter2-payload", "--url", broker.url, "-u", "me", "-P", SECRET, "-d"],
        ):
            done = run("ohmqtt", *words)
            assert done.returncode == 0, done.stderr
            assert "connected" in done.stderr
            check(done.stdout, done.stderr)
