"""The error that says which reason code MQTT has for it."""

from __future__ import annotations

from ohmqtt.mqtt_spec import MQTTReasonCode


class MQTTError(Exception):
    """Something that MQTT has a reason code for: a malformed packet, a refusal of the server, a limit it set."""

    reason_code: MQTTReasonCode
    """What to answer, or what was answered."""

    def __init__(self, message: str, reason_code: MQTTReasonCode = MQTTReasonCode.UnspecifiedError) -> None:
        """Say what is wrong, and its reason code."""
        super().__init__(message)
        self.reason_code = MQTTReasonCode(reason_code)

    def __str__(self) -> str:
        """Tell what is wrong, with the name and the number of the reason code."""
        return f"{self.args[0]} (reason code: {self.reason_code.name}{{{self.reason_code.value:#x}}})"

    def __reduce__(self) -> tuple[type[MQTTError], tuple[str, MQTTReasonCode]]:
        """Keep the reason code in copies and pickles."""
        return type(self), (self.args[0], self.reason_code)
