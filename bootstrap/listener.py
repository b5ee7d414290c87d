"""The socket that a server of this program listens on."""

import errno
import os
import socket

from bootstrap import settings
from bootstrap.errors import SettingsError

BACKLOG = 2048


def listen(address: str, what: str, setting: str) -> socket.socket:
    """Listen on `host:port`, port 0 being any that is free.

    Raises SettingsError, worded with `what` is to be served there and the `setting` to correct.
    """
    try:
        host, port = settings.host_and_port(address)
    except ValueError as error:
        raise SettingsError(f"{setting}: {error}", address=address) from None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::"
        )
    except OSError as error:
        raise SettingsError(
            f"cannot serve {what} on {address}: {_reason(error)}; free it, or set {setting} to "
            "another host:port",
            address=address,
        ) from error
    # Every connection inherits this. asyncio sets it on sockets that it made itself; without it the
    # second packet of an answer waits some 40 ms for the client to acknowledge the first.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def address(listener: socket.socket) -> str:
    """Where it listens, with the real port."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the port is taken"
    # create_server adds words of its own to the system's; the resolver's errors have no errno.
    if isinstance(error, socket.gaierror) or error.errno is None:
        return error.strerror or str(error)
    return os.strerror(error.errno)
