"""Where a broker listens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeAlias

StrPath: TypeAlias = str | os.PathLike[str]
"""The name of a file."""

Identity: TypeAlias = tuple[StrPath, StrPath]
"""A certificate and its private key: two files of PEM, which may be one and the same. Behind the certificate may
stand those that lead to its authority. The key must not be encrypted."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """One place where a broker listens, when its URL does not say all.

    What a scheme has no use for is left alone.

    - `url`: `mqtt://`, `mqtts://`, `ws://`, `wss://` or `quic://`, a host and a port, of which 0 takes a free one; or
      `unix:/path`. Of a WebSocket URL the path is the only one that is served; without one all are.
    - `identity`: what to show for `mqtts`, `wss` and `quic`; `None`: that of the broker.
    - `client_authorities`: a file of PEM with the authorities that issue the certificates of clients: each client is
      asked for one.
    - `client_certificates_required`: whether clients without a certificate are turned away.
    - `socket_mode`: the permissions of a socket file, such as `0o660`; `None`: what the process's umask leaves.
    """

    url: str
    identity: Identity | None = None
    client_authorities: StrPath | None = None
    client_certificates_required: bool = True
    socket_mode: int | None = None
