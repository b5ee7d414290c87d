"""Servers as children of the test session: unprivileged, and gone when the session is gone."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# PostgreSQL and PgBouncer refuse to run as root; this account is on every Linux machine.
_ACCOUNT = pwd.getpwnam("nobody")
_START_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 60.0
_ROOT = os.geteuid() == 0
# Below the range that the kernel takes for outgoing connections, so that nobody gets the port
# while its server is stopped for a while.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on."""
    # Not by `random`, whose numbers are the same for tests that run side by side.
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def unprivileged(*argv: str, at_parents_death: str | None = None) -> list[str]:
    """The command that runs `argv` without root's rights.

    `at_parents_death` names the signal that it gets when the process that started it is gone, so
    that a killed test session leaves no server behind.
    """
    options = []
    if _ROOT:
        options += [f"--reuid={_ACCOUNT.pw_uid}", f"--regid={_ACCOUNT.pw_gid}", "--clear-groups"]
    if at_parents_death:
        options.append(f"--pdeathsig={at_parents_death}")
    setpriv = shutil.which("setpriv")
    if not options or (setpriv is None and not _ROOT):
        return list(argv)
    assert setpriv is not None, "as root the tests need setpriv (util-linux)"
    return [setpriv, *options, "--", *argv]


def give(path: Path) -> Path:
    """`path`, now owned by the account that `unprivileged` commands run as."""
    if _ROOT:
        os.chown(path, _ACCOUNT.pw_uid, _ACCOUNT.pw_gid)
    return path


@contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """A temporary folder that `unprivileged` commands own; short, since Unix sockets go there.

    pytest's own temporary folders are closed to other accounts.
    """
    path = give(Path(tempfile.mkdtemp(prefix=f"bootstrapd-{prefix}-")))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Daemon:
    """One server process that writes its output to `log`.

    `ready` is asked until it says yes. It may be stopped and started again as often as one likes.
    """

    def __init__(self, argv: list[str], *, log: Path, ready: Callable[[], bool]) -> None:
        self.argv = argv
        self.log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Start the server if it is not running, and wait until it is ready."""
        if not self.running:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
                )
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when the server is ready; fail with its log when it ends or takes too long."""
        deadline = time.monotonic() + _START_DEADLINE_S
        while not self._ready():
            if not self.running:
                raise RuntimeError(f"{self.argv} ended at once:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.argv} is not ready in time:\n{self.tail()}")
            time.sleep(0.02)

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> None:
        """Signal the server and wait until it has ended."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signum)
        try:
            self._process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(
                f"{self.argv} did not stop on {signum.name}:\n{self.tail()}"
            ) from None
        finally:
            self._process = None

    def tail(self, lines: int = 20) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
