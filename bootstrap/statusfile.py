"""The status as a file, for whoever cannot ask over HTTP: `<state_dir>/<app>/status.json`."""

import json
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bootstrap import journal, report, settings

# Another phase or stage is written at once, all else at most this often.
INTERVAL_S = 0.25


def path(loaded: settings.Loaded) -> Path:
    """Where the status file of this app is."""
    return loaded.state_dir / loaded.app.name / "status.json"


def sink(loaded: settings.Loaded, record: journal.Journal) -> journal.Sink:
    """A sink that keeps the status file up to date.

    A folder that cannot be written to, as in a read-only container, costs one warning.
    """
    return _Writer(path(loaded), record)


def read(path: Path) -> dict[str, Any] | None:
    """What a status file says; None where there is none that is whole."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def gone(document: Mapping[str, Any]) -> str | None:
    """Why what a status file says holds no longer; None while its process runs on this host.

    The process is still the same after it has become the app.
    """
    pid, host = document.get("pid"), document.get("host")
    if host != os.uname().nodename:
        return f"it was written on another host, {host}"
    if not isinstance(pid, int) or not _runs(pid) or _started(pid) != document.get("pid_started"):
        return f"process {pid}, which wrote it, is gone"
    return None


class _Writer:
    def __init__(self, path: Path, record: journal.Journal) -> None:
        self._path = path
        self._record = record
        self._process = {
            "pid": os.getpid(),
            "pid_started": _started(os.getpid()),
            "host": os.uname().nodename,
        }
        self._lock = threading.Lock()
        self._written: tuple[str, str] | None = None
        self._written_s = float("-inf")
        self._later: threading.Timer | None = None
        self._failing = False

    def __call__(self, _: journal.Event, status: journal.Status) -> None:
        with self._lock:
            moved = (status.phase, status.stage) != self._written
            left_s = self._written_s + INTERVAL_S - time.monotonic()
            if not moved and left_s > 0:
                if self._later is None:
                    self._later = threading.Timer(left_s, self._catch_up)
                    self._later.daemon = True
                    self._later.start()
                return
            problem = self._write(status)
        self._warn(problem)

    def _catch_up(self) -> None:
        with self._lock:
            problem = self._write(self._record.status) if self._later is not None else None
        self._warn(problem)

    def _write(self, status: journal.Status) -> OSError | None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._written, self._written_s = (status.phase, status.stage), time.monotonic()
        document = {**self._process, **report.document(status)}
        try:
            _replace(self._path, report.dumps(document) + "\n")
        except OSError as error:
            return error
        self._failing = False
        return None

    def _warn(self, problem: OSError | None) -> None:
        # The journal hands the warning to every sink, this one too: not under the lock.
        if problem is None or self._failing:
            return
        self._failing = True
        self._record.event(
            "status_file_failed",
            f"cannot write the status file {self._path}: {problem.strerror}; going on without it",
            level="warning",
        )


def _replace(path: Path, text: str) -> None:
    """Write a whole file or none. It need not survive a power cut, so nothing is synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]


def _started(pid: int) -> int | None:
    """When a process started, in ticks since boot, to tell a reused pid; None but on Linux."""
    after_state = _stat(pid)[1:]
    return int(after_state[18]) if after_state else None


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the third, the state, on (see proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
