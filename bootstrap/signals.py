"""Work that a signal may end: it runs in a thread, while the main thread only listens."""

import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from bootstrap.errors import Terminated

T = TypeVar("T")


def interruptible(
    work: Callable[[threading.Event], T],
    *,
    grace_s: float,
    on_signal: Callable[[int], None] = lambda _: None,
) -> T:
    """Run `work(stop)`; SIGTERM and SIGINT set `stop`, and the work gets `grace_s` seconds to end.

    `on_signal` is called before that time begins, with the signal's number.

    A handler that raises inside the work itself could hit it anywhere, also while it holds the lock
    of an Event. In a main thread that only waits it cannot. Raises Terminated after a signal.
    """
    stop = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(stop))
        except BaseException as error:
            errors.append(error)

    def handle(signum: int, _: Any) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(signum)

    before = {each: signal.signal(each, handle) for each in (signal.SIGTERM, signal.SIGINT)}
    thread = threading.Thread(target=run, name="bring-up", daemon=True)
    try:
        thread.start()
        thread.join()
    except Terminated as signalled:
        on_signal(signalled.signum)
        stop.set()
        thread.join(grace_s)
        raise
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if errors:
        raise errors[0]
    return results[0]
