from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import inspect
import logging
import subprocess
import sys

import pytest

import ohmqtt

PACKETS = """MQTTAuthPacket MQTTConnAckPacket MQTTConnectPacket MQTTDisconnectPacket MQTTPacket MQTTPingReqPacket
    MQTTPingRespPacket MQTTPubAckPacket MQTTPubCompPacket MQTTPubRecPacket MQTTPubRelPacket MQTTPublishPacket
    MQTTSubAckPacket MQTTSubscribePacket MQTTUnsubAckPacket MQTTUnsubscribePacket"""
PROPERTIES = """MQTTAuthProps MQTTConnAckProps MQTTConnectProps MQTTDisconnectProps MQTTProperties MQTTPubAckProps
    MQTTPubCompProps MQTTPubRecProps MQTTPubRelProps MQTTPublishProps MQTTSubAckProps MQTTSubscribeProps
    MQTTUnsubAckProps MQTTUnsubscribeProps MQTTWillProps"""

NAMES = {
    "ohmqtt": f"""{PACKETS} {PROPERTIES} AliasPolicy LostMessageError MQTTError MQTTQoS MQTTReasonCode
        MaxOutboundAliasError set_log_level __version__ __version_info__""",
    "ohmqtt.connection": "Address ConnectParams InvalidStateError MessageHandlers",
    "ohmqtt.connection.address": "Address DEFAULT_PORTS is_ipv6",
    "ohmqtt.connection.decoder": "ClosedSocketError IncrementalDecoder WantReadError",
    "ohmqtt.connection.fsm": "InvalidStateError",
    "ohmqtt.connection.handlers": "MessageHandlers",
    "ohmqtt.connection.types": "ConnectParams",
    "ohmqtt.connection.wslib": "WebsocketError",
    "ohmqtt.error": "MQTTError",
    "ohmqtt.logger": "get_logger ohmqtt_logger set_log_level",
    "ohmqtt.mqtt_spec": """AUTH_REASON_CODES CONNACK_REASON_CODES DISCONNECT_REASON_CODES MAX_PACKET_ID MQTTPacketType
        MQTTPropertyId MQTTQoS MQTTReasonCode PUBACK_REASON_CODES PUBCOMP_REASON_CODES PUBREC_REASON_CODES
        PUBREL_REASON_CODES SUBACK_REASON_CODES UNSUBACK_REASON_CODES""",
    "ohmqtt.packet": f"{PACKETS} PING PONG decode_packet decode_packet_from_parts",
    "ohmqtt.packet.auth": "MQTTAuthPacket",
    "ohmqtt.packet.base": "MQTTPacket",
    "ohmqtt.packet.connect": "MQTTConnAckPacket MQTTConnectPacket MQTTDisconnectPacket",
    "ohmqtt.packet.ping": "MQTTPingReqPacket MQTTPingRespPacket PING PONG",
    "ohmqtt.packet.publish": "MQTTPubAckPacket MQTTPubCompPacket MQTTPubRecPacket MQTTPubRelPacket MQTTPublishPacket",
    "ohmqtt.packet.subscribe": "MQTTSubAckPacket MQTTSubscribePacket MQTTUnsubAckPacket MQTTUnsubscribePacket",
    "ohmqtt.persistence.base": "LostMessageError Persistence RenderedPacket",
    "ohmqtt.persistence.in_memory": "InMemoryPersistence",
    "ohmqtt.persistence.sqlite": "SQLitePersistence SchemaError",
    "ohmqtt.platform": "AF_UNIX HAS_AF_UNIX PlatformError",
    "ohmqtt.property": PROPERTIES,
    "ohmqtt.protected": "LockLike Protected protect",
    "ohmqtt.serialization": """MAX_VARINT decode_binary decode_bool decode_packet_id decode_reason_code decode_string
        decode_string_pair decode_uint16 decode_uint32 decode_uint8 decode_varint encode_binary encode_bool
        encode_string encode_string_pair encode_uint16 encode_uint32 encode_uint8 encode_varint""",
    "ohmqtt.topic_alias": "AliasPolicy InboundTopicAlias MaxOutboundAliasError OutboundLookupResult OutboundTopicAlias",
    "ohmqtt.topic_filter": """join_share match_topic_filter split_share validate_share_name validate_topic
        validate_topic_filter""",
}


@pytest.mark.parametrize("module", NAMES)
def test_every_name_is_where_programs_import_it_from(module: str) -> None:
    found = importlib.import_module(module)
    for name in NAMES[module].split():
        assert hasattr(found, name), f"{module}.{name}"


def test_a_name_is_the_same_from_every_module() -> None:
    for name in NAMES["ohmqtt"].split():
        homes = [importlib.import_module(module) for module, names in NAMES.items() if name in names.split()]
        assert len({id(getattr(home, name)) for home in homes}) == 1, name


def test_everything_has_a_docstring() -> None:
    for module, names in NAMES.items():
        home = importlib.import_module(module)
        assert home.__doc__, module
        for name in names.split():
            value = getattr(home, name)
            if isinstance(value, type) or inspect.isfunction(value):
                assert value.__doc__, f"{module}.{name}"


@pytest.mark.parametrize("module", ["ohmqtt.packet", "ohmqtt.property"])
def test_the_examples_of_the_docstrings_are_right(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert failed == 0
    assert tried > 1


def test_the_version_is_the_distributions() -> None:
    assert ohmqtt.__version__ == importlib.metadata.version("ohmqtt")
    assert ohmqtt.__version_info__[:2] == tuple(map(int, ohmqtt.__version__.split(".")[:2]))


def test_the_package_lists_what_it_has_and_refuses_what_it_has_not() -> None:
    assert {"MQTTError", "packet", "__version__"} <= set(dir(ohmqtt))
    with pytest.raises(AttributeError, match="module 'ohmqtt' has no attribute 'MQTTErorr'"):
        _ = ohmqtt.MQTTErorr  # type: ignore[attr-defined]


def test_what_is_not_used_is_not_imported() -> None:
    code = "import sys, ohmqtt; known = set(sys.modules); print([m for m in {} if m in known])"
    heavy = ["asyncio", "ssl", "trio", "sqlite3", "dataclasses", "importlib.metadata", "ohmqtt.packet"]
    done = subprocess.run([sys.executable, "-c", code.format(heavy)], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    code = "import sys; from ohmqtt import MQTTPublishPacket; from ohmqtt.connection import Address, ConnectParams;"
    code += "print([m for m in ('asyncio', 'ssl', 'trio', 'sqlite3') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_level_of_one_logger_is_that_of_all() -> None:
    from ohmqtt.logger import get_logger

    logger = get_logger("client")
    assert logger.name == "ohmqtt.client"
    before = logging.getLogger("ohmqtt").level
    try:
        ohmqtt.set_log_level(logging.DEBUG)
        assert logger.getEffectiveLevel() == logging.DEBUG
    finally:
        ohmqtt.set_log_level(before)
