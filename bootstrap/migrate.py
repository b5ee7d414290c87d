"""The migrate stage: what is pending, and applying it, one revision and transaction at a time."""

import json
import random
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bootstrap import __version__, child, database, journal, revisions, settings
from bootstrap.errors import (
    AheadError,
    DriftError,
    MigrationError,
    SettingsError,
    Terminated,
)
from bootstrap.journal import Progress

# lock_not_available, deadlock_detected, serialization_failure: the revision was rolled back whole
# and may succeed at another moment. Nothing else becomes better by trying again.
RETRIED = frozenset({"55P03", "40P01", "40001"})
RETRY_FIRST_S = 0.5
RETRY_CAP_S = 10.0
# Quick revisions are recorded together; a killed run forgets at most those of so many seconds.
WRITE_EVERY_S = 0.5
# With more revisions than this, progress once a second says more than a line for each.
LISTED = 30
_DONE = {"upgrade": "applied", "downgrade": "taken back", "stamp": "marked as applied"}


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
            return f"schema is at {_names(self.current) or 'base'}, nothing is pending"
        at = f"schema is at {_names(self.current)}" if self.current else "schema is empty"
        return f"{at}, this release wants {_names(self.heads)}: {len(self.pending)} pending"

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
            f"{place} is at {_names(unknown)}, which this release of {loaded.app.name} does not "
            f"have (its newest is {_names(known.heads)}); start the release that brought it, or "
            "restore the backup from before",
            unknown=list(unknown),
            heads=list(known.heads),
        )
    forks = known.forks()
    if forks:
        raise MigrationError(
            f"the revisions of {loaded.app.name} have {len(forks)} heads that fork from one "
            f"parent: {_names(forks)}; join them: alembic merge -m join {' '.join(forks)}",
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
            f"revision {revision} builds on {_names(sorted(missing))}, not applied yet; apply or "
            f"mark {first} first"
        )


class Stage:
    """Applies or takes back revisions through a worker, and keeps the record of every attempt."""

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
        self._run = run
        self._started: database.Started | None = None
        self._half_done = False
        self._attempt: int | None = None
        self._done: list[tuple[database.Started, float]] = []
        self._began_s = 0.0
        self._told_s = 0.0
        self._steps: list[str] = []

    def upgrade(
        self, worker: child.Worker, wanted: Plan, destination: str = "heads", *, retry: bool = False
    ) -> Migrated:
        """Apply what is pending up to `destination`; the caller holds the lock.

        With `retry` a revision that was stopped half-way outside a transaction is run again.
        """
        self._end_leftovers()
        half_done = self._half_done_attempt()
        if half_done is not None and not retry:
            raise self._only_a_person_knows(half_done)
        done = self._go(worker, wanted.current, "upgrade", destination, len(wanted.pending))
        self._check_arrived(wanted, done.after)
        return done

    def downgrade(
        self, worker: child.Worker, current: tuple[str, ...], destination: str
    ) -> Migrated:
        """Take back what lies above `destination`."""
        self._end_leftovers()
        total = len(self._known.ancestors(current) & self._known.above(destination))
        done = self._go(worker, current, "downgrade", destination, total)
        if self._known.ancestors(done.after) & self._known.above(destination):
            raise self._not_arrived(destination, done.after)
        return done

    def mark(self, worker: child.Worker, current: tuple[str, ...], revision: str) -> Migrated:
        """Record a revision as applied without running it."""
        self._end_leftovers()
        done = self._go(worker, current, "stamp", revision, 1)
        if revision not in self._known.ancestors(done.after):
            raise self._not_arrived(revision, done.after)
        return done

    def _go(
        self,
        worker: child.Worker,
        before: tuple[str, ...],
        direction: str,
        destination: str,
        total: int,
    ) -> Migrated:
        self._began_s = time.monotonic()
        tries = 0
        while True:
            try:
                worker.call(direction, self._on_event(direction), revision=destination, total=total)
                break
            except child.WorkerError as error:
                self._end("failed", error.failure["message"])
                if not self._may_retry(error.failure, tries):
                    raise self._failed(direction, error.failure, tries) from error
                tries += 1
                self._tell_retry(error.failure, tries)
            except child.LockLostError as error:
                raise self._lock_lost() from error
            except child.DiedError as error:
                raise self._died(error) from error
            except Terminated:
                self._end("interrupted", "ended by a signal")
                raise
        self._write()
        return Migrated(
            before,
            self._base.current(),
            tuple(self._steps),
            round(time.monotonic() - self._began_s, 4),
        )

    # -- events -----------------------------------------------------------------------------------

    def _on_event(self, direction: str) -> child.OnEvent:
        def handle(event: Mapping[str, Any] | None) -> None:
            kind = event["event"] if event else None
            if event is None:
                self._write()
            elif kind == "revision_started":
                self._half_done = False
                self._started = database.Started(
                    self._run, direction, event["revision"], __version__, time.time()
                )
            elif kind == "autocommit":
                # From here on nothing can be rolled back, so this must be known before.
                self._base.not_transactional(self._number())
                self._half_done = True
            elif kind == "data_committed":
                self._base.not_comparable(self._number())
            elif kind == "revision_done":
                self._revision_done(direction, event)

        return handle

    def _revision_done(self, direction: str, event: Mapping[str, Any]) -> None:
        assert self._started is not None
        if self._attempt is None:
            self._done.append((self._started, time.time()))
            self._started = None
            if time.time() - self._done[0][1] > WRITE_EVERY_S:
                self._write()
        else:
            self._end("done")
        revision, total = event["revision"], event["total"]
        self._steps.append(revision)
        number = len(self._steps)
        progress = Progress("revisions", number, total, self._began_s)
        self._record.set(progress=progress)
        verb = _DONE[direction]
        self._record.event(
            "revision_done",
            f"revision {self._title(revision)} {verb} in {event['seconds']:.2f} s"
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

    # -- the record of attempts -------------------------------------------------------------------

    def _write(self) -> None:
        """Write what has happened since the last time; quick revisions share one statement."""
        if self._done:
            self._base.done(self._done)
            self._done = []
        if self._started is not None and self._attempt is None:
            self._attempt = self._base.begin(self._started)

    def _number(self) -> int:
        """The number of the attempt under way, which is recorded now at the latest."""
        self._write()
        assert self._attempt is not None
        return self._attempt

    def _end(self, result: str, error: str | None = None) -> None:
        """Record how the attempt under way ended. A failure of that must not hide the first one."""
        try:
            self._write()
            if self._attempt is not None:
                self._base.end(self._attempt, result, error)
        except self._base.errors as failure:
            if result == "done":
                raise
            self._record.event(
                "not_recorded",
                f"the attempt could not be recorded: {' '.join(str(failure).split())}",
                level="warning",
            )
        self._attempt = self._started = None

    # -- failures ---------------------------------------------------------------------------------

    def _may_retry(self, failure: Mapping[str, Any], tries: int) -> bool:
        passing = failure["sqlstate"] in RETRIED or failure["message"] == "database is locked"
        if not passing or tries >= self._loaded.settings.migrate_retries:
            return False
        return not failure["autocommit"] or self._half_done_attempt() is None

    def _tell_retry(self, failure: Mapping[str, Any], tries: int) -> None:
        revision = self._title(failure["revision"])
        self._pause(
            "revision_retried",
            f"revision {revision} did not get through and left nothing behind: "
            f"{failure['message']}",
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

    def _failed(self, direction: str, failure: Mapping[str, Any], tries: int) -> Exception:
        place = self._loaded.target.identity
        if failure["kind"] == "OtherDatabaseError":
            return SettingsError(
                f"env.py of app {self._loaded.app.name} was given {place}, but "
                f"{failure['message']}; nothing was migrated. Let it take sqlalchemy.url from the "
                "configuration, or name the variable that it reads: aliases.DATABASE_URL in "
                f"{self._loaded.app.declared_in}"
            )
        if failure["kind"] == "OtherVersionTableError":
            return SettingsError(
                f"env.py of app {self._loaded.app.name} keeps its version in "
                f"{failure['message']!r}, but {self._loaded.app.version_table!r} is declared; "
                f"nothing was migrated. Set version_table = {failure['message']!r} in "
                f"{self._loaded.app.declared_in}"
            )
        facts: dict[str, Any] = {
            "revision": failure["revision"],
            "sqlstate": failure["sqlstate"],
            "statement": failure["statement"],
        }
        if failure["revision"] is None:
            return MigrationError(
                f"the migration of {place} could not start: {failure['message']}; nothing was "
                "changed",
                **facts,
            )
        what = f"revision {self._title(failure['revision'])}"
        after = f" after {tries + 1} tries" if tries else ""
        current = _names(self._base.current()) or "base"
        if failure["autocommit"]:
            invalid = self._base.invalid_indexes()
            left = f"; invalid indexes: {', '.join(invalid)}" if invalid else ""
            return MigrationError(
                f"{what} failed outside a transaction and may be half done: {failure['message']}"
                f"{left}; {place} is at {current}; mend the cause, then run: bootstrapd migrate",
                invalid_indexes=list(invalid),
                **facts,
            )
        verb = "applied" if direction == "upgrade" else "taken back"
        mend = "end what stands in its way" if failure["sqlstate"] in RETRIED else "mend it"
        return MigrationError(
            f"{what} failed{after} and was rolled back: {failure['message']}; {place} is at "
            f"{current}, with {_count(self._steps)} {verb} in this run; {mend}, then run: "
            "bootstrapd migrate",
            **facts,
        )

    def _end_leftovers(self) -> None:
        """Settle what killed runs left behind: sessions still at work, attempts without an end."""
        ended = self._base.end_leftovers()
        if ended:
            self._record.event(
                "leftovers_ended",
                f"ended {ended} session{'s' * (ended != 1)} of a killed run",
                level="warning",
            )
        for attempt in self._base.unfinished():
            self._base.end(attempt.id, "interrupted", "the run was killed")

    def _half_done_attempt(self) -> database.Attempt | None:
        """The latest attempt, if it was stopped outside its transaction and has left something.

        The invalid indexes that it was building are dropped first: often nothing else is left of
        it, and then the revision may run again by itself.
        """
        last = self._base.attempts(1)
        if not last or last[0].before is None or last[0].result == "done":
            return None
        attempt, before = last[0], json.loads(last[0].before)
        pending = {revision.id for revision in self._known.pending(self._base.current())}
        if attempt.direction != "upgrade" or attempt.revision not in pending:
            return None
        left = [name for name in self._base.invalid_indexes() if name not in before["invalid"]]
        for name in left:
            self._drop_index(name, attempt.revision)
        return None if self._base.look().catalog == before["catalog"] else attempt

    def _drop_index(self, name: str, revision: str) -> None:
        index = f"the invalid index {name}, which revision {self._title(revision)} left behind"
        limits = self._loaded.settings
        tries = 0
        while not self._base.drop_index(name, lock_timeout_ms=limits.lock_timeout_ms):
            tries += 1
            if tries > limits.migrate_retries:
                raise MigrationError(
                    f"{index}, cannot be dropped while others hold its table; end what stands in "
                    "the way, then run: bootstrapd migrate",
                    revision=revision,
                )
            self._pause("index_busy", f"{index}, cannot be dropped yet", tries)
        self._record.event("index_dropped", f"dropped {index}", level="warning")

    def _only_a_person_knows(self, attempt: database.Attempt) -> MigrationError:
        assert attempt.before is not None
        changed = "the schema" if json.loads(attempt.before)["catalog"] else "data"
        return MigrationError(
            f"revision {self._title(attempt.revision)} was stopped outside a transaction at "
            f"{attempt.ended_at} ({attempt.error}) and has changed {changed}; only you can tell "
            "how far it came. Finish it by hand and run: bootstrapd migrate --mark-applied "
            f"{attempt.revision}; or undo it by hand and run: bootstrapd migrate --retry",
            revision=attempt.revision,
        )

    def _check_arrived(self, wanted: Plan, after: tuple[str, ...]) -> None:
        """Believe the version row in our database, not the exit of somebody's env.py."""
        if {revision.id for revision in wanted.pending} <= self._known.ancestors(after):
            return
        raise self._not_arrived(_names(wanted.heads), after)

    def _not_arrived(self, wanted: str, after: tuple[str, ...]) -> MigrationError:
        return MigrationError(
            f"the migration reported success, but {self._loaded.target.identity} is at "
            f"{_names(after) or 'base'} and not at {wanted}; does env.py of app "
            f"{self._loaded.app.name} migrate another database, or return before it is done?",
            current=list(after),
            wanted=wanted,
        )

    def _lock_lost(self) -> MigrationError:
        return MigrationError(
            f"the connection that holds the migration lock of {self._loaded.target.identity} was "
            f"lost, so {self._stopped()}; run again: bootstrapd migrate"
        )

    def _died(self, error: child.DiedError) -> MigrationError:
        stopped = self._stopped()
        self._end("interrupted", f"the worker {error.how}")
        return MigrationError(
            f"{error.worker} {error.how}: {stopped}; run again: bootstrapd migrate{error.tail}",
            output=error.output,
        )

    def _stopped(self) -> str:
        """What became of the revision under way, whose session has ended."""
        if self._started is None:
            return "no revision was under way"
        revision = f"revision {self._title(self._started.revision)}"
        if self._half_done:
            return f"{revision} was stopped outside a transaction and may be half done"
        return f"{revision} was stopped and rolled back"

    def _title(self, revision: str) -> str:
        known = self._known.revisions.get(revision)
        return f"{revision} ({known.title})" if known and known.title else revision


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


def _names(ids: Sequence[str]) -> str:
    return ", ".join(ids)
