"""The fence around a SQLite file whose rows have moved: everybody may read it, nobody may write.

A view in the file says where the rows are. And the header's "write version" is one that no SQLite
knows: by the rules of the format every client takes such a file as read-only, whoever the user is
(https://www.sqlite.org/fileformat2.html#file_format_version_numbers).
"""

import contextlib
import os
import shlex
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Self

from bootstrap import sqlite, target
from bootstrap.errors import IdentityError, LockError, RefusedError

# Where the header says how the file may be written and read: 1 is by a journal, 2 by a WAL.
_WRITE_VERSION_AT, _READ_VERSION_AT = 18, 19
_NOBODYS_VERSION = 255
_RIGHTS = "check its disk, and this user's rights to it and its folder"


@dataclass(frozen=True)
class Mark:
    """What a fenced file says: which database its rows are in, and where that was.

    `report` is the digest of the report on the move, `rows` what was in that database's tables then
    (JSON, by table), `journal_mode` what the file had before.
    """

    identity: str
    target: str
    moved_at: str
    report: str
    rows: str
    journal_mode: str


class Guard:
    """Knows whether anybody has written to a file since this was made, and fences it if nobody has.

    Until it is sealed it holds no lock and no transaction: the live app goes on. Make it before the
    snapshot that is copied is taken, in the same process. With `to_fence`, LockError says at once
    that others have the file open.
    """

    def __init__(self, path: Path, *, to_fence: bool) -> None:
        self._path = path
        self._sealed = False
        self._mode = ""
        with _explained(path), contextlib.ExitStack() as stack:
            # Opened before any lock is taken, and closed after: closing any descriptor of a file
            # gives up all locks that this process has on it.
            self._descriptor = os.open(path, os.O_RDWR if to_fence else os.O_RDONLY)
            stack.callback(os.close, self._descriptor)
            if to_fence and not self._is_read_only():
                _try_alone(path)
            self._connection = sqlite.connect(path, "rw" if to_fence else "ro")
            stack.callback(self._connection.close)
            self._seen = self._version()
            self._close = stack.pop_all().close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def changed(self) -> bool:
        """Whether somebody else has committed something since."""
        return self._version() != self._seen

    def fenced(self) -> Mark | None:
        """The mark of a file that is fenced already; None also where that was cut short."""
        return read(self._connection) if self._is_read_only() else None

    def seal(self) -> None:
        """Shut everybody else out, until this is closed.

        All other connections of this process to the file must be closed. Raises IdentityError where
        it was written to since, LockError where others have it open. A file that is fenced already
        needs no seal.
        """
        if self._sealed or self.fenced():
            return
        with _explained(self._path):
            (self._mode,) = self._connection.execute("pragma journal_mode").fetchone()
            # In this mode even a WAL is written under a lock that leaves no other connection.
            self._connection.execute("pragma locking_mode = exclusive")
            self._connection.execute("begin exclusive")
        if self.changed():
            raise IdentityError(
                f"{self._path} was written to since the move began, and that would be missing: it "
                "is not fenced; stop what writes to it and move again",
                changed_since=True,
            )
        self._sealed = True

    def fence(self, identity: str, place: str, report: str, rows: str = "{}") -> Mark:
        """Mark the file, sealed if it is not yet, as moved to the database `identity` at `place`.

        Killed in between, the file is as it was, or it is marked and a further call does the rest.
        Raises what `seal` does, and IdentityError for a file that is fenced already because it was
        moved elsewhere.
        """
        already = self.fenced()
        if already is not None:
            if already.identity != identity:
                refuse(self._connection, self._path)
            return already
        self.seal()
        now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        with _explained(self._path):
            before = read(self._connection)
            mode = before.journal_mode if before else self._mode
            mark = Mark(identity, place, now, report, rows, mode)
            self._connection.execute(f"drop view if exists {sqlite.MOVED}")
            self._connection.execute(_view(mark))
            self._connection.execute("commit")
            # A WAL is a file of its own, which a reader of the fenced file could not set up anew.
            (now_in,) = self._connection.execute("pragma journal_mode = delete").fetchone()
            assert now_in == "delete", f"the file stays in mode {now_in}"
            _write_version(self._descriptor, _NOBODYS_VERSION)
            self._connection.close()
        return mark

    def _is_read_only(self) -> bool:
        return os.pread(self._descriptor, 1, _WRITE_VERSION_AT) == bytes([_NOBODYS_VERSION])

    def _version(self) -> int:
        number: int
        (number,) = self._connection.execute("pragma data_version").fetchone()
        return number


def read(connection: sqlite3.Connection) -> Mark | None:
    """The mark in a file; None where there is none."""
    there = "select 1 from sqlite_schema where type = 'view' and name = ?"
    if connection.execute(there, [sqlite.MOVED]).fetchone() is None:
        return None
    columns = ", ".join(field.name for field in fields(Mark))
    return Mark(*connection.execute(f"select {columns} from {sqlite.MOVED}").fetchone())


def refuse(connection: sqlite3.Connection, path: Path) -> None:
    """Raise IdentityError where the file is fenced."""
    mark = read(connection)
    if mark is not None:
        file = shlex.quote(target.sqlite(str(path)).url())
        raise IdentityError(
            f"{path} is fenced: its rows were moved to {mark.target} (database {mark.identity}, at "
            f"{mark.moved_at}), and what is written here would be lost; set DATABASE_URL to "
            f"postgresql://USER@{mark.target}, or go back to the file: bootstrapd move "
            f"--unfence --from {file}",
            expected=mark.identity,
            moved_to=mark.target,
            moved_at=mark.moved_at,
        )


def identity(path: Path) -> str | None:
    """The identity of the file itself; None where bootstrapd has not brought it up."""
    with contextlib.closing(sqlite.connect(path, "ro")) as connection:
        there = "select 1 from sqlite_schema where type = 'view' and name = ?"
        if connection.execute(there, [sqlite.PIN]).fetchone() is None:
            return None
        found: str
        (found,) = connection.execute(f"select identity from {sqlite.PIN}").fetchone()
        return found


def lift(path: Path) -> None:
    """Make a fenced file what it was before; killed in between, a further call does the rest.

    Raises LockError where others have it open.
    """
    with _explained(path):
        descriptor = os.open(path, os.O_RDWR)
        try:
            _write_version(descriptor, os.pread(descriptor, 1, _READ_VERSION_AT)[0])
        finally:
            os.close(descriptor)
        with contextlib.closing(sqlite.connect(path, "rw")) as connection:
            mark = read(connection)
            if mark is None:
                return
            if mark.journal_mode == "wal":
                connection.execute("pragma journal_mode = wal")
            connection.execute(f"drop view {sqlite.MOVED}")


def _try_alone(path: Path) -> None:
    with _explained(path), contextlib.closing(sqlite.connect(path, "rw")) as connection:
        connection.execute("pragma locking_mode = exclusive")
        connection.execute("begin exclusive")


def _write_version(descriptor: int, version: int) -> None:
    """One byte: it is written or it is not."""
    os.pwrite(descriptor, bytes([version]), _WRITE_VERSION_AT)
    os.fsync(descriptor)


def _view(mark: Mark) -> str:
    # The apps import this module at their start, and do without the catalogs.
    from bootstrap.catalog.words import literal

    named = zip(astuple(mark), fields(Mark), strict=True)
    literals = (f"{literal(value)} as {field.name}" for value, field in named)
    return f"create view {sqlite.MOVED} as select {', '.join(literals)}"


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LockError(
                f"another process has {path} open, and did not close it in "
                f"{sqlite.BUSY_TIMEOUT_S:g} s; stop the app that uses it (fuser "
                f"{shlex.quote(str(path))} shows who), then run this again"
            ) from error
        raise RefusedError(f"{path} could not be written: {error}; {_RIGHTS}") from error
    except OSError as error:
        raise RefusedError(f"{path} could not be written: {error.strerror}; {_RIGHTS}") from error
