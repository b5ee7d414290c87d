"""The migrate stage: what is pending, and applying it, one revision and transaction at a time."""

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
    history,
    journal,
    plan,
    retry,
    revisions,
    settings,
)
from bootstrap.errors import MigrationError, SettingsError, Terminated
from bootstrap.journal import Progress
from bootstrap.worker import LISTED

READ_ONLY = "25006"
Direction = Literal["upgrade", "downgrade", "stamp"]
_DONE: Mapping[Direction, str] = {
    "upgrade": "applied",
    "downgrade": "taken back",
    "stamp": "marked as applied",
}


@dataclass(frozen=True)
class Migrated:
    """What a migration did: the revisions applied or taken back, in order."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    steps: tuple[str, ...]
    took_s: float


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
        command: str = "bootstrapd migrate",
    ) -> None:
        self._loaded = loaded
        self._base = base
        self._known = known
        self._record = record
        self._stop = stop
        self._attempts = attempts.Attempts(base, record, run, loaded.release)
        self._run = run
        self._command = command
        self._pause = retry.Pauses(record, stop, loaded.settings.migrate_retries)
        self._half_done = halfdone.HalfDone(base, known, loaded.settings, record, self._pause)
        self._began_s = 0.0
        self._told_s = 0.0
        self._steps: list[str] = []

    def upgrade(
        self,
        worker: child.Worker,
        wanted: plan.Plan,
        destination: str = "heads",
        *,
        retry: bool = False,
    ) -> Migrated:
        """Apply what is pending up to `destination`.

        With `retry` a revision that was stopped half-way outside a transaction is run again.
        """
        self._attempts.settle()
        left = self._half_done.left()
        if left is not None and not retry:
            raise left
        if wanted.pending:
            self._back_up()
        failing = self._failing(self._command)
        history.begin(self._loaded, self._base, wanted.pending)
        if self._loaded.app.initialise or self._loaded.app.migrate:
            return self._by_own_commands(worker, failing, wanted, destination)
        done = self._go(
            worker, failing, wanted.current, "upgrade", destination, len(wanted.pending)
        )
        if not {each.id for each in wanted.pending} <= self._known.ancestors(done.after):
            raise failing.not_arrived(plan.listed(wanted.heads))
        return done

    def downgrade(
        self, worker: child.Worker, current: tuple[str, ...], destination: str
    ) -> Migrated:
        """Take back what lies above `destination`."""
        if destination != "base" and destination not in self._known.ancestors(current):
            raise SettingsError(
                f"{self._loaded.target.identity} is at {plan.listed(current)} and cannot go "
                f"back to {destination}, which is not below it"
            )
        self._attempts.settle()
        failing = self._failing(f"bootstrapd rollback {destination}")
        above = self._known.above(destination)
        total = len(self._known.ancestors(current) & above)
        if total:
            self._back_up()
        done = self._go(worker, failing, current, "downgrade", destination, total)
        if self._known.ancestors(done.after) & above:
            raise failing.not_arrived(destination)
        return done

    def mark(self, worker: child.Worker, current: tuple[str, ...], revision: str) -> Migrated:
        """Record a revision as applied without running it."""
        self._attempts.settle()
        failing = self._failing(f"bootstrapd migrate --mark-applied {revision}")
        history.mark(self._loaded, self._base, self._known, current, revision)
        done = self._go(worker, failing, current, "stamp", revision, 1)
        if revision not in self._known.ancestors(done.after):
            raise failing.not_arrived(revision)
        return done

    def _by_own_commands(
        self,
        worker: child.Worker,
        failing: failures.Failures,
        wanted: plan.Plan,
        destination: str,
    ) -> Migrated:
        """Let the app make its base, and apply what is pending then: by its command, or here."""
        from bootstrap import own

        app, began_s = self._loaded.app, time.monotonic()
        if app.migrate:
            own.check_destination(app.migrate, destination, app.declared_in)
        commands = own.Own(
            self._loaded, self._base, self._known, self._record, self._stop, self._run
        )

        def stamp(revision: str) -> None:
            self._go(worker, failing, (), "stamp", revision, 1)
            self._steps.clear()

        left = wanted
        if app.initialise and commands.initialise(stamp):
            left = plan.make(self._loaded, self._known, self._base.look(), self._base)
            if destination != "heads":
                left = left.up_to(self._known, destination)
        if left.pending and app.migrate:
            commands.migrate(left, destination)
        elif left.pending:
            self._go(worker, failing, left.current, "upgrade", destination, len(left.pending))
        after = self._base.current()
        reached = self._known.ancestors(after)
        steps = tuple(each.id for each in wanted.pending if each.id in reached)
        if len(steps) < len(wanted.pending):
            raise failing.not_arrived(plan.listed(wanted.heads))
        return Migrated(wanted.current, after, steps, round(time.monotonic() - began_s, 4))

    def _back_up(self) -> None:
        if not self._loaded.settings.backup_dir:
            return
        from bootstrap import backup

        doing = self._record.status.reason
        backup.before(self._loaded, self._base, self._record, self._stop)
        self._record.set(reason=doing, progress=None)

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
                worker.call(
                    direction,
                    self._on_event(direction),
                    gather=total > LISTED,
                    revision=destination,
                    total=total,
                )
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
        after = self._base.current()
        if direction == "upgrade":
            self._note_unasked(before, after)
        attempts.write()
        took_s = round(time.monotonic() - self._began_s, 4)
        return Migrated(before, after, tuple(self._steps), took_s)

    def _note_unasked(self, before: Sequence[str], after: Sequence[str]) -> None:
        """An app that upgrades itself when it is imported leaves less to do, or nothing."""
        reached = self._known.ancestors(after)
        pending = [each.id for each in self._known.pending(before) if each.id in reached]
        unasked = [id_ for id_ in pending if id_ not in self._steps]
        if not unasked:
            return
        for id_ in unasked:
            self._attempts.started("upgrade", id_)
            self._attempts.done()
        self._steps = pending
        self._record.event(
            "applied_unasked",
            f"env.py of app {self._loaded.app.name}, or what it imports, applied "
            f"{_count(unasked)} by itself when it was loaded: {', '.join(unasked)}",
            level="warning",
            revisions=unasked,
        )

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
        # Once a second says more then than a line for each.
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


def render(
    worker: child.Worker, wanted: plan.Plan, destination: str, *, version_table: bool
) -> str:
    """The SQL of what is pending, as PostgreSQL or SQLite would get it."""
    try:
        answer = worker.call(
            "sql",
            current=list(wanted.current),
            revision=destination,
            version_table=version_table,
        )
    except child.WorkerError as error:
        if error.failure["sqlstate"] == READ_ONLY or "readonly database" in str(error):
            raise MigrationError(
                "env.py, or what it imports, changes the database when it is loaded, which a plan "
                f"must not: {error}; the migration itself can be run: bootstrapd migrate"
            ) from error
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
