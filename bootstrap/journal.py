"""The one record of what happened in this run; every report is drawn from it.

Log lines, the status file, systemd's status, HTTP health, metrics and exit reports are sinks or
readers of a `Journal`. It is safe to write from several threads.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from bootstrap.errors import BootstrapdError

Level = Literal["debug", "info", "warning", "error"]
# starting: on the way; ready: the app may start; failed: the way ended with an error;
# lost: it was ready, and now the database is away, replaced, behind or ahead;
# stopping: asked to end.
Phase = Literal["starting", "ready", "failed", "lost", "stopping"]

STAGES = ("settings", "wait", "pin", "lock", "migrate", "validate", "seed", "ready")


class Event(NamedTuple):
    """Something that happened: a word for machines, a sentence for people, and its facts."""

    name: str
    stage: str
    message: str
    level: Level
    time: float
    facts: Mapping[str, Any]


class Progress(NamedTuple):
    """How far a long step is: `done` of `total` units since `started_s` (monotonic seconds).

    `total` is None where nobody knows it before the end.
    """

    what: str
    done: int
    total: int | None
    started_s: float

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        return f"{self.done}{of} {self.what}"

    def eta_s(self, now_s: float) -> float | None:
        """Seconds left at the rate so far; None where that cannot be told."""
        if not self.done or self.total is None:
            return None
        return (now_s - self.started_s) / self.done * (self.total - self.done)


class Status(NamedTuple):
    """The state of this run at one moment. Times `*_at` are Unix seconds, durations are seconds."""

    app: str = ""
    target: str = ""
    release: str = ""
    phase: Phase = "starting"
    stage: str = "settings"
    reason: str = "starting"
    slug: str | None = None
    exit_code: int | None = None
    fallback: bool = False
    attempts: Mapping[str, int] = {}
    wait_s: float = 0.0
    lock_s: float = 0.0
    durations_s: Mapping[str, float] = {}
    revisions: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    pending: int | None = None
    # It has revisions that this release does not have but can do with.
    ahead: bool = False
    findings: tuple[Mapping[str, Any], ...] = ()
    seeded: Mapping[str, Mapping[str, int]] = {}
    progress: Progress | None = None
    identity: str | None = None
    started_at: float = 0.0
    changed_at: float = 0.0
    checked_at: float | None = None
    last_success_at: float | None = None


Sink = Callable[[Event, Status], None]


class Journal:
    """Collects events and keeps the status; hands both to every sink."""

    def __init__(self, *sinks: Sink, clock: Callable[[], float] = time.time) -> None:
        self._sinks = list(sinks)
        self._clock = clock
        self._lock = threading.RLock()
        now = clock()
        self._status = Status(started_at=now, changed_at=now)

    @property
    def status(self) -> Status:
        """The status now."""
        return self._status

    def add_sink(self, sink: Sink) -> None:
        """Hand every event from now on to `sink` too."""
        self._sinks.append(sink)

    def set(self, **changes: Any) -> None:
        """Change fields of the status without an event of their own."""
        with self._lock:
            self._status = self._status._replace(changed_at=self._clock(), **changes)

    def event(self, name: str, message: str, /, *, level: Level = "info", **facts: Any) -> None:
        """Record that something happened in the present stage."""
        with self._lock:
            event = Event(name, self._status.stage, message, level, self._clock(), facts)
            for sink in self._sinks:
                sink(event, self._status)

    def attempt(self, error_class: str) -> None:
        """Count one failed attempt of the present wait by the class of its error."""
        with self._lock:
            attempts = dict(self._status.attempts)
            attempts[error_class] = attempts.get(error_class, 0) + 1
            self.set(attempts=attempts)

    @contextlib.contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """One stage of the way: a line at its start at level debug, its duration at its end."""
        self.set(stage=name, reason=doing)
        self.event(f"{name}_started", doing, level="debug")
        began_s = time.monotonic()
        try:
            yield
        finally:
            took_s = time.monotonic() - began_s
            self.set(
                durations_s={**self._status.durations_s, name: round(took_s, 4)}, progress=None
            )

    def ready(self, message: str, **facts: Any) -> None:
        """The database is up and proven; the app may start."""
        with self._lock:
            if self._status.phase == "stopping":
                return
            now = self._clock()
            self.set(
                phase="ready",
                stage="ready",
                reason=message,
                slug=None,
                exit_code=0,
                checked_at=now,
                last_success_at=now,
            )
            self.event("ready", message, **facts)

    def failed(self, error: BootstrapdError) -> None:
        """The way ended with this error."""
        self.set(phase="failed", reason=error.message, slug=error.slug, exit_code=error.exit_code)
        self.event(
            "failed",
            str(error),
            level="error",
            slug=error.slug,
            exit_code=error.exit_code,
            **error.facts,
        )

    def lost(self, reason: str, slug: str, **changes: Any) -> None:
        """What was ready is so no more; loud only when the reason is news."""
        with self._lock:
            if self._status.phase == "stopping":
                return
            news = (self._status.phase, self._status.slug) != ("lost", slug)
            self.set(phase="lost", reason=reason, slug=slug, checked_at=self._clock(), **changes)
            level: Level = "warning" if news else "debug"
            self.event("lost", f"not ready: {reason}", level=level, slug=slug)

    def checked(self, message: str, **changes: Any) -> None:
        """A look at the database found everything as it should be."""
        with self._lock:
            if self._status.phase == "stopping":
                return
            self.set(**changes)
            if self._status.phase != "ready":
                self.ready(message)
            else:
                now = self._clock()
                self.set(checked_at=now, last_success_at=now, reason=message)
                self.event("checked", message, level="debug")

    def stopping(self, reason: str) -> None:
        """The process was asked to end: from here on it is not ready, whatever a look may find."""
        self.set(phase="stopping", reason=reason)
        self.event("stopping", reason)
