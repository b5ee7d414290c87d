"""Pauses between tries of work that others were in the way of, such as a lock timeout."""

import random
import signal
import threading

from bootstrap import journal
from bootstrap.errors import Terminated

FIRST_S = 0.5
CAP_S = 10.0


class Pauses:
    """Sleeps before the next try and says why; `most` is how many tries there are after the first.

    A sleep doubles from 0.5 s up to 10 s, and half of it is random, so that those who got into each
    other's way do not meet again.
    """

    def __init__(self, record: journal.Journal, stop: threading.Event, most: int) -> None:
        self._record = record
        self._stop = stop
        self._most = most

    def __call__(self, event: str, message: str, tries: int, **facts: object) -> None:
        """After `tries` failed tries. Raises Terminated when the run is to end."""
        sleep_s = min(CAP_S, FIRST_S * 2 ** (tries - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
        self._record.event(
            event,
            f"{message}; retry {tries} of {self._most} in {sleep_s:.1f} s",
            level="warning",
            **facts,
        )
        if self._stop.wait(sleep_s):
            raise Terminated(signal.SIGTERM)
