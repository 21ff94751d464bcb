"""The options of `ohmqtt.aio`, each with its meaning. One that is None is as one that is not given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Address, IPv6Address

    from typing_extensions import Buffer

    from ohmqtt.codec import QoS, RetainHandling, Will


class ClientOptions(TypedDict, total=False):
    """What a client is told once. Times are in seconds, whole or not."""

    client_id: str | None
    """The name of the session at the server. Without it the server chooses one, and nobody can go on with the
    session."""
    user_name: str | None
    """It may stand in the URL, too; this one counts."""
    password: str | Buffer | None
    """It may stand in the URL, too; this one counts."""
    scram: tuple[str, str] | None
    """User name and password for enhanced authentication by SCRAM-SHA-256."""
    clean_start: bool | None
    """Whether the first connection begins a new session: so it is without this. Later connections always go on."""
    session_expiry: float | None
    """How long the server keeps the session after a connection ends. Without this an hour."""
    keep_alive: float | None
    """How long a connection may be silent before it is asked after. Without this 60; 0 is for ever."""
    receive_maximum: int | None
    """How many messages of QoS 1 and 2 may be under way to us, unacknowledged. Without this 1,000."""
    max_packet_size: int | None
    """The largest packet we accept, in bytes. Without this 16 MiB."""
    topic_alias_maximum: int | None
    """How many topic aliases the server may use in place of topics it sends. Without this none."""
    request_problem_information: bool | None
    """False: the server leaves reasons in words and user properties out of all but messages, CONNACK and DISCONNECT."""
    will: Will | None
    """What the server publishes when the connection ends other than in order."""
    user_properties: Sequence[tuple[str, str]] | None
    """Names and values of the application's own, for CONNECT."""
    response_prefix: str | None
    """What the topics begin with on which answers to requests are awaited. Without this what the server says."""
    connect_timeout: float | None
    """How long an attempt to connect to one server may take. Without this 30."""
    backoff: tuple[float, float] | None
    """Least and longest wait between attempts: a random time up to the first, doubling up to the second. Without this
    1, 60."""
    redirects: int | None
    """How many times in a row a server is obeyed that sends us to another one. Without this 5."""
    retry_everything: bool | None
    """Go on trying also after what no waiting mends, such as a bad certificate or password."""
    outbox: tuple[int, int] | None
    """How much may be accepted and not acknowledged, in messages and bytes. Without this 65,536 and 64 MiB; with a
    store 4,194,304 and 4 GiB."""
    window: tuple[int, int] | None
    """With a store, how much of what is not sent yet is in memory, in messages and bytes. Without this 1,024 and 4
    MiB."""
    overflow: Literal["refuse", "drop_oldest", "keep_newest"] | None
    """What becomes of a message that finds the outbox full. Without this it waits."""
    session_loss: Literal["fail", "resend", "clear"] | None
    """What becomes of unacknowledged messages when the server has lost the session. Without this those that may have
    arrived fail with LostMessageError, and the others are sent."""
    store: str | os.PathLike[str] | None
    """The file that keeps what is to survive a crash: its name ends with .redb, .sqlite, .sqlite3 or .db. Needs a
    client_id."""
    durability: Literal["safe", "fast"] | None
    """Whether what is accepted is on the disk, or on its way there. Without this it is there."""
    proxy: str | None
    """The URL of a proxy: http://host:port or socks5://host:port, with user and password if it wants them."""
    bind: str | IPv4Address | IPv6Address | None
    """The address of this machine's to connect from."""
    headers: Mapping[str, str] | Sequence[tuple[str, str]] | None
    """Headers of the WebSocket handshake."""
    ca_file: str | os.PathLike[str] | None
    """Certificates of the authorities to trust, in PEM. Without this those of the platform."""
    cert_file: str | os.PathLike[str] | None
    """Our certificate and those on the way to its authority, in PEM."""
    key_file: str | os.PathLike[str] | None
    """The key to it, if it is not in the same file."""
    server_name: str | None
    """The name in the server's certificate, if it is another than the URL's."""
    alpn: Sequence[str] | None
    """Application protocols to offer in TLS."""
    only_tls_1_3: bool | None
    """Speak TLS 1.3 alone, not 1.2."""
    ciphers: Sequence[str] | None
    """Cipher suites to offer, the favourite first, by their names in the registry of IANA or in OpenSSL."""
    verify: bool | None
    """False: take any certificate, which protects from nobody who can stand in the way."""


class PublishOptions(TypedDict, total=False):
    """What a message has besides its topic and payload."""

    qos: QoS | int | None
    """How surely it is delivered: 0 for messages, 1 for requests, and that of the request for answers."""
    retain: bool | None
    """Ask the server to keep it for later subscribers of its topic."""
    deadline: float | None
    """Give up when it could not be sent within so many seconds."""
    keep_offline: bool | None
    """Keep a QoS 0 message for the next connection when there is none now. Without this it is lost."""
    alias: Literal["never", "try", "always"] | None
    """Whether a topic alias saves the topic's bytes from the second message on. Without this never."""
    payload_format_indicator: Literal[0, 1] | None
    """1 says that the payload is UTF-8."""
    message_expiry_interval: int | None
    """Whole seconds after which the message is of no use to a subscriber it has not reached."""
    content_type: str | None
    """What the payload is: by convention a MIME type."""
    response_topic: str | None
    """The topic on which an answer is awaited."""
    correlation_data: Buffer | None
    """What an answer repeats."""
    user_properties: Sequence[tuple[str, str]] | None
    """Names and values of the application's own. Their order is kept, names may repeat."""


class SubscribeOptions(TypedDict, total=False):
    """What is asked for by a subscription. The first four are for filters that have none of their own."""

    qos: QoS | int | None
    """The highest QoS at which the server may deliver. Without this 2: each message as it was published."""
    no_local: bool | None
    """Leave out what this client publishes itself. Not for shared filters."""
    retain_as_published: bool | None
    """Show the retain flag as it was published."""
    retain_handling: RetainHandling | int | None
    """Whether retained messages are sent when the subscription is made."""
    manual_ack: bool | None
    """Leave acknowledging to Message.ack and Message.reject. Without this a message is acknowledged when it is handed
    over."""
    capacity: int | None
    """How many messages may wait to be read. Without this 1,000."""
    capacity_bytes: int | None
    """How many bytes of messages may wait to be read. Without this 64 MiB."""
    when_full: Literal["hold", "drop_oldest", "drop_oldest_of_any"] | None
    """What becomes of messages when more would wait. Without this, "hold": the newest of QoS 0 is dropped, and the
    others are held back at the server. "drop_oldest" drops the oldest of QoS 0. "drop_oldest_of_any" bounds all, and
    drops the oldest whatever its QoS, as if it had been read."""
    user_properties: Sequence[tuple[str, str]] | None
    """Names and values of the application's own, for SUBSCRIBE."""
