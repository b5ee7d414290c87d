"""The parent's end of a worker: starts it, sends requests, hands on its events, ends it."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from bootstrap import database, journal, postgres, redact, settings
from bootstrap.errors import BootstrapdError, MigrationError, SettingsError, Terminated

KEPT_LINES = 20
POLL_S = 0.1

# Called for each event, and with None when the worker has been silent for a moment.
OnEvent = Callable[[Mapping[str, Any] | None], None]


class WorkerError(Exception):
    """The worker's answer to a request was an error; `failure` holds its parts."""

    def __init__(self, failure: Mapping[str, Any]) -> None:
        super().__init__(failure["message"])
        self.failure = failure


class LockLostError(Exception):
    """The lock went away while the worker was working; the worker was killed."""


class Worker:
    """A child process with one Alembic project open, to be used as a context manager.

    While a `base` with a held lock is given, the child inherits the lock's descriptors: should this
    process be killed, the lock is held until the child is gone too.
    """

    def __init__(
        self,
        loaded: settings.Loaded,
        record: journal.Journal,
        *,
        run: str,
        stop: threading.Event,
        base: database.Database | None = None,
    ) -> None:
        self._loaded = loaded
        self._record = record
        self._base = base
        self._stop = stop
        self._output: deque[str] = deque(maxlen=KEPT_LINES)
        receiving, sending = os.pipe()
        self._python = loaded.app.python or sys.executable
        try:
            self._process = subprocess.Popen(
                [self._python, str(Path(__file__).with_name("worker.py")), str(sending)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(sending, *(base.shared_descriptors() if base else ())),
                cwd=loaded.app.project,
                env=settings.for_worker(loaded),
                text=True,
                errors="replace",
            )
        except OSError as error:
            os.close(receiving)
            raise SettingsError(
                f"cannot start the interpreter {self._python!r} of app {loaded.app.name}: "
                f"{error.strerror}; check python in {loaded.app.declared_in}"
            ) from error
        finally:
            os.close(sending)
        self._events = os.fdopen(receiving, "rb", buffering=0)
        self._buffer = b""
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        self._request: dict[str, Any] = {
            "alembic": str(loaded.app.alembic),
            "project": str(loaded.app.project),
            "dialect": loaded.target.dialect,
            "driver": loaded.target.driver,
            "path": str(loaded.target.path) if loaded.target.path else None,
            "params": dict(loaded.target.params),
            "query": dict(loaded.target.query),
            "session": postgres.session(loaded.settings, run),
            "witness": base.witness() if base else None,
        }

    def __enter__(self) -> "Worker":
        try:
            self.call("open", **self._request)
        except WorkerError as error:
            self.close()
            app = self._loaded.app
            raise SettingsError(
                f"the Alembic project {app.alembic} of app {app.name} cannot be opened with "
                f"{self._python}: {error.failure['message']}; check alembic and python in "
                f"{app.declared_in}"
            ) from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, do: str, on_event: OnEvent | None = None, **request: Any) -> dict[str, Any]:
        """Carry out one request; events on the way go to `on_event`.

        Raises WorkerError for an error in the worker, LockLostError when the lock went away, and
        Terminated after this process was asked to end: by then the worker has finished its revision
        or was killed at the end of the grace.
        """
        self._send({"do": do, **request})
        asked_to_stop_s: float | None = None
        while True:
            message = self._receive()
            if message is None:
                if on_event is not None:
                    on_event(None)
                if self._base is not None and self._base.lost():
                    self._process.kill()
                    raise LockLostError
                if self._stop.is_set() and asked_to_stop_s is None:
                    asked_to_stop_s = time.monotonic()
                    self._process.send_signal(signal.SIGTERM)
                if (
                    asked_to_stop_s is not None
                    and time.monotonic() - asked_to_stop_s > self._loaded.settings.grace_s
                ):
                    self._process.kill()
                    raise Terminated(signal.SIGTERM)
            elif "answer" in message:
                if asked_to_stop_s is not None or self._stop.is_set():
                    raise Terminated(signal.SIGTERM)
                answer: dict[str, Any] = message["answer"]
                return answer
            elif "error" in message:
                if message["error"]["kind"] == "StoppedError":
                    raise Terminated(signal.SIGTERM)
                self._trace(message["error"])
                raise WorkerError(message["error"])
            else:
                if on_event is not None:
                    on_event(message)
                if message["event"] == "autocommit":
                    self._send({})

    def close(self) -> None:
        """End the child: it leaves by itself when its stdin ends."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=1)
        self._events.close()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None

    def _receive(self) -> dict[str, Any] | None:
        """The next message, or None when none came for a moment."""
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._events], [], [], POLL_S)
            if not readable:
                return None
            chunk = os.read(self._events.fileno(), 65536)
            if not chunk:
                raise self._died()
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def _died(self) -> BootstrapdError:
        code = self._process.wait()
        self._reader.join(timeout=1)
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        tail = "\n  ".join(self._output)
        return MigrationError(
            f"the worker of app {self._loaded.app.name} ({self._python}) {how} before it answered"
            + (f"; its last lines:\n  {redact.text(tail)}" if tail else ""),
            output=list(self._output),
        )

    def _drain(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line.rstrip())
            self._record.event("worker_output", line.rstrip(), level="debug")

    def _trace(self, failure: Mapping[str, Any]) -> None:
        for line in failure["traceback"].splitlines():
            self._record.event("worker_traceback", line, level="debug")
