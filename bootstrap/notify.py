"""News for systemd, as sd_notify(3) describes them: ready, status, more time, signs of life.

A long step asks for more time for as long as this process lives; whether a statement of a migration
makes progress, only the database knows. After the hand over the app is the one that systemd hears.
"""

import socket
import threading
import time
from collections.abc import Callable

from bootstrap import checks, journal, redact, settings

TICK_S = 10.0
# What is asked for at each tick in a long stage; longer than a tick, so that one may come late.
EXTENSION_S = 30.0
LONG_STAGES = ("wait", "lock", "migrate", "validate", "seed")


class Notifier:
    """Tells systemd, which listens at `where`, how the journal goes.

    In the phases ready and lost the watch must be heard of in the journal within `quiet_s` seconds,
    or systemd hears no more signs of life from here; None asks only for a living main thread.
    """

    def __init__(
        self,
        record: journal.Journal,
        where: settings.NotifySocket,
        *,
        quiet_s: float | None = None,
        tick_s: float = TICK_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._record = record
        self._where = where
        self._quiet_s = quiet_s
        self._tick_s = tick_s
        if where.watchdog_s is not None:
            self._tick_s = min(tick_s, where.watchdog_s / 2)
        self._clock = clock
        self._heard_s = clock()
        self._told = ""
        self._ready = False
        self._stopping = False
        self._failing = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Tell how it is now, and from here on what changes."""
        self._record.add_sink(self._hear)
        self._tick()
        self._thread = threading.Thread(target=self._run, name="systemd", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell no more. What ends, says so in the journal: phase stopping."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stop.wait(self._tick_s):
            self._tick()

    def _tick(self) -> None:
        status = self._record.status
        lines = [*self._status_line(status), *_more_time(status)]
        if self._where.watchdog_s is not None and self._alive(status):
            lines.append("WATCHDOG=1")
        self._send(lines)

    def _hear(self, _: journal.Event, status: journal.Status) -> None:
        if self._stop.is_set():
            return
        self._heard_s = self._clock()
        lines = self._status_line(status)
        if status.phase == "ready" and not self._ready:
            self._ready = True
            lines.append("READY=1")
        if status.phase == "stopping" and not self._stopping:
            self._stopping = True
            lines.append("STOPPING=1")
        if lines:
            # A stage has begun, and its first tick may be far away.
            lines += _more_time(status)
        self._send(lines)

    def _alive(self, status: journal.Status) -> bool:
        if not threading.main_thread().is_alive():
            return False
        watched = self._quiet_s is not None and status.phase in ("ready", "lost")
        return not watched or self._clock() - self._heard_s <= (self._quiet_s or 0)

    def _status_line(self, status: journal.Status) -> list[str]:
        """The line for `systemctl status`, unless it was told before."""
        line = f"STATUS={redact.text(checks.summary(status))}"
        if line == self._told:
            return []
        self._told = line
        return [line]

    def _send(self, lines: list[str]) -> None:
        if not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                # The queue of a busy manager is full for a moment at the most.
                channel.settimeout(1.0)
                channel.sendto("\n".join(lines).encode(), self._where.address)
            self._failing = False
        except OSError as error:
            if not self._failing:
                self._failing = True
                self._record.event(
                    "notify_failed",
                    f"cannot tell systemd: {error.strerror or error}; going on without it",
                    level="warning",
                )


def _more_time(status: journal.Status) -> list[str]:
    if status.phase != "starting" or status.stage not in LONG_STAGES:
        return []
    return [f"EXTEND_TIMEOUT_USEC={EXTENSION_S * 1e6:.0f}"]
