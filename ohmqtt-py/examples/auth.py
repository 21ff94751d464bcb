"""Log in by SCRAM-SHA-256: client and broker prove to each other that they know the password, and none sends it.

The broker asks by AUTH packets, and `handle_auth` of a subclass of the client answers them.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
from base64 import b64decode, b64encode
from secrets import token_urlsafe

from examples import args
from ohmqtt import Client, MQTTAuthPacket, MQTTConnectProps, MQTTReasonCode

METHOD = "SCRAM-SHA-256"


class Scram:
    """The client's side of one SCRAM-SHA-256 exchange (RFC 5802 and 7677), for names and passwords in ASCII."""

    def __init__(self, username: str, password: str) -> None:
        """Begin an exchange."""
        name = username.replace("=", "=3D").replace(",", "=2C")
        self._password = password.encode("ascii")
        self._nonce = token_urlsafe(18)
        self._first = f"n={name},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        """Return what CONNECT bears."""
        return f"n,,{self._first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """Return the proof for what the broker asks."""
        fields = dict(field.split("=", 1) for field in challenge.decode().split(","))
        if not fields["r"].startswith(self._nonce):
            raise ValueError("the broker answers somebody else's question")
        salted = hashlib.pbkdf2_hmac("sha256", self._password, b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        last = f"c=biws,r={fields['r']}"
        all_said = f"{self._first},{challenge.decode()},{last}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), all_said, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self._signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), all_said, "sha256")
        return f"{last},p={b64encode(proof).decode()}".encode()

    def is_proof(self, data: bytes | None) -> bool:
        """Whether what CONNACK bears shows that the broker knows the password too."""
        return data is not None and hmac.compare_digest(data, b"v=" + b64encode(self._signature))


class AuthClient(Client):
    """A client that answers the broker's questions."""

    def __init__(self, scram: Scram) -> None:
        """Make a client that answers as `scram` says."""
        super().__init__()
        self._scram = scram

    def handle_auth(self, packet: MQTTAuthPacket) -> None:
        """Answer one question."""
        print(f"the broker asks: {packet.reason_code.name}")
        self.auth(
            authentication_method=METHOD,
            authentication_data=self._scram.answer(packet.properties.AuthenticationData or b""),
            reason_code=MQTTReasonCode.ContinueAuthentication,
        )


def main() -> None:
    """Connect, and look at the broker's own proof."""
    parser = args.parser(__doc__ or "")
    parser.add_argument("-u", "--username", default="alice", help="user name (default: %(default)s)")
    parser.add_argument("-p", "--password", default="secret", help="password (default: %(default)s)")
    parser.add_argument("--cafile", help="certificates to trust besides the system's, for an address with mqtts or wss")
    options = parser.parse_args()

    tls_context = ssl.create_default_context(cafile=options.cafile) if options.cafile else None
    scram = Scram(options.username, options.password)
    with AuthClient(scram) as client:
        client.connect(
            options.address,
            tls_context=tls_context,
            connect_properties=MQTTConnectProps(AuthenticationMethod=METHOD, AuthenticationData=scram.first()),
        )
        client.wait_for_connect(timeout=10.0)
        connack = client.connack
        if connack is None or not scram.is_proof(connack.properties.AuthenticationData):
            raise SystemExit("this broker does not know the password")
        print("logged in, and so is the broker")


if __name__ == "__main__":
    main()
