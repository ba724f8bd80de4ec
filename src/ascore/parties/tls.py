"""What a party checks about its own doors before it opens them."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path

SECONDS = 5.0


def tls12_refused(listen: str, port: int, certificate: Path, key: Path) -> bool:
    """Whether our own server refuses TLS 1.2, tried by a handshake; False where it cannot be tried.

    Args:
        listen: HOST:PORT that it was to serve at.
        port: at which it does.
        certificate: of this party, so that nothing but the version can be what is refused.
        key: of it.
    """
    host = listen.rpartition(":")[0].strip("[]")
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            context.wrap_socket(plain),
        ):
            return False
    except (ssl.SSLError, ConnectionResetError):
        return True
    except OSError:
        return False  # nobody has answered, so nothing is sure


def is_loopback(address: str) -> bool:
    """Whether HOST:PORT is of this machine alone."""
    host = address.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
