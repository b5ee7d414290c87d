"""The pending revisions on a copy: how long each takes, what it locks, whether it gets through.

The copy is a restored backup, so this proves by the way that the backup can be restored.
"""

import contextlib
import hashlib
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bootstrap import (
    backup,
    child,
    database,
    journal,
    libpq,
    lock,
    migrate,
    observing,
    opening,
    options,
    revisions,
    scratch,
    settings,
    shelf,
    target,
    validate,
)
from bootstrap import place as places
from bootstrap import plan as planning
from bootstrap.errors import BootstrapdError, MigrationError, SettingsError, Terminated

COMMAND = "bootstrapd rehearse"
LOCK_WAIT_S = 10.0


@dataclass(frozen=True)
class Source:
    """A backup to restore; without a manifest nothing more is known of it than its path."""

    path: Path
    manifest: shelf.Manifest | None
    name: str


@dataclass
class Rehearsal:
    """What was found so far: of a rehearsal that fails on its way, the part before."""

    source: str
    taken_at: str | None = None
    restored_s: float = 0.0
    before: tuple[str, ...] = ()
    pending: int = 0
    steps: tuple[observing.Revision, ...] = ()
    validated: validate.Validated | None = None

    def shown(self, known: revisions.Graph) -> str:
        """The report for people."""
        taken = f" of {self.taken_at}" if self.taken_at else ""
        lines = [f"copy      {self.source}{taken}, restored in {self.restored_s:.1f} s"]
        lines += [f"current   {planning.listed(self.before)}"]
        for each in self.steps:
            how = "" if each.exact else ", partly outside a transaction"
            lines.append(f"revision  {known.title(each.revision)}: {each.seconds:.2f} s{how}")
            lines += [f"          {table}" for table in each.tables]
        if not self.pending:
            lines.append("revision  nothing is pending")
        elif not self.steps:
            lines.append("revision  applied by the app's own command, which cannot be observed")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {
            "backup": self.source,
            "taken_at": self.taken_at,
            "restored_s": round(self.restored_s, 4),
            "before": list(self.before),
            "revisions": [each.document() for each in self.steps],
            "validated": validate.document(self.validated) if self.validated else None,
        }


def rehearse(
    opened: opening.Opened,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
    destination: str,
    *,
    fresh: bool,
) -> Rehearsal:
    """Restore a backup into a scratch database and run what is pending there, up to `destination`.

    The live database is only read. Raises MigrationError for a revision that fails and for what
    the settings refuse, DriftError where the result is not what it should be; each has the rest of
    the report among its facts.
    """
    here, place = opened.here, opened.here.target.identity
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(_source(opened, record, stop, fresh=fresh))
        made = stack.enter_context(scratch.database(here, record))
        copy = made._replace(identity=f"the copy of {place}")
        report = Rehearsal(source.name, source.manifest.taken_at if source.manifest else None)
        began_s = time.monotonic()
        _restore(opened, source, copy, record, stop)
        report.restored_s = time.monotonic() - began_s
        record.event("restored", f"{source.name} restored in {report.restored_s:.1f} s")
        there = here._replace(
            target=copy,
            direct=None,
            fallback=None,
            settings=here.settings.replace(backup_dir=None),
        )
        try:
            _run(there, known, report, _told(record), stop, destination)
            _judge(here, report, known)
        except BootstrapdError as error:
            error.facts["rehearsal"] = report.document()
            raise
    return report


def _run(
    there: settings.Loaded,
    known: revisions.Graph,
    report: Rehearsal,
    record: journal.Journal,
    stop: threading.Event,
    destination: str,
) -> None:
    with (
        observing.sampler(there.target) as sampler,
        _base(there) as base,
        lock.held(base, record, wait_s=LOCK_WAIT_S, stop=stop),
    ):
        base.ledger.prepare()
        wanted = planning.make(there, known, base.look(), base)
        if destination != "heads":
            wanted = wanted.up_to(known, destination)
        report.before, report.pending = wanted.current, len(wanted.pending)
        run = places.run_name()
        _, ignored = database.version_table(there.app)

        def done(found: observing.Revision) -> None:
            report.steps += (found,)
            for table in found.tables:
                record.event("observed", f"revision {known.title(found.revision)}: {table}")

        observer = observing.Observer(ignored, sampler, done)
        with child.Worker(
            there, record, run=run, stop=stop, base=base, observer=observer
        ) as worker:
            if wanted.pending:
                stage = migrate.Stage(there, base, known, record, stop, run, COMMAND)
                stage.upgrade(worker, wanted, destination)
            if destination == "heads" and there.settings.validate != "none":
                report.validated = validate.validate(
                    there, base, known, lambda: worker, record, stop
                )
                validate.judge(there, report.validated, record)


def _judge(here: settings.Loaded, report: Rehearsal, known: revisions.Graph) -> None:
    """Raise MigrationError for what the settings refuse."""
    limits = here.settings
    broken = []
    for each in report.steps:
        title = f"revision {known.title(each.revision)}"
        if limits.rehearse_max_s is not None and each.seconds > limits.rehearse_max_s:
            broken.append(f"{title} takes {each.seconds:.2f} s, over {limits.rehearse_max_s:g} s")
        for table in each.tables:
            if _stronger(table.lock, limits.rehearse_max_lock):
                broken.append(
                    f"{title} takes {table.lock} on {table.table}, over {limits.rehearse_max_lock}"
                )
            if limits.rehearse_refuse_rewrites and table.rewritten:
                broken.append(f"{title} rewrites {table.table}")
    if broken:
        raise MigrationError(
            f"the rehearsal for {here.target.identity} breaks the limits that are set: "
            f"{'; '.join(broken)}; write these revisions in another way, or raise the limits",
            broken=broken,
        )


def _stronger(mode: str | None, limit: str | None) -> bool:
    if mode is None or limit is None:
        return False
    return options.LOCK_MODES.index(mode) > options.LOCK_MODES.index(limit)


# -- the copy -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _source(
    opened: opening.Opened, record: journal.Journal, stop: threading.Event, *, fresh: bool
) -> Iterator[Source]:
    here = opened.here
    place, named = here.target.identity, here.settings.backup_dir
    sight = opened.base.look()
    if fresh:
        with scratch.folder() as folder:
            how = backup.form(here, sight.version)
            path = folder / f"fresh{how.suffix}"
            path.touch(0o600)
            record.event("backup_started", f"copying {place} as it is now")
            with _failing(f"{place} could not be copied"):
                how.write(path, backup.Ticker(path, None, record, stop))
            yield Source(path, None, "a fresh copy")
        return
    if not named:
        raise SettingsError(
            f"no backup is named: {COMMAND} --backup FILE (or the folder of backups); or copy "
            f"{place} as it is now: {COMMAND} --fresh"
        )
    path = Path(named).absolute()
    if path.is_dir():
        good = shelf.Shelf(path, here.app.name, sight.identity).good()
        # Without an identity a database is known by its address.
        ours = [each for each in good if sight.identity or each.target == place]
        if not ours:
            raise SettingsError(
                f"there is no backup of {place} in {path}; take one with the next migration, or "
                f"copy the database as it is now: {COMMAND} --fresh"
            )
        path = path / ours[-1].file
    elif not path.is_file():
        raise SettingsError(f"there is no backup {str(path)!r}")
    manifest = shelf.of(path)
    _check_whole(path, manifest)
    if manifest is not None and sorted(manifest.revisions) != sorted(sight.current):
        record.event(
            "backup_of_another_state",
            f"{path.name} is of {planning.listed(manifest.revisions)}, and {place} is at "
            f"{planning.listed(sight.current)} by now",
            level="warning",
        )
    yield Source(path, manifest, path.name)


def _check_whole(path: Path, manifest: shelf.Manifest | None) -> None:
    if manifest is None:
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != manifest.sha256:
        raise MigrationError(
            f"the backup {path} is not what was written: its SHA-256 is {digest}, that in its "
            f"manifest {manifest.sha256}; it cannot be trusted, take another"
        )


def _restore(
    opened: opening.Opened,
    source: Source,
    copy: target.Target,
    record: journal.Journal,
    stop: threading.Event,
) -> None:
    record.event("restoring", f"restoring {source.name} into a scratch database")
    version = opened.base.look().version
    if source.manifest is not None:
        # A dump can be read by no older program than the one that wrote it.
        version = max(version, source.manifest.tool.rpartition(" ")[2], key=_major)

    def tick() -> None:
        if stop.is_set():
            raise Terminated(signal.SIGTERM)

    with _failing(f"the backup {source.path} could not be restored"):
        backup.form(opened.here, version).restore(source.path, copy, tick)


@contextlib.contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except backup.ERRORS as error:
        reason = " ".join(str(error).split())
        raise MigrationError(f"{what}: {reason}; nothing was rehearsed") from error


def _major(version: str) -> int:
    return int(re.split(r"\D", version, maxsplit=1)[0])


@contextlib.contextmanager
def _base(there: settings.Loaded) -> Iterator[database.Database]:
    """The copy, as the stages see a database."""
    base: database.Database
    if there.target.is_postgres:
        from bootstrap import postgres

        connection = libpq.reach(there.target.conninfo())
        # Plans are made from statistics, which no dump has.
        connection.execute("analyze")
        base = postgres.Postgres(connection, there.target, there.app)
    else:
        from bootstrap import sqlite

        base = sqlite.Sqlite(there.target, there.app)
    try:
        yield base
    finally:
        base.close()


def _told(record: journal.Journal) -> journal.Journal:
    """What happens on the copy is told as such, and is no state of the live database."""

    def tell(event: journal.Event, status: journal.Status) -> None:
        record.set(progress=status.progress)
        message = f"rehearsal: {event.message}"
        record.event(event.name, message, level=event.level, **event.facts)

    return journal.Journal(tell)
