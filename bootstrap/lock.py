"""The lock stage: one run at a time works on a database, the others wait for it or give up."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from bootstrap import database, journal
from bootstrap.errors import LockError, Terminated

FIRST_S = 0.05
FACTOR = 2.0
CAP_S = 0.5


def _random() -> float:
    """From 0 to 1; the module of this name costs each start more than all that it is used for."""
    return int.from_bytes(os.urandom(4), "big") / 2**32


@contextlib.contextmanager
def held(
    base: database.Database,
    record: journal.Journal,
    *,
    wait_s: float,
    stop: threading.Event,
    settled: Callable[[], bool] = lambda: False,
    rng: Callable[[], float] = _random,
) -> Iterator[bool]:
    """Hold the migration lock for the length of the block.

    Polls with jitter for at most `wait_s` seconds, then raises LockError with the holder. A sleep
    ends early where the holder can tell that it gave the lock back. `settled` is asked then whether
    that run did all the work: if so, the block runs without the lock, being told False. So a crowd
    need not queue to find that out.

    A lock found lost at the end is a warning: the work in between was watched by its own means.
    """
    began_s = time.monotonic()
    with record.stage("lock", f"taking the migration lock of {base.target.identity}"):
        sleep_s, told, is_free, held_here = FIRST_S, False, True, False
        while not (is_free and base.try_lock()):
            waited_s = time.monotonic() - began_s
            if waited_s >= wait_s:
                holder = base.holder()
                raise LockError(
                    f"the migration lock of {base.target.identity} was not got in {wait_s:g} s; it "
                    f"is held by {holder}; wait for that run to end, or end it",
                    waited_s=round(waited_s, 1),
                    holder=holder,
                )
            if not told and waited_s >= 1:
                told = True
                record.event(
                    "lock_waiting",
                    f"the migration lock is held by {base.holder()}; waiting up to {wait_s:g} s",
                )
            # Runs that started together must not poll together.
            base.await_unlock(min(sleep_s * (0.5 + rng()), wait_s - waited_s), stop)
            if stop.is_set():
                raise Terminated(signal.SIGTERM)
            sleep_s = min(sleep_s * FACTOR, CAP_S)
            is_free = base.lock_is_free()
            if is_free and settled():
                break
        else:
            held_here = True
        record.set(lock_s=time.monotonic() - began_s)
    if not held_here:
        yield False
        return
    try:
        yield True
    finally:
        if not base.unlock():
            record.event(
                "lock_lost",
                f"the migration lock of {base.target.identity} was lost before it was given back",
                level="warning",
            )
