from __future__ import annotations

import doctest
import inspect

import ohmqtt.codec
from ohmqtt import _native


def test_the_examples_of_the_docstrings_are_right() -> None:
    failed, tried = doctest.testmod(ohmqtt.codec)
    assert (failed, tried) == (0, 3)


def test_every_name_has_a_docstring() -> None:
    for name in set(ohmqtt.codec.__all__) - {"Packet"}:
        assert getattr(ohmqtt.codec, name).__doc__, name
    for name in _native.__all__:
        assert getattr(_native, name).__doc__, name


def test_signatures_are_those_of_help() -> None:
    make = inspect.signature(ohmqtt.codec.PubAckPacket)
    assert str(make) == "(packet_id, *, reason_code=0, reason_str=None, user_properties=None)"
    assert str(inspect.signature(ohmqtt.codec.read)) == "(buffer, /, *, max_packet_size=None)"
