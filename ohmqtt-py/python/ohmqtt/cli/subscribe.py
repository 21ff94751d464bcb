"""`python -m ohmqtt subscribe TOPIC`."""

from __future__ import annotations

import argparse
import os
import sys

from ohmqtt import Client, MQTTError, MQTTPublishPacket, RetainPolicy
from ohmqtt.cli.common import CommandError, add_broker_arguments, connected

__all__ = ["execute", "line", "register"]

ACK_TIMEOUT = 10.0
"""Seconds to wait for the broker to grant the subscription."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the parser."""
    about = "Subscribe to a topic and print a line for each message, until Ctrl-C."
    parser = commands.add_parser("subscribe", help="print the messages of a topic", description=about)
    parser.add_argument("topic", metavar="TOPIC", help="the topic filter: + is any level, # at the end all below")
    parser.add_argument(
        "--max_qos", type=int, choices=(0, 1, 2), default=2, help="quality of service at most (default: 2)"
    )
    parser.add_argument("--no_retained", action="store_true", help="leave out what the broker has kept from before")
    add_broker_arguments(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    """Print each message that comes, until Ctrl-C or until nobody reads what is printed."""
    retained = RetainPolicy.NEVER if args.no_retained else RetainPolicy.ALWAYS
    with connected(args, reconnect_delay=1) as client:
        try:
            handle = client.subscribe(args.topic, _show, args.max_qos, retain_policy=retained)
            codes = handle.wait_for_ack(ACK_TIMEOUT).reason_codes
        except TimeoutError:
            raise CommandError(f"no answer to the subscription within {ACK_TIMEOUT:.0f} s") from None
        except (MQTTError, ValueError) as error:
            raise CommandError(f"not subscribed: {error}") from error
        for code in codes:
            if code.is_error():
                raise CommandError(f"the broker refused the subscription: {code.name} (0x{code.value:02x})")
        client.wait_for_shutdown()


def line(packet: MQTTPublishPacket) -> str:
    """Return what is printed for a message: its topic, and its payload if that is text."""
    try:
        text = packet.payload.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not all(char.isprintable() or char in "\t\n\r" for char in text):
        text = f"<{len(packet.payload)} bytes of binary data>"
    return f"{packet.topic} : {text}"


def _show(client: Client, packet: MQTTPublishPacket) -> None:
    try:
        print(line(packet), flush=True)
    except BrokenPipeError:
        # Nobody reads any more; nor will what Python writes as it ends find a reader.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        client.shutdown()
