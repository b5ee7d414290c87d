"""An app's own commands make its base or migrate it; nothing is believed but the version row."""

import shlex
import threading
from collections.abc import Callable, Sequence

from bootstrap import (
    attempts,
    child,
    command,
    database,
    journal,
    plan,
    revisions,
    settings,
)
from bootstrap.errors import MigrationError, SettingsError, Terminated

# Where in a command the revision to go to is wanted.
REVISION = "{revision}"
_LOOKED_AT = 50


class Own:
    """Runs them; the caller holds the lock. Each run of one is an attempt in the ledger."""

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
        self._attempts = attempts.Attempts(base, record, run, loaded.release)

    def migrate(self, wanted: plan.Plan, destination: str) -> None:
        """Apply what is pending.

        Raises MigrationError unless our own database has come to all that was wanted.
        """
        app = self._loaded.app
        check_destination(app.migrate, destination, app.declared_in)
        words = [word.replace(REVISION, destination) for word in app.migrate]
        ended = self._attempted("command", plan.listed(wanted.heads), words)
        after = self._base.current()
        reached = self._known.ancestors(after)
        applied = [each.id for each in wanted.pending if each.id in reached]
        left = [each for each in wanted.pending if each.id not in reached]
        if left:
            moved = (
                f"{plan.counted(left)} still pending"
                if after != wanted.current
                else "nothing has changed there"
            )
            raise MigrationError(
                f"{ended.shown} ended without an error, but {self._place} is at "
                f"{plan.listed(after)} and not at {plan.listed(wanted.heads)}: {moved}; does it "
                f"migrate another database, or return before it is done? {self._told}{ended.tail}",
                current=list(after),
                wanted=list(wanted.heads),
                output=list(ended.output),
            )
        self._record.event(
            "command_done",
            f"{ended.shown} has applied {len(applied)} revision{'s' * (len(applied) != 1)} in "
            f"{ended.took_s:.2f} s: {', '.join(applied)}",
            revisions=applied,
            seconds=ended.took_s,
        )

    def initialise(self, stamp: Callable[[str], object]) -> bool:
        """Let the app make its base on an empty database; whether there was anything to do.

        What it does not record itself is recorded by `stamp(revision)`. A run that was killed on
        the way is taken up where it was.
        """
        before = self._base.look()
        if before.current:
            return False
        tried = [
            each
            for each in self._base.ledger.attempts(_LOOKED_AT)
            if each.direction == "initialise"
        ]
        if before.tables and not tried:
            return False
        if not before.tables or tried[0].result != "done":
            self._make_base()
        sight = self._base.look()
        if not sight.current:
            stamp(self._stands_for(sight.tables))
        return True

    def _make_base(self) -> None:
        app = self._loaded.app
        ended = self._attempted("initialise", "base", app.initialise)
        sight = self._base.look()
        if not sight.current and not sight.tables:
            raise MigrationError(
                f"{ended.shown} ended without an error, but {self._place} is as empty as before; "
                "does it initialise another database, or return before it is done? "
                f"{self._told}{ended.tail}",
                output=list(ended.output),
            )
        self._record.event(
            "initialised",
            f"{ended.shown} has made the base in {ended.took_s:.2f} s: {sight.tables} "
            f"table{'s' * (sight.tables != 1)}",
            seconds=ended.took_s,
        )

    def _stands_for(self, tables: int) -> str:
        """The revision that the app's own base is equal to, as declared."""
        app = self._loaded.app
        if app.initialised_at:
            return plan.resolve(self._known, app.initialised_at)
        raise MigrationError(
            f"the command of app {app.name} has made {tables} table{'s' * (tables != 1)} in "
            f"{self._place}, but recorded no revision; say which one they stand for: "
            f'initialised_at = "{self._known.heads[0] if self._known.heads else "heads"}" in '
            f"{app.declared_in}, then run again"
        )

    def _attempted(self, direction: str, revision: str, words: Sequence[str]) -> command.Ended:
        self._attempts.started(direction, revision)
        self._attempts.write()
        try:
            ended = command.run(
                self._loaded, words, self._base, self._record, self._stop, run=self._run
            )
        except (child.LockLostError, Terminated) as error:
            lost = isinstance(error, child.LockLostError)
            why = "the lock was lost" if lost else "ended by a signal"
            self._attempts.failed(why, "interrupted")
            if lost:
                raise MigrationError(
                    f"the connection that holds the migration lock of {self._place} was lost, so "
                    "the app's command was ended; run again: bootstrapd migrate"
                ) from error
            raise
        except BaseException as error:
            self._attempts.failed(str(error))
            raise
        if ended.fault:
            self._attempts.failed(f"{ended.shown} {ended.fault}")
            raise MigrationError(
                f"{ended.shown} {ended.fault}; {self._place} is at "
                f"{plan.listed(self._base.current())}; mend it, then run: bootstrapd migrate"
                f"{ended.tail}",
                output=list(ended.output),
            )
        self._attempts.done()
        self._attempts.write()
        return ended

    @property
    def _place(self) -> str:
        return self._base.target.identity

    @property
    def _told(self) -> str:
        """How the app was told the URL, for one who has to find out why it did not listen."""
        app = self._loaded.app
        names = ("DATABASE_URL", *app.aliases.get("DATABASE_URL", ()), *app.giving.env)
        file = f" and in {str(app.giving.file)!r}" if app.giving.file else ""
        return (
            f"it was told the URL in {', '.join(dict.fromkeys(names))}{file}; what else it wants "
            f"goes into url_in and url_driver in {app.declared_in}"
        )


def replay_base(
    loaded: settings.Loaded,
    known: revisions.Graph,
    worker: child.Worker,
    record: journal.Journal,
    stop: threading.Event,
    goal: Sequence[str],
) -> None:
    """Let the app make its base on a scratch database, as it would on an empty one.

    Raises MigrationError where it cannot, or where `goal` is below the base.
    """
    app = loaded.app
    at = plan.resolve(known, app.initialised_at) if app.initialised_at else None
    made = known.heads if at == "heads" else (at,) if at else ()
    if not set(made) <= known.ancestors(goal):
        raise MigrationError(
            f"app {app.name} makes its base at {plan.listed(made)} itself, so what it was at "
            f"{plan.listed(goal)} cannot be replayed"
        )
    ended = command.run(loaded, app.initialise, None, record, stop, run="replay")
    if ended.fault:
        raise MigrationError(
            f"{ended.shown} {ended.fault} on {loaded.target.identity}{ended.tail}",
            output=list(ended.output),
        )
    if at:
        worker.call("stamp", revision=at, total=1)


def check_destination(words: Sequence[str], destination: str, declared_in: str) -> None:
    """Raise SettingsError where an app's command cannot go to this revision."""
    if destination != "heads" and not any(REVISION in word for word in words):
        raise SettingsError(
            f"the app's own command goes to the newest revision, not to {destination}; if it can, "
            f"write {REVISION} where it takes one, in migrate in {declared_in}"
        )


def remarks(
    loaded: settings.Loaded, known: revisions.Graph, sight: database.Sight, wanted: plan.Plan
) -> tuple[str, plan.Plan]:
    """What a plan has to say of the app's own commands, and of which revisions it can give the SQL.

    The first is comments of SQL.
    """
    app = loaded.app
    lines = []
    left = wanted
    if app.initialise and not sight.current and not sight.tables:
        at = f", recorded as {app.initialised_at}" if app.initialised_at else ""
        lines.append(f"-- first the app makes its base: {shlex.join(app.initialise)}{at}\n")
        left = _above_base(loaded, known, wanted)
        if not loaded.target.is_postgres or not app.initialised_at:
            # SQLite's revisions look at the live tables, and those are not there yet.
            lines += [f"-- then revision {known.title(each.id)}\n" for each in left.pending]
            left = left._replace(pending=())
    if app.migrate:
        lines.append(f"-- run by the app's own command: {shlex.join(app.migrate)}\n")
    return "".join(lines), left


def _above_base(loaded: settings.Loaded, known: revisions.Graph, wanted: plan.Plan) -> plan.Plan:
    """The plan as it will be once the app has made its base, where that is declared."""
    if not loaded.app.initialised_at:
        return wanted
    at = plan.resolve(known, loaded.app.initialised_at)
    current = known.heads if at == "heads" else (at,)
    done = known.ancestors(current)
    left = tuple(each for each in wanted.pending if each.id not in done)
    return wanted._replace(current=current, pending=left)
