"""The line to the parent: JSON lines in both directions."""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
from array import array
from typing import Any

PARENT_GONE = 70
_DESCRIPTORS = 8


class Channel:
    """Events and answers leave on a file descriptor, the parent's lines come from stdin, a socket.

    With a line may come descriptors, which this process does nothing with but hold: the session
    behind them, and its lock, live on until it ends. The end of stdin means that the parent is
    gone: then this process ends at once, and the server rolls back what is open.
    """

    def __init__(self, descriptor: int) -> None:
        self._out = os.fdopen(descriptor, "w", encoding="utf-8")
        self._in: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        line = socket.socket(fileno=sys.stdin.fileno())
        room = socket.CMSG_SPACE(_DESCRIPTORS * array("i").itemsize)
        rest = b""
        while True:
            try:
                received, _, _, _ = line.recvmsg(65536, room)
            except OSError:
                received = b""
            if not received:
                os._exit(PARENT_GONE)
            *whole, rest = (rest + received).split(b"\n")
            for each in whole:
                self._in.put(each)

    def send(self, **message: object) -> None:
        """One line to the parent."""
        self.hold(**message)
        self.flush()

    def hold(self, **message: object) -> None:
        """One line to the parent, which leaves with the next: to be woken costs it the most."""
        self._out.write(json.dumps(message, default=str) + "\n")

    def flush(self) -> None:
        """Send what is held."""
        self._out.flush()

    def receive(self) -> dict[str, Any]:
        """The parent's next line; waits for it."""
        # With a timeout the main thread stays open to signals on every platform.
        while True:
            try:
                received = json.loads(self._in.get(timeout=3600))
            except queue.Empty:
                continue
            assert isinstance(received, dict)
            return received
