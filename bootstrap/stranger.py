"""Who is it that takes connections on this port, but does not speak as expected?

Without this a port number off by a little costs a whole wait: many servers sit in silence until a
message of their own protocol is complete.
"""

import socket
import struct
from typing import Literal

Protocol = Literal["HTTP", "Redis", "PostgreSQL", "TLS"]

# An error in HTTP and a question in Redis, for which PostgreSQL hangs up.
_LINE = b"PING\r\n\r\n"
# PostgreSQL's first message, to be answered with one letter.
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def protocol(host: str, port: int, timeout_s: float) -> Protocol | None:
    """What is spoken there; None where that cannot be found out in `timeout_s` seconds."""
    share_s = timeout_s / 3
    reply = _reply(host, port, _LINE, share_s)
    if reply.startswith((b"HTTP", b"<")):
        return "HTTP"
    if reply.startswith((b"+PONG", b"-")):
        return "Redis"
    if _reply(host, port, _SSL_REQUEST, share_s) in (b"S", b"N"):
        return "PostgreSQL"
    return "TLS" if _speaks_tls(host, port, share_s) else None


def _reply(host: str, port: int, message: bytes, timeout_s: float) -> bytes:
    try:
        with socket.create_connection((host, port), timeout_s) as connection:
            connection.sendall(message)
            return connection.recv(64)
    except OSError:
        return b""


def _speaks_tls(host: str, port: int, timeout_s: float) -> bool:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Nothing is sent through it: any certificate is proof enough.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout_s) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except OSError:
        return False
