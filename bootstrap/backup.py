"""The backup gate: before anything pending runs, the database is copied and the copy is read."""

import contextlib
import hashlib
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from bootstrap import (
    __version__,
    backup_postgres,
    backup_sqlite,
    database,
    journal,
    pgtools,
    settings,
    shelf,
    target,
)
from bootstrap.errors import MigrationError, Terminated

TOLD_EVERY_S = 5.0
SHOWN_EVERY_S = 0.25
_CHUNK = 1 << 20
# What a backup may fail with, besides being ended.
ERRORS = (OSError, sqlite3.Error, pgtools.ProgramError)


class Form(Protocol):
    """How one kind of database is copied. `tick` is called several times a second, and may end it.

    Each raises one of ERRORS.
    """

    suffix: str
    tool: str

    def write(self, path: Path, tick: Callable[[], None]) -> None:
        """Copy the database into a file that is there and empty."""

    def verify(self, path: Path, tick: Callable[[], None]) -> None:
        """Read the whole copy."""

    def restore(self, path: Path, into: target.Target, tick: Callable[[], None]) -> None:
        """Restore it into an empty database."""


def form(loaded: settings.Loaded, server: str) -> Form:
    """The form for this target, whose server has this version."""
    if loaded.target.is_postgres:
        return backup_postgres.Dump(loaded, server)
    return backup_sqlite.Copy(loaded)


def before(
    loaded: settings.Loaded,
    base: database.Database,
    record: journal.Journal,
    stop: threading.Event,
) -> shelf.Manifest | None:
    """Take a backup if one is wanted, and let old ones go. The caller holds the lock.

    None where no folder is named, or nothing is in the database. Raises MigrationError where there
    is no good backup in the end: then nothing may run.
    """
    if not loaded.settings.backup_dir:
        return None
    sight = base.look()
    place = loaded.target.identity
    if sight.catalog == database.EMPTY:
        record.event("backup_skipped", f"{place} is empty, so no backup is taken")
        return None
    folder = Path(loaded.settings.backup_dir).absolute()
    try:
        with contextlib.suppress(FileExistsError):
            # Only this one folder: what is above it may be a volume that is not mounted.
            folder.mkdir(mode=0o700)
        place_for = shelf.Shelf(folder, loaded.app.name, base.pin())
        taken = _take(loaded, base, sight, place_for, record, stop)
    except ERRORS as error:
        reason = " ".join(str(error).split())
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.strerror}: {error.filename or str(folder)!r}"
        raise MigrationError(
            f"no backup of {place} could be taken into {folder}: {reason}; nothing was migrated. "
            "Mend the cause, or go without a backup: unset BOOTSTRAPD_BACKUP_DIR",
            backup_dir=str(folder),
        ) from error
    _let_go(place_for, loaded.settings.backup_keep, record)
    return taken


def _let_go(place: shelf.Shelf, count: int, record: journal.Journal) -> None:
    try:
        for gone in place.keep(count):
            record.event("backup_deleted", f"deleted the old backup {gone.file}")
    except OSError as error:
        record.event(
            "backup_kept",
            f"an old backup cannot be deleted: {error.strerror}: {error.filename!r}",
            level="warning",
        )


def _take(
    loaded: settings.Loaded,
    base: database.Database,
    sight: database.Sight,
    place: shelf.Shelf,
    record: journal.Journal,
    stop: threading.Event,
) -> shelf.Manifest:
    began_s = time.monotonic()
    left = place.clear()
    if left:
        record.event("backup_cleared", "deleted the unfinished backup of a killed run")
    how = form(loaded, sight.version)
    taken_at = datetime.now(UTC)
    name = place.name(how.suffix, taken_at)
    record.set(reason=f"taking a backup: {place.folder / name}")
    record.event("backup_started", f"taking a backup of {loaded.target.identity}: {name}")
    with _part(place.folder / f".{name}{shelf.PART}") as part:
        tick = Ticker(part, base, record, stop)
        how.write(part, tick)
        shelf.sync(part)
        how.verify(part, tick)
        digest = _digest(part, tick)
        assert place.identity is not None
        manifest = shelf.Manifest(
            file=name,
            app=place.app,
            identity=place.identity,
            target=loaded.target.identity,
            revisions=sight.current,
            release=loaded.release,
            bootstrapd=__version__,
            server=f"{loaded.target.dialect} {sight.version}",
            tool=how.tool,
            size=part.stat().st_size,
            sha256=digest,
            taken_at=taken_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        place.put(part, manifest)
    took_s = time.monotonic() - began_s
    record.event(
        "backup_taken",
        f"backup {name} taken and read back: {megabytes(manifest.size)} in {took_s:.1f} s",
        path=str(place.folder / name),
        size=manifest.size,
        sha256=digest,
        seconds=round(took_s, 4),
    )
    return manifest


class Ticker:
    """Called while a backup is under way: shows how far it is, and ends it if it must end."""

    def __init__(
        self,
        part: Path,
        base: database.Database | None,
        record: journal.Journal,
        stop: threading.Event,
    ) -> None:
        self._part = part
        self._base = base
        self._record = record
        self._stop = stop
        self._began_s = self._shown_s = self._told_s = time.monotonic()

    def __call__(self) -> None:
        """Raises Terminated, or MigrationError where the lock has gone."""
        if self._stop.is_set():
            raise Terminated(signal.SIGTERM)
        now_s = time.monotonic()
        if now_s - self._shown_s < SHOWN_EVERY_S:
            return
        self._shown_s = now_s
        if self._base is not None and self._base.lost():
            raise MigrationError(
                f"the connection that holds the migration lock of {self._base.target.identity} was "
                "lost during the backup, so nothing was migrated; run again: bootstrapd migrate"
            )
        size = self._part.stat().st_size
        self._record.set(progress=journal.Progress("bytes of backup", size, None, self._began_s))
        loud = now_s - self._told_s >= TOLD_EVERY_S
        if loud:
            self._told_s = now_s
        level: journal.Level = "info" if loud else "debug"
        self._record.event(
            "progress", f"{megabytes(size)} of the backup are written", level=level, bytes=size
        )


def megabytes(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


@contextlib.contextmanager
def _part(path: Path) -> Iterator[Path]:
    """An empty file that nobody else may read, gone if the block does not end well."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield path
    finally:
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink(missing_ok=True)


def _digest(path: Path, tick: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            tick()
    return digest.hexdigest()
