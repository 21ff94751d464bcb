from __future__ import annotations

import pytest

from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTReasonCode
from ohmqtt.packet import MQTTPublishPacket
from ohmqtt.property import MQTTPublishProps
from ohmqtt.topic_alias import AliasPolicy, InboundTopicAlias, MaxOutboundAliasError, OutboundTopicAlias
from ohmqtt.topic_filter import (
    join_share,
    match_topic_filter,
    split_share,
    validate_share_name,
    validate_topic,
    validate_topic_filter,
)


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0b", "x" * 65_536])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        validate_topic(topic)
    with pytest.raises(ValueError, match="topic"):
        match_topic_filter("#", topic)


@pytest.mark.parametrize(
    "topic_filter", ["", "a+", "a/#/b", "b#", "\0", "x" * 65_536, "$share/g", "$share//f", "$share/g/"]
)
def test_what_is_no_topic_filter_is_refused(topic_filter: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        validate_topic_filter(topic_filter)


def test_what_is_one_is_not() -> None:
    for topic in ("a", "/", " ", "$SYS/x", "é" * 100):
        validate_topic(topic)
    for topic_filter in ("#", "+", "a/+/b/#", "/", "$share/g/#", "$share/g//"):
        validate_topic_filter(topic_filter)


def test_share_names() -> None:
    for name in ("(foo)", "B A R", "baz-23"):
        validate_share_name(name)
    for name in ("", "a/b", "#", "+", "\0", "x" * 65_536):
        with pytest.raises(ValueError, match="share"):
            validate_share_name(name)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "matches"),
    [
        ("sport/tennis/player1", "sport/tennis/player1", True),
        ("sport/tennis/player1", "sport/tennis/player2", False),
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/tennis/player1/#", "sport/tennis/player12", False),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/+", "$SYS/x", True),
        ("+", "finance", True),
        ("+", "/finance", False),
        ("/+", "/finance", True),
        ("+/+", "/finance", True),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("ACCOUNTS", "Accounts", False),
        ("$share/g/a/+", "a/b", True),
    ],
)
def test_matching_is_section_4_7(topic_filter: str, topic: str, matches: bool) -> None:
    assert match_topic_filter(topic_filter, topic) is matches


def test_a_share_name_is_joined_and_split_off() -> None:
    assert join_share("f/x", "g") == "$share/g/f/x"
    assert join_share("f/x", None) == "f/x"
    assert split_share("$share/g/f/x") == ("f/x", "g")
    assert split_share("f/x") == ("f/x", None)
    with pytest.raises(ValueError, match=r"\$share/NAME/FILTER"):
        split_share("$share/g")


def test_aliases_are_given_as_long_as_the_server_takes_them() -> None:
    aliases = OutboundTopicAlias()
    assert aliases.lookup("a", AliasPolicy.TRY) == (0, False)
    aliases.max_alias = 2
    assert aliases.lookup("a", AliasPolicy.NEVER) == (0, False)
    assert aliases.lookup("a", AliasPolicy.TRY) == (1, False)
    assert aliases.lookup("b", AliasPolicy.ALWAYS) == (2, False)
    result = aliases.lookup("b", AliasPolicy.ALWAYS)
    assert (result.alias, result.existed) == (2, True)
    assert aliases.lookup("c", AliasPolicy.TRY) == (0, False)
    with pytest.raises(MaxOutboundAliasError, match="no topic alias is left for 'c'"):
        aliases.lookup("c", AliasPolicy.ALWAYS)
    aliases.pop()
    assert aliases.lookup("c", AliasPolicy.ALWAYS) == (2, False)
    assert aliases.lookup("a", AliasPolicy.TRY) == (1, True)
    aliases.reset()
    assert (aliases.aliases, aliases.next_alias, aliases.max_alias) == ({}, 1, 2)
    aliases.pop()
    assert aliases.next_alias == 1


def received(topic: str, alias: int | None) -> MQTTPublishPacket:
    return MQTTPublishPacket(
        topic, properties=MQTTPublishProps() if alias is None else MQTTPublishProps(TopicAlias=alias)
    )


def test_aliases_that_come_stand_for_their_topics() -> None:
    aliases = InboundTopicAlias()
    aliases.max_alias = 2
    aliases.handle(received("plain", None))
    assert aliases.aliases == {}
    aliases.handle(received("a", 1))
    packet = received("", 1)
    aliases.handle(packet)
    assert packet.topic == "a"
    # An alias may be given to another topic.
    aliases.handle(received("b", 1))
    packet = received("", 1)
    aliases.handle(packet)
    assert packet.topic == "b"
    for topic, alias in [("a", 0), ("a", 3), ("", 2)]:
        with pytest.raises(MQTTError, match="topic alias") as raised:
            aliases.handle(received(topic, alias))
        assert raised.value.reason_code is MQTTReasonCode.TopicAliasInvalid
    aliases.reset()
    assert (aliases.aliases, aliases.max_alias) == ({}, 2)
