"""The migrate stage: what is pending, and applying it, one revision and transaction at a time."""

import random
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bootstrap import (
    attempts,
    child,
    database,
    failures,
    halfdone,
    journal,
    revisions,
    settings,
)
from bootstrap.errors import (
    AheadError,
    DriftError,
    MigrationError,
    SettingsError,
    Terminated,
)
from bootstrap.journal import Progress

RETRY_FIRST_S = 0.5
RETRY_CAP_S = 10.0
# With more revisions than this, progress once a second says more than a line for each.
LISTED = 30
Direction = Literal["upgrade", "downgrade", "stamp"]
_DONE: Mapping[Direction, str] = {
    "upgrade": "applied",
    "downgrade": "taken back",
    "stamp": "marked as applied",
}


@dataclass(frozen=True)
class Plan:
    """Where the database is, what this release wants, and the revisions in between."""

    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[revisions.Revision, ...]

    @property
    def message(self) -> str:
        """The state in one sentence."""
        if not self.pending:
            return f"schema is at {failures.listed(self.current)}, nothing is pending"
        at = f"schema is at {failures.listed(self.current)}" if self.current else "schema is empty"
        return (
            f"{at}, this release wants {failures.listed(self.heads)}: {len(self.pending)} pending"
        )

    def up_to(self, known: revisions.Graph, destination: str) -> "Plan":
        """The same plan, going no further than `destination`."""
        wanted = known.ancestors([destination])
        pending = tuple(revision for revision in self.pending if revision.id in wanted)
        return Plan(self.current, (destination,), pending)

    def document(self) -> dict[str, Any]:
        """The plan as JSON shows it."""
        return {
            "current": list(self.current),
            "heads": list(self.heads),
            "pending": [revision.id for revision in self.pending],
        }


@dataclass(frozen=True)
class Migrated:
    """What a migration did: the revisions applied or taken back, in order."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    steps: tuple[str, ...]
    took_s: float


def graph(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event
) -> revisions.Graph:
    """The app's revisions: read plainly where that is possible, else by Alembic in a worker."""
    try:
        return revisions.read(loaded.app.alembic)
    except OSError as error:
        raise MigrationError(
            f"the revisions of app {loaded.app.name} cannot be read: {error.strerror}: "
            f"{error.filename!r}"
        ) from error
    except revisions.NotPlainError as reason:
        record.event("asking_alembic", f"revisions are read by Alembic: {reason}", level="debug")
    try:
        with child.Worker(loaded, record, run="describe", stop=stop) as worker:
            return revisions.described(worker.call("describe"))
    except child.WorkerError as error:
        raise MigrationError(
            f"the revisions of app {loaded.app.name} ({loaded.app.alembic}) cannot be read: "
            f"{error.failure['message']}; mend the revision files or `alembic` in "
            f"{loaded.app.declared_in}"
        ) from error


def plan(loaded: settings.Loaded, known: revisions.Graph, sight: database.Sight) -> Plan:
    """Compare database and release.

    Raises AheadError for revisions that this release does not have, MigrationError for heads that
    fork by accident, and DriftError for tables that no history explains.
    """
    place = loaded.target.identity
    unknown = known.unknown(sight.current)
    if unknown:
        raise AheadError(
            f"{place} is at {failures.listed(unknown)}, which this release of {loaded.app.name} "
            f"does not have (its newest is {failures.listed(known.heads)}); start the release that "
            "brought it, or restore the backup from before",
            unknown=list(unknown),
            heads=list(known.heads),
        )
    forks = known.forks()
    if forks:
        raise MigrationError(
            f"the revisions of {loaded.app.name} have {len(forks)} heads that fork from one "
            f"parent: {failures.listed(forks)}; join them: alembic merge -m join {' '.join(forks)}",
            heads=list(forks),
        )
    if not sight.current and sight.tables and sight.identity is None:
        raise DriftError(
            f"{place} holds {sight.tables} table{'s' * (sight.tables != 1)} but no record of "
            f"revisions; nothing was changed. If it is another application's database, point the "
            "settings elsewhere; if it is this one's, record where it is: alembic stamp REVISION",
            tables=sight.tables,
        )
    return Plan(sight.current, known.heads, known.pending(sight.current))


def resolve(known: revisions.Graph, wanted: str) -> str:
    """A revision by its id or the unique start of one; `head`, `heads` and `base` are words."""
    if wanted in ("head", "heads", "base") or wanted in known.revisions:
        return "heads" if wanted == "head" else wanted
    matches = [id_ for id_ in known.revisions if id_.startswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    found = f"{len(matches)} that start so" if matches else "none"
    raise SettingsError(f"wanted a revision of this release, found {found}: {wanted!r}")


def check_markable(known: revisions.Graph, current: Sequence[str], revision: str) -> None:
    """Raise SettingsError unless `revision` is the next one: a mark must not skip others."""
    if revision not in known.revisions:
        raise SettingsError(
            f"wanted the one revision that was finished by hand, found {revision!r}; name it: "
            "bootstrapd migrate --mark-applied REV"
        )
    missing = known.ancestors([revision]) - known.ancestors(current) - {revision}
    if missing:
        first = known.pending(current)[0].id
        raise SettingsError(
            f"revision {revision} builds on {failures.listed(sorted(missing))}, not applied yet; "
            f"apply or mark {first} first"
        )


class Stage:
    """Applies or takes back revisions through a worker, and keeps the record of every attempt.

    The caller holds the lock.
    """

    def __init__(
        self,
        loaded: settings.Loaded,
        base: database.Database,
        known: revisions.Graph,
        record: journal.Journal,
        stop: threading.Event,
        run: str,
    ) -> None:
        self._loaded = loaded
        self._base = base
        self._known = known
        self._record = record
        self._stop = stop
        self._attempts = attempts.Attempts(base, record, run)
        self._half_done = halfdone.HalfDone(base, known, loaded.settings, record, self._pause)
        self._began_s = 0.0
        self._told_s = 0.0
        self._steps: list[str] = []

    def upgrade(
        self, worker: child.Worker, wanted: Plan, destination: str = "heads", *, retry: bool = False
    ) -> Migrated:
        """Apply what is pending up to `destination`.

        With `retry` a revision that was stopped half-way outside a transaction is run again.
        """
        self._attempts.settle()
        left = self._half_done.left()
        if left is not None and not retry:
            raise left
        failing = self._failing("bootstrapd migrate")
        done = self._go(
            worker, failing, wanted.current, "upgrade", destination, len(wanted.pending)
        )
        if not {each.id for each in wanted.pending} <= self._known.ancestors(done.after):
            raise failing.not_arrived(failures.listed(wanted.heads))
        return done

    def downgrade(
        self, worker: child.Worker, current: tuple[str, ...], destination: str
    ) -> Migrated:
        """Take back what lies above `destination`."""
        if destination != "base" and destination not in self._known.ancestors(current):
            raise SettingsError(
                f"{self._loaded.target.identity} is at {failures.listed(current)} and cannot go "
                f"back to {destination}, which is not below it"
            )
        self._attempts.settle()
        failing = self._failing(f"bootstrapd rollback {destination}")
        above = self._known.above(destination)
        total = len(self._known.ancestors(current) & above)
        done = self._go(worker, failing, current, "downgrade", destination, total)
        if self._known.ancestors(done.after) & above:
            raise failing.not_arrived(destination)
        return done

    def mark(self, worker: child.Worker, current: tuple[str, ...], revision: str) -> Migrated:
        """Record a revision as applied without running it."""
        self._attempts.settle()
        failing = self._failing(f"bootstrapd migrate --mark-applied {revision}")
        done = self._go(worker, failing, current, "stamp", revision, 1)
        if revision not in self._known.ancestors(done.after):
            raise failing.not_arrived(revision)
        return done

    def _failing(self, command: str) -> failures.Failures:
        return failures.Failures(self._loaded.app, self._base, self._known, command)

    def _go(
        self,
        worker: child.Worker,
        failing: failures.Failures,
        before: tuple[str, ...],
        direction: Direction,
        destination: str,
        total: int,
    ) -> Migrated:
        self._began_s = time.monotonic()
        attempts, tries = self._attempts, 0
        while True:
            try:
                worker.call(direction, self._on_event(direction), revision=destination, total=total)
                break
            except child.WorkerError as error:
                attempts.failed(error.failure["message"])
                if not self._may_retry(error.failure, tries):
                    done = f"{_count(self._steps)} {_DONE[direction]}"
                    raise failing.failed(error.failure, tries, done) from error
                tries += 1
                self._tell_retry(error.failure, tries)
            except child.LockLostError as error:
                raise failing.lock_lost(attempts.under_way, attempts.half_done) from error
            except child.DiedError as error:
                failure = failing.died(error, attempts.under_way, attempts.half_done)
                attempts.failed(f"the worker {error.how}", "interrupted")
                raise failure from error
            except Terminated:
                attempts.failed("ended by a signal", "interrupted")
                raise
        attempts.write()
        took_s = round(time.monotonic() - self._began_s, 4)
        return Migrated(before, self._base.current(), tuple(self._steps), took_s)

    # -- events -----------------------------------------------------------------------------------

    def _on_event(self, direction: Direction) -> child.OnEvent:
        def handle(event: Mapping[str, Any] | None) -> None:
            kind = event["event"] if event else None
            if event is None:
                self._attempts.write()
            elif kind == "revision_started":
                self._attempts.started(direction, event["revision"])
            elif kind == "autocommit":
                self._attempts.leaves_transaction()
            elif kind == "data_committed":
                self._attempts.changes_data()
            elif kind == "revision_done":
                self._attempts.done()
                self._tell_done(direction, event)

        return handle

    def _tell_done(self, direction: Direction, event: Mapping[str, Any]) -> None:
        revision, total = event["revision"], event["total"]
        self._steps.append(revision)
        number = len(self._steps)
        progress = Progress("revisions", number, total, self._began_s)
        self._record.set(progress=progress)
        verb = _DONE[direction]
        self._record.event(
            "revision_done",
            f"revision {self._known.title(revision)} {verb} in {event['seconds']:.2f} s"
            f" ({number} of {total})",
            level="info" if total <= LISTED or event["seconds"] >= 1 else "debug",
            revision=revision,
            direction=direction,
            seconds=event["seconds"],
        )
        now_s = time.monotonic()
        if total > LISTED and now_s - max(self._told_s, self._began_s) >= 1:
            self._told_s = now_s
            eta_s = progress.eta_s(now_s) or 0
            self._record.event(
                "progress", f"{number} of {total} revisions {verb}, about {eta_s:.0f} s left"
            )

    # -- tries ------------------------------------------------------------------------------------

    def _may_retry(self, failure: Mapping[str, Any], tries: int) -> bool:
        passing = failure["sqlstate"] in failures.PASSING
        passing |= failure["message"] == "database is locked"
        if not passing or tries >= self._loaded.settings.migrate_retries:
            return False
        return not failure["autocommit"] or self._half_done.left() is None

    def _tell_retry(self, failure: Mapping[str, Any], tries: int) -> None:
        self._pause(
            "revision_retried",
            f"revision {self._known.title(failure['revision'])} did not get through and left "
            f"nothing behind: {failure['message']}",
            tries,
            revision=failure["revision"],
            sqlstate=failure["sqlstate"],
        )

    def _pause(self, event: str, message: str, tries: int, **facts: object) -> None:
        """Sleep before the next try, the longer the more tries there were; say so before."""
        sleep_s = min(RETRY_CAP_S, RETRY_FIRST_S * 2 ** (tries - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
        most = self._loaded.settings.migrate_retries
        self._record.event(
            event,
            f"{message}; retry {tries} of {most} in {sleep_s:.1f} s",
            level="warning",
            **facts,
        )
        if self._stop.wait(sleep_s):
            raise Terminated(signal.SIGTERM)


def render(worker: child.Worker, wanted: Plan, destination: str, *, version_table: bool) -> str:
    """The SQL of what is pending, as PostgreSQL or SQLite would get it."""
    try:
        answer = worker.call(
            "sql",
            current=list(wanted.current),
            revision=destination,
            version_table=version_table,
        )
    except child.WorkerError as error:
        raise MigrationError(
            "the SQL of the pending revisions cannot be rendered without running them: "
            f"{error.failure['message']}; revisions that look at the live database, or insert into "
            "columns without types, have no fixed SQL"
        ) from error
    return str(answer["sql"])


def write_new(
    loaded: settings.Loaded, worker: child.Worker, name: str, *, autogenerate: bool
) -> tuple[str, ...]:
    """Write a revision file; the paths of what was written."""
    try:
        answer = worker.call("new", message=name, autogenerate=autogenerate)
    except child.WorkerError as error:
        raise MigrationError(
            f"no revision {name!r} of app {loaded.app.name} was written: {error.failure['message']}"
        ) from error
    return tuple(answer["paths"])


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} revision{'s' * (len(ids) != 1)}"
