"""Is a SQLite database ready? Looking must neither make the file nor keep it open."""

import errno
import os
import stat
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from bootstrap.answer import Answer, ErrorClass, answer
from bootstrap.target import Target

# Reads the schema, and finds the view in a file whose rows have moved.
_MOVED = "select 1 from sqlite_schema where type = 'view' and name = 'bootstrapd_moved'"


class Sqlite:
    """Probes a SQLite file; one that is not there yet but can be made is ready.

    With `create_parent` its folder is made. `facts` are `exists` and `read_only`: it can be read,
    but this user cannot write it.
    """

    name: Literal["sqlite"] = "sqlite"

    def __init__(
        self, target: Target, create_parent: bool = False, *, setting: str = "DATABASE_URL"
    ) -> None:
        self.identity = target.identity
        self.setting = setting
        self._path = target.path
        self._create_parent = create_parent

    def probe(self, timeout_s: float) -> Answer:  # noqa: ARG002 - a file answers at once
        """Look at the folder, the file and its schema.

        Raises IdentityError where the rows have moved to another database.
        """
        if self._path is None:
            return answer("none", exists=False, read_only=False)
        # SQLite follows links, and puts its journal where they lead.
        path = Path(os.path.realpath(self._path))
        try:
            return self._folder(path.parent) or _file(path)
        except OSError as error:
            return _os_error(error, path)

    def doors(self) -> tuple[()]:
        """A file has none."""
        return ()

    def close(self) -> None:
        """Nothing is open between two probes."""

    def _folder(self, folder: Path) -> Answer | None:
        if self._create_parent:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            there = stat.S_ISDIR(folder.stat().st_mode)
        except FileNotFoundError:
            there = False
        return None if there else answer("missing_folder", f"there is no folder {str(folder)!r}")


def _file(path: Path) -> Answer:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not _may(path.parent, os.W_OK | os.X_OK):
            return answer(
                "permission",
                f"there is no such file, and the folder {str(path.parent)!r} is not writable",
            )
        return answer("none", exists=False, read_only=False)
    if stat.S_ISDIR(mode):
        return answer("not_a_file", "it is a folder")
    if not stat.S_ISREG(mode):
        return answer("not_a_file", "it is a device, a pipe or a socket")
    if not _may(path, os.R_OK):
        return answer("permission", "this user may not read it")
    # Without its journal, which goes beside it, a database cannot be written either.
    writable = _may(path, os.W_OK) and _may(path.parent, os.W_OK | os.X_OK)
    return _schema(path, writable)


def _schema(path: Path, writable: bool) -> Answer:
    import sqlite3

    # A crash may have left a journal, which a connection that only reads could not roll back.
    uri = f"file:{quote(str(path))}?mode={'rw' if writable else 'ro'}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=0)
        try:
            if connection.execute(_MOVED).fetchone():
                from bootstrap import fence

                fence.refuse(connection, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        by_code: dict[int, ErrorClass] = {
            sqlite3.SQLITE_BUSY: "locked",
            sqlite3.SQLITE_LOCKED: "locked",
            sqlite3.SQLITE_NOTADB: "not_a_database",
            sqlite3.SQLITE_CORRUPT: "corrupt",
            sqlite3.SQLITE_FULL: "disk_full",
            sqlite3.SQLITE_CANTOPEN: "permission",
            sqlite3.SQLITE_READONLY: "permission",
            sqlite3.SQLITE_PERM: "permission",
            sqlite3.SQLITE_AUTH: "permission",
        }
        # The lower byte is the kind, the rest says more about it.
        error_class = by_code.get(error.sqlite_errorcode & 0xFF, "io_error")
        if error_class == "io_error" and os.statvfs(path.parent).f_bavail == 0:
            error_class = "disk_full"
        return answer(error_class, str(error))
    return answer("none", exists=True, read_only=not writable)


def _os_error(error: OSError, path: Path) -> Answer:
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return answer("disk_full", reason)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return answer("permission", f"{reason}: {str(error.filename or path)!r}")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP):
        return answer("missing_folder", f"there is no folder {str(path.parent)!r}")
    return answer("io_error", reason)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)
