"""The `ssl_params` of the umqtt classes, made into a context of the standard library."""

from __future__ import annotations

import os
import ssl
import tempfile
from typing import Any

_KNOWN = ("key", "cert", "cafile", "cadata", "cert_reqs", "do_handshake")


def context(params: dict[str, Any]) -> ssl.SSLContext:
    """Make the context of a client.

    Certificates are checked against `cafile` or `cadata`, or those of the system, unless `cert_reqs` is 0. `key`,
    `cert` and the authorities are files or their contents. `FileNotFoundError` for a file that is not there,
    `ValueError` for a parameter that is none.
    """
    for name in params:
        if name not in _KNOWN:
            raise ValueError(f"ssl_params: there is no '{name}', only {', '.join(_KNOWN)} and server_hostname")
    cadata = params.get("cadata")
    made = ssl.create_default_context(
        cafile=params.get("cafile"),
        cadata=cadata.decode() if isinstance(cadata, bytes) and b"-----BEGIN" in cadata else cadata,
    )
    required = params.get("cert_reqs")
    if required is not None:
        if required != ssl.CERT_REQUIRED:
            made.check_hostname = False
        made.verify_mode = ssl.VerifyMode(required)
    cert, key = params.get("cert"), params.get("key")
    if cert is not None:
        with _File(cert) as certificate, _File(key) as private:
            # It exists as a name for as long as it is read.
            assert certificate is not None
            made.load_cert_chain(certificate, private)
    elif key is not None:
        raise ValueError("ssl_params: a key needs its cert")
    return made


class _File:
    """The path of a file, or of one made of its contents while it is needed."""

    def __init__(self, value: str | bytes | os.PathLike[str] | None) -> None:
        self.value = value
        self.made: str | None = None

    def __enter__(self) -> str | None:
        value = self.value
        if value is None or isinstance(value, os.PathLike):
            return None if value is None else os.fspath(value)
        text = value.decode() if isinstance(value, bytes) else value
        if "-----BEGIN" not in text:
            return text
        descriptor, self.made = tempfile.mkstemp()
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return self.made

    def __exit__(self, *_: object) -> None:
        if self.made is not None:
            os.unlink(self.made)
