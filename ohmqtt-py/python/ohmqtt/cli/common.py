"""What the commands have in common: the options about the broker, and the connection to it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ohmqtt import Client, MQTTConnectProps

__all__ = [
    "BrokerConnectionError",
    "CommandError",
    "add_broker_arguments",
    "connect_properties",
    "connected",
    "number",
]

UINT16 = 0xFFFF
UINT32 = 0xFFFF_FFFF


class BrokerConnectionError(Exception):
    """There is no connection to the broker; the cause is what went wrong."""


class CommandError(Exception):
    """The command could not be carried out."""


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """Return the type of an option that is a number from `lowest` to `highest`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {lowest} to {highest}")
        return value

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def add_broker_arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that say which broker, and how to connect to it."""
    group = parser.add_argument_group("broker")
    group.add_argument(
        "--address",
        default="localhost",
        help="where it is: a host, host:port, or a URL with mqtt, mqtts, ws, wss or unix (default: localhost)",
    )
    group.add_argument(
        "--client_id", default="", help="name of the client and its session (default: the broker's choice)"
    )
    group.add_argument("--clean_start", action="store_true", help="begin a new session even if there is one")
    group.add_argument("--connect_timeout", type=_seconds, metavar="SECONDS", help="give up connecting after this long")
    group.add_argument("--username", help="user name to log in with")
    group.add_argument("--password", help="password to log in with")
    group.add_argument(
        "--session_expiry_interval",
        type=number(0, UINT32),
        metavar="SECONDS",
        help="keep the session for this long after the connection ends; 4294967295 is for ever",
    )
    group.add_argument(
        "--receive_maximum",
        type=number(1, UINT16),
        metavar="MESSAGES",
        help="how many messages of QoS 1 and 2 the broker may have in flight to here (1 to 65535)",
    )
    group.add_argument(
        "--max_packet_size", type=number(1, UINT32), metavar="BYTES", help="longest packet that is taken (at least 1)"
    )
    group.add_argument(
        "--topic_alias_maximum",
        type=number(0, UINT16),
        metavar="ALIASES",
        help="how many topic aliases the broker may use (0 to 65535)",
    )
    group.add_argument("--request_response_info", action="store_true", help="ask for response information")
    group.add_argument("--request_problem_info", action="store_true", help="ask for reason strings and user properties")
    return parser


def connect_properties(args: argparse.Namespace) -> MQTTConnectProps:
    """Return the properties of CONNECT that the options ask for."""
    values = {
        "SessionExpiryInterval": args.session_expiry_interval,
        "ReceiveMaximum": args.receive_maximum,
        "MaximumPacketSize": args.max_packet_size,
        "TopicAliasMaximum": args.topic_alias_maximum,
        "RequestResponseInformation": args.request_response_info or None,
        "RequestProblemInformation": args.request_problem_info or None,
    }
    return MQTTConnectProps(**{name: value for name, value in values.items() if value is not None})


@contextmanager
def connected(args: argparse.Namespace, *, reconnect_delay: int = 0) -> Iterator[Client]:
    """Give a client that is connected as the options say; at the end what it has still to send is sent.

    `BrokerConnectionError` when it cannot connect.
    """
    with Client() as client:
        try:
            client.connect(
                args.address,
                client_id=args.client_id,
                clean_start=args.clean_start,
                connect_timeout=args.connect_timeout,
                reconnect_delay=reconnect_delay,
                username=args.username,
                password=None if args.password is None else args.password.encode(),
                connect_properties=connect_properties(args),
            )
            client.wait_for_connect()
        except Exception as error:
            # An address may hold a password, and a message need not: it is told as it was given only without one.
            where = "the broker" if "@" in args.address else args.address
            raise BrokerConnectionError(f"no connection to {where}: {error or type(error).__name__}") from error
        yield client
