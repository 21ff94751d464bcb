"""`python -m ohmqtt publish TOPIC [MESSAGE]`."""

from __future__ import annotations

import argparse

from ohmqtt import MQTTError, MQTTPublishProps
from ohmqtt.cli.common import UINT32, CommandError, add_broker_arguments, connected, number

__all__ = ["execute", "register"]

ACK_TIMEOUT = 10.0
"""Seconds to wait for the broker to acknowledge a message of QoS 1 or 2."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of the parser."""
    parser = commands.add_parser("publish", help="publish a message to a topic", description="Publish a message.")
    parser.add_argument("topic", metavar="TOPIC", help="the topic to publish to")
    parser.add_argument("message", metavar="MESSAGE", nargs="?", default="", help="its payload (default: empty)")
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), default=0, help="quality of service (default: 0)")
    parser.add_argument("--retain", action="store_true", help="let the broker keep it for later subscribers")
    parser.add_argument("--payload_format_indicator", action="store_true", help="say that the payload is text")
    parser.add_argument(
        "--message_expiry_interval",
        type=number(0, UINT32),
        metavar="SECONDS",
        help="drop it when it is older than this",
    )
    parser.add_argument("--content_type", help="what the payload is, such as application/json")
    parser.add_argument("--response_topic", help="the topic to answer on")
    parser.add_argument("--correlation_data", help="what an answer shall bear")
    add_broker_arguments(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    """Publish the message; it has been acknowledged, or at QoS 0 sent, when this returns."""
    with connected(args) as client:
        try:
            handle = client.publish(
                args.topic, args.message, qos=args.qos, retain=args.retain, properties=_properties(args)
            )
            if args.qos > 0:
                handle.wait_for_ack(ACK_TIMEOUT)
        except TimeoutError:
            raise CommandError(f"no acknowledgement within {ACK_TIMEOUT:.0f} s") from None
        except (MQTTError, ValueError) as error:
            raise CommandError(f"not published: {error}") from error
    print(f"Published message to {args.topic}")


def _properties(args: argparse.Namespace) -> MQTTPublishProps:
    values = {
        "PayloadFormatIndicator": 1 if args.payload_format_indicator else None,
        "MessageExpiryInterval": args.message_expiry_interval,
        "ContentType": args.content_type,
        "ResponseTopic": args.response_topic,
        "CorrelationData": None if args.correlation_data is None else args.correlation_data.encode(),
    }
    return MQTTPublishProps(**{name: value for name, value in values.items() if value is not None})
