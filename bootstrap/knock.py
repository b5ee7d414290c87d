"""Between two tries a wait knocks: a port that was closed and opens ends the sleep.

A knock is a connection that is closed at once: no login, no try that is counted, and on a port that
is still closed nothing that its server would ever see.
"""

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

EVERY_S = 0.1


class Door(NamedTuple):
    """Where a server will listen: a name or an address with its port, or the path of a socket."""

    host: str
    port: int | None = None


def until_open(doors: Sequence[Door], until_s: float) -> bool:
    """Whether one of them opened before `until_s` on the monotonic clock."""
    # Names are looked up once: a sleep is short, and the next try looks them up anew.
    known = [place for door in doors for place in _places(door)]
    while known and (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(EVERY_S, left_s))
        if any(_opens(*place) for place in known):
            return True
    return False


def _places(door: Door) -> Iterator[tuple[int, Any]]:
    if door.port is None:
        yield socket.AF_UNIX, door.host
        return
    with contextlib.suppress(OSError, UnicodeError):
        for family, _, _, _, address in socket.getaddrinfo(
            door.host, door.port, type=socket.SOCK_STREAM
        ):
            yield family, address


def _opens(family: int, address: Any) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(EVERY_S)
        try:
            client.connect(address)
        except OSError:
            return False
        return True
