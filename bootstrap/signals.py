"""Work that a signal may end: it runs in a thread, while the main thread only listens."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from bootstrap.errors import Terminated

T = TypeVar("T")
_ENDED = b"\0"


def interruptible(
    work: Callable[[threading.Event], T],
    *,
    grace_s: float,
    on_signal: Callable[[int], None] = lambda _: None,
) -> T:
    """Run `work(stop)`; SIGTERM and SIGINT set `stop`, and the work gets `grace_s` seconds to end.

    `on_signal` is called before that time begins, with the signal's number.

    The handler only writes to a pipe, and the main thread only reads from it: a handler that raised
    could hit the work anywhere, also while it holds the lock of an Event. Raises Terminated after a
    signal.
    """
    stop = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []
    receiving, sending = os.pipe()

    def run() -> None:
        try:
            results.append(work(stop))
        except BaseException as error:
            errors.append(error)
        finally:
            os.write(sending, _ENDED)

    def handle(signum: int, _: Any) -> None:
        os.write(sending, bytes([signum]))

    before = {each: signal.signal(each, handle) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        threading.Thread(target=run, name="bring-up", daemon=True).start()
        news = os.read(receiving, 1)
        if news != _ENDED:
            on_signal(news[0])
            stop.set()
            _await_end(receiving, grace_s)
            raise Terminated(news[0])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if errors:
        raise errors[0]
    return results[0]


def _await_end(receiving: int, timeout_s: float) -> None:
    """Return when the work has ended or time is up; further signals change nothing."""
    deadline_s = time.monotonic() + timeout_s
    while (left_s := deadline_s - time.monotonic()) > 0:
        readable, _, _ = select.select([receiving], [], [], left_s)
        if readable and os.read(receiving, 1) == _ENDED:
            return
