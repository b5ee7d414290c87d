"""An app's own command, run under the lock: its output is kept, its process group ended in time."""

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap import child, database, giving, journal, postgres, redact, settings
from bootstrap.errors import SettingsError, Terminated

# Where in a command the URL is wanted. Whoever may list processes can read it there.
URL = "{url}"
KEPT_LINES = 40
TELL_EVERY_S = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Ended:
    """How a command ended: `fault` is a clause, None where it says that all went well."""

    shown: str
    fault: str | None
    output: tuple[str, ...]
    took_s: float

    @property
    def tail(self) -> str:
        """The last lines as they may be shown under a message, secrets hidden."""
        if not self.output:
            return "\nit wrote nothing"
        return "\nits last lines:" + "".join(f"\n  {redact.text(line)}" for line in self.output)


def run(
    loaded: settings.Loaded,
    words: Sequence[str],
    base: database.Database | None,
    record: journal.Journal,
    stop: threading.Event,
    *,
    run: str,
) -> Ended:
    """Run it to its end, or end it: at the deadline, when the lock is lost, when asked to.

    Without a `base`, as on a scratch database, there is no lock.

    Raises SettingsError where it cannot be started, child.LockLostError, and Terminated.
    """
    with giving.written(loaded.app.giving, loaded.target, loaded.app.name):
        running = _Running(loaded, words, base, record, run)
        try:
            return running.watch(stop)
        finally:
            running.kill()


class _Running:
    def __init__(
        self,
        loaded: settings.Loaded,
        words: Sequence[str],
        base: database.Database | None,
        record: journal.Journal,
        run: str,
    ) -> None:
        self._limits = loaded.settings
        self._base = base
        self._record = record
        self._shown = shlex.join(words)
        self._output: deque[str] = deque(maxlen=KEPT_LINES)
        self._began_s = self._told_s = time.monotonic()
        environ, url = _environment(loaded, run), giving.url(loaded.app.giving, loaded.target)
        end_with_parent = _ender()
        try:
            self._process = subprocess.Popen(
                [word.replace(URL, url) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Should this process be killed, the lock is held until the command is gone too.
                pass_fds=base.shared_descriptors() if base else (),
                cwd=loaded.app.home,
                env=environ,
                text=True,
                errors="replace",
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        except OSError as error:
            raise SettingsError(
                f"cannot start the command {self._shown!r} of app {loaded.app.name}: "
                f"{error.strerror}; check it in {loaded.app.declared_in}"
            ) from error
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def watch(self, stop: threading.Event) -> Ended:
        limit_s = self._limits.command_timeout_s
        while self._process.poll() is None:
            if self._base is not None and self._base.lost():
                self.kill()
                raise child.LockLostError
            if stop.wait(child.POLL_S):
                self._end(self._limits.grace_s)
                raise Terminated(signal.SIGTERM)
            if limit_s and time.monotonic() - self._began_s > limit_s:
                self._end(self._limits.grace_s)
                return self._ended(
                    f"had not ended after {limit_s:g} s (BOOTSTRAPD_COMMAND_TIMEOUT_S) and was "
                    "ended"
                )
            self._tell()
        code = self._process.returncode
        if code < 0:
            return self._ended(f"was killed by signal {-code}")
        return self._ended(f"ended with exit code {code}" if code else None)

    def kill(self) -> None:
        """End all of its process group at once; what has gone already is no matter."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(timeout=1)

    def _end(self, grace_s: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self.kill()

    def _ended(self, fault: str | None) -> Ended:
        self.kill()
        took_s = round(time.monotonic() - self._began_s, 4)
        return Ended(self._shown, fault, tuple(self._output), took_s)

    def _drain(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line.rstrip())
            self._record.event("command_output", line.rstrip(), level="debug")

    def _tell(self) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s < TELL_EVERY_S:
            return
        self._told_s = now_s
        last = f"; it last said: {self._output[-1]}" if self._output else ""
        self._record.event(
            "command_running", f"{self._shown} has run for {now_s - self._began_s:.0f} s{last}"
        )


def _environment(loaded: settings.Loaded, run: str) -> Mapping[str, str]:
    """The worker's environment, with the limits and the name for whatever connects by libpq."""
    environ = settings.for_worker(loaded)
    if loaded.app.python and "/" in loaded.app.python:
        # As if the app's virtual environment were activated.
        folder = str(Path(loaded.app.python).parent)
        environ["PATH"] = os.pathsep.join(filter(None, (folder, environ.get("PATH"))))
    if loaded.target.is_postgres:
        limits = dict(postgres.session(loaded.settings, run, under_lock=True))
        environ["PGAPPNAME"] = limits.pop("application_name")
        # An app may rely on a commit's being durable.
        del limits["synchronous_commit"]
        given = [f"-c {name}={value}" for name, value in sorted(limits.items())]
        environ["PGOPTIONS"] = " ".join(filter(None, (environ.get("PGOPTIONS"), *given)))
    return environ


def _ender() -> Callable[[], None]:
    """What lets a child end when this process is killed; the library is loaded before the fork."""
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def end_with_parent() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return end_with_parent
