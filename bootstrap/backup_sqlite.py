"""A backup of SQLite: another file with the same pages, by SQLite's own backup interface."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from bootstrap import settings, target

BUSY_TIMEOUT_S = 5.0
_PAGES = 1024
_STEPS = 100_000


class DamagedError(sqlite3.Error):
    """The copy is not a whole database; the message is what SQLite found."""


class Copy:
    """Copies one file, and restores such copies."""

    suffix = ".sqlite"
    tool = f"sqlite {sqlite3.sqlite_version}"

    def __init__(self, loaded: settings.Loaded) -> None:
        assert loaded.target.path is not None
        self._path = loaded.target.path

    def write(self, path: Path, tick: Callable[[], None]) -> None:
        """Copy all pages as they are at this moment, whoever writes in the meantime."""
        with _open(self._path, "mode=ro") as source, _open(path, "mode=rw") as copy:
            # Without a transaction of its own it would begin anew whenever somebody writes.
            source.execute("begin")
            source.execute("select count(*) from sqlite_schema").fetchone()
            source.backup(copy, pages=_PAGES, progress=lambda *_: tick())

    def verify(self, path: Path, tick: Callable[[], None]) -> None:
        """Have SQLite read every page and compare indexes with tables."""
        # Immutable: SQLite puts no file beside it.
        with _open(path, "mode=ro&immutable=1") as copy:
            copy.set_progress_handler(tick, _STEPS)
            try:
                found = [row[0] for row in copy.execute("pragma integrity_check(3)")]
            except sqlite3.OperationalError:
                # What a handler raises, Python turns into this.
                tick()
                raise
        if found != ["ok"]:
            raise DamagedError(f"the copy is damaged: {'; '.join(found)}")

    def restore(self, path: Path, into: target.Target, tick: Callable[[], None]) -> None:
        """Put it where `into` is."""
        assert into.path is not None
        shutil.copyfile(path, into.path)
        tick()


@contextlib.contextmanager
def _open(path: Path, options: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{options}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
    )
    try:
        yield connection
    finally:
        connection.close()
