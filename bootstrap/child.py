"""The parent's end of a worker: starts it, sends requests, hands on its events, ends it."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from bootstrap import database, giving, journal, postgres, redact, settings
from bootstrap.errors import MigrationError, SettingsError, Terminated

WORKER = Path(__file__).with_name("worker") / "__main__.py"
KEPT_LINES = 20
POLL_S = 0.1
DISCONNECT_S = 1.0
# So long what is told of many small things may lie: to be woken for each costs the most.
GATHER_S = 0.02
# Events that the worker sends before it does something that cannot be undone: it waits for a reply.
ASKING = frozenset({"autocommit", "data_committed", "observed"})

TELL_EVERY_S = 5.0
_LOADING = "loading app {} (env.py and what it imports)"

# Called for each event, and with None when the worker has been silent for a moment.
OnEvent = Callable[[Mapping[str, Any] | None], None]
# Called for each event before that; while there is one, the worker tells what revisions lock.
Observer = Callable[[Mapping[str, Any]], None]


class WorkerError(Exception):
    """The worker's answer to a request was an error; `failure` holds its parts."""

    def __init__(self, failure: Mapping[str, Any]) -> None:
        super().__init__(failure["message"])
        self.failure = failure


class DiedError(MigrationError):
    """The worker ended before it answered. `how` is a clause, `tail` its last lines to be shown."""

    def __init__(self, worker: str, how: str, output: Sequence[str]) -> None:
        self.worker, self.how, self.output = worker, how, list(output)
        lines = redact.text("\n  ".join(output))
        self.tail = f"\nits last lines:\n  {lines}" if lines else ""
        super().__init__(f"{worker} {how} before it answered{self.tail}", output=self.output)


class LockLostError(Exception):
    """The lock went away while the worker was working; the worker was killed."""


class Started:
    """A worker's process as it comes up, before it is told what to work on.

    Raises SettingsError where its interpreter cannot be started.
    """

    def __init__(self, loaded: settings.Loaded) -> None:
        self.loaded = loaded
        self.python = loaded.app.python or sys.executable
        self._told = contextlib.ExitStack()
        self._told.enter_context(giving.written(loaded.app.giving, loaded.target, loaded.app.name))
        receiving, sending = os.pipe()
        self.line, theirs = socket.socketpair()
        try:
            self.process = subprocess.Popen(
                [self.python, str(WORKER), str(sending)],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(sending,),
                cwd=loaded.app.project,
                env=settings.for_worker(loaded),
                text=True,
                errors="replace",
            )
        except OSError as error:
            os.close(receiving)
            self.line.close()
            self._told.close()
            raise SettingsError(
                f"cannot start the interpreter {self.python!r} of app {loaded.app.name}: "
                f"{error.strerror}; check python in {loaded.app.declared_in}"
            ) from error
        finally:
            os.close(sending)
            theirs.close()
        self.events = os.fdopen(receiving, "rb", buffering=0)

    def close(self) -> None:
        """End it: it leaves by itself when its line ends."""
        self.line.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._told.close()
        self.events.close()


class Worker:
    """A child process with one Alembic project open, to be used as a context manager.

    With `reads` nothing that the child runs may change the database, imports of the app included.
    While a `base` with a held lock is given, the child is handed the lock's descriptors: should
    this process be killed, the lock is held until the child is gone too.
    """

    def __init__(
        self,
        loaded: settings.Loaded,
        record: journal.Journal,
        *,
        run: str,
        stop: threading.Event,
        base: database.Database | None = None,
        reads: bool = False,
        observer: Observer | None = None,
        started: Started | None = None,
    ) -> None:
        self._loaded = loaded
        self._observer = observer
        self._record = record
        self._base = base
        self._stop = stop
        self._output: deque[str] = deque(maxlen=KEPT_LINES)
        self._child = started or Started(loaded)
        self._process = self._child.process
        self._events = self._child.events
        self._buffer = b""
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        self._is_open = False
        self._gathers = False
        self._stopping_s: float | None = None
        self._watched_s = 0.0
        self._request: dict[str, Any] = {
            "alembic": str(loaded.app.alembic),
            "project": str(loaded.app.project),
            "roots": [str(root) for root in loaded.app.roots],
            "dialect": loaded.target.dialect,
            "driver": giving.driver(loaded.app.giving, loaded.target),
            "path": str(loaded.target.path) if loaded.target.path else None,
            "params": dict(loaded.target.params),
            "query": dict(loaded.target.query),
            "x": list(loaded.app.x),
            "url_in_x": loaded.app.giving.x,
            "connection": loaded.app.connection,
            "reads": reads,
            "session": postgres.session(loaded.settings, run, under_lock=base is not None),
            "version_table": database.version_table(loaded.app),
            "witness": base.witness() if base else None,
            "observed": observer is not None,
        }

    def __enter__(self) -> "Worker":
        try:
            descriptors = self._base.shared_descriptors() if self._base else ()
            with self._opening():
                self._send({"do": "open", **self._request}, descriptors)
        except BaseException:
            self.close()
            raise
        return self

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        try:
            yield
        except (WorkerError, DiedError) as error:
            app, python = self._loaded.app, self._child.python
            if isinstance(error, DiedError):
                found, tail = f"it {error.how}", error.tail
            else:
                found, tail = error.failure["message"], ""
            raise SettingsError(
                f"the Alembic project {app.alembic} of app {app.name} cannot be opened with "
                f"{python}: {found}; check alembic and python in {app.declared_in}{tail}"
            ) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def call(
        self, do: str, on_event: OnEvent | None = None, *, gather: bool = False, **request: Any
    ) -> dict[str, Any]:
        """Carry out one request; events on the way go to `on_event`, with `gather` some together.

        Raises SettingsError for a project that cannot be opened: the first request waits for that.
        Raises WorkerError for an error in the worker, LockLostError when the lock went away, and
        Terminated after this process was asked to end: by then the worker has finished its revision
        or was killed at the end of the grace.
        """
        self._request_when_open(do, request)
        self._gathers = gather
        try:
            return self._answer(on_event)
        finally:
            self._gathers = False

    def ask(self, do: str, **request: Any) -> Callable[[], dict[str, Any]]:
        """Have one request carried out meanwhile; what is returned waits for its end, as `call`."""
        self._request_when_open(do, request)
        return self._answer

    def _request_when_open(self, do: str, request: Mapping[str, Any]) -> None:
        if not self._is_open:
            with self._opening():
                self._answer()
            self._is_open = True
        self._send({"do": do, **request})

    def _answer(self, on_event: OnEvent | None = None) -> dict[str, Any]:
        self._heard_s = self._told_s = time.monotonic()
        doing = _LOADING
        while True:
            message = self._receive()
            self._watch()
            if message is None:
                self._tell(doing)
                if on_event is not None:
                    on_event(None)
            elif "answer" in message:
                if self._stop.is_set():
                    raise Terminated(signal.SIGTERM)
                answer: dict[str, Any] = message["answer"]
                return answer
            elif "error" in message:
                raise self._error(message["error"])
            else:
                doing = _doing(message)
                self._heard_s = self._told_s = time.monotonic()
                if self._observer is not None:
                    self._observer(message)
                if on_event is not None:
                    self._hand_on(on_event, message)
                if message["event"] in ASKING:
                    # The worker waits, and whoever asks once will ask again.
                    self._gathers = False
                    self._send({})

    def _tell(self, doing: str) -> None:
        """Long silence is no standstill: say what it is that takes its time."""
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            self._record.event(
                "still_working",
                f"{doing.format(self._loaded.app.name)} has taken {now_s - self._heard_s:.0f} s "
                "so far",
            )

    def _watch(self) -> None:
        """See to it that the work goes on only with the lock and until this process is to end."""
        now_s = time.monotonic()
        if self._base is not None and now_s - self._watched_s >= POLL_S:
            self._watched_s = now_s
            if self._base.lost():
                self._kill()
                raise LockLostError
        if not self._stop.is_set():
            return
        if self._stopping_s is None:
            self._stopping_s = now_s
            self._process.send_signal(signal.SIGTERM)
        elif now_s - self._stopping_s > self._loaded.settings.grace_s:
            self._kill()
            raise Terminated(signal.SIGTERM)

    def _hand_on(self, on_event: OnEvent, message: Mapping[str, Any]) -> None:
        try:
            on_event(message)
        except Exception as error:
            # What could not be written down, since the connection has gone: so has the lock.
            if self._base is not None and self._base.lost():
                self._kill()
                raise LockLostError from error
            raise

    def _error(self, failure: Mapping[str, Any]) -> BaseException:
        if failure["kind"] == "StoppedError":
            return Terminated(signal.SIGTERM)
        if failure["disconnected"] and self._base is not None:
            # A server that goes down ends both connections, the lock's maybe a moment later.
            deadline_s = time.monotonic() + DISCONNECT_S
            while time.monotonic() < deadline_s:
                if self._base.lost():
                    return LockLostError()
                time.sleep(POLL_S / 10)
        self._trace(failure)
        return WorkerError(failure)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the child."""
        self._child.close()
        self._reader.join(timeout=1)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        text = (json.dumps(message) + "\n").encode()
        try:
            sent = socket.send_fds(self._child.line, [text], list(descriptors))
            self._child.line.sendall(text[sent:])
        except (BrokenPipeError, ConnectionResetError):
            raise self._died() from None

    def _receive(self) -> dict[str, Any] | None:
        """The next message, or None when none came for a moment."""
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._events], [], [], POLL_S)
            if not readable:
                return None
            if self._gathers:
                time.sleep(GATHER_S)
            chunk = os.read(self._events.fileno(), 65536)
            if not chunk:
                raise self._died()
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def _died(self) -> BaseException:
        code = self._process.wait()
        # A service manager signals all of a service at once, and this one died of it first.
        if code == -signal.SIGTERM and self._stop.wait(POLL_S):
            return Terminated(signal.SIGTERM)
        self._reader.join(timeout=1)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        worker = f"the worker of app {self._loaded.app.name} ({self._child.python})"
        return DiedError(worker, how, self._output)

    def _drain(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line.rstrip())
            self._record.event("worker_output", line.rstrip(), level="debug")

    def _trace(self, failure: Mapping[str, Any]) -> None:
        for line in failure["traceback"].splitlines():
            self._record.event("worker_traceback", line, level="debug")


def _doing(event: Mapping[str, Any]) -> str:
    if event["event"] == "revision_done" or event.get("revision") is None:
        return "the work on app {}"
    return f"revision {event['revision']} of app {{}}"
