from __future__ import annotations

import copy
import pickle

import pytest

from ohmqtt import mqtt_spec
from ohmqtt.error import MQTTError
from ohmqtt.mqtt_spec import MQTTPacketType, MQTTPropertyId, MQTTQoS, MQTTReasonCode
from ohmqtt.topic_alias import AliasPolicy


def test_reason_codes_have_their_numbers_and_names() -> None:
    assert len(MQTTReasonCode) == 43
    assert {MQTTReasonCode.NormalDisconnection, MQTTReasonCode.GrantedQoS0} == {MQTTReasonCode.Success}
    assert MQTTReasonCode.Success.name == "Success"
    assert MQTTReasonCode["NotAuthorized"] == 0x87
    assert MQTTReasonCode(0xA2) is MQTTReasonCode.WildcardSubscriptionsNotSupported
    assert [code for code in MQTTReasonCode if code.is_error()] == [code for code in MQTTReasonCode if code >= 0x80]
    assert not MQTTReasonCode.ReAuthenticate.is_error()


def test_the_other_numbers_are_the_specifications() -> None:
    assert [*MQTTPacketType] == list(range(1, 16))
    assert MQTTPacketType(15) is MQTTPacketType.AUTH
    assert len(MQTTPropertyId) == 27
    assert MQTTPropertyId(0x24) is MQTTPropertyId.MaximumQoS
    assert MQTTPropertyId(0x2A) is MQTTPropertyId.SharedSubscriptionAvailable
    assert [MQTTQoS.Q0, MQTTQoS.Q1, MQTTQoS.Q2] == [0, 1, 2]
    assert [AliasPolicy.NEVER, AliasPolicy.TRY, AliasPolicy.ALWAYS] == [0, 1, 2]
    assert mqtt_spec.MAX_PACKET_ID == 65_535


def test_each_packet_has_the_reason_codes_of_its_section() -> None:
    code = MQTTReasonCode
    assert {code.Success, code.PacketIdentifierNotFound} == mqtt_spec.PUBREL_REASON_CODES
    assert mqtt_spec.PUBCOMP_REASON_CODES == mqtt_spec.PUBREL_REASON_CODES
    acks = {0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99}
    assert acks == mqtt_spec.PUBACK_REASON_CODES
    assert acks == mqtt_spec.PUBREC_REASON_CODES
    assert {0x00, 0x18, 0x19} == mqtt_spec.AUTH_REASON_CODES
    assert {0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91} == mqtt_spec.UNSUBACK_REASON_CODES
    assert {0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2} == mqtt_spec.SUBACK_REASON_CODES
    assert len(mqtt_spec.CONNACK_REASON_CODES) == 22
    assert len(mqtt_spec.DISCONNECT_REASON_CODES) == 30
    assert code.DisconnectWithWillMessage in mqtt_spec.DISCONNECT_REASON_CODES


def test_an_error_tells_its_reason_code() -> None:
    error = MQTTError("no", MQTTReasonCode.NotAuthorized)
    assert str(error) == "no (reason code: NotAuthorized{0x87})"
    assert error.args == ("no",)
    assert str(MQTTError("m")) == "m (reason code: UnspecifiedError{0x80})"
    assert str(MQTTError("m", MQTTReasonCode.Success)) == "m (reason code: Success{0x0})"
    assert MQTTError.__mro__[1] is Exception


@pytest.mark.parametrize("again", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_keeps_its_reason_code_in_copies(again: type[MQTTError]) -> None:
    error = again(MQTTError("no", MQTTReasonCode.NotAuthorized))  # type: ignore[arg-type]
    assert error.reason_code is MQTTReasonCode.NotAuthorized
    assert str(error) == "no (reason code: NotAuthorized{0x87})"
