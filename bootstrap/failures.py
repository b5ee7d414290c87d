"""What is said when a migration did not come to its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap import app, child, database, ledger, plan, revisions
from bootstrap.errors import BootstrapdError, MigrationError, SettingsError

# lock_not_available, deadlock_detected, serialization_failure: the revision was rolled back whole
# and may succeed at another moment. Nothing else becomes better by trying again.
PASSING = frozenset({"55P03", "40P01", "40001"})


@dataclass(frozen=True)
class Failures:
    """Makes the errors of one call of the stage; `command` is what the user runs again."""

    app: app.App
    base: database.Database
    known: revisions.Graph
    command: str

    def failed(self, failure: Mapping[str, Any], tries: int, done: str) -> BootstrapdError:
        """The worker reported a failure; `done` says how much was done before."""
        refused = self._refused(failure)
        if refused is not None:
            return refused
        facts: dict[str, Any] = {
            "revision": failure["revision"],
            "sqlstate": failure["sqlstate"],
            "statement": failure["statement"],
        }
        message, place = failure["message"], self._place
        if failure["revision"] is None:
            return MigrationError(
                f"the migration of {place} could not start: {message}; nothing was changed",
                **facts,
            )
        what = f"revision {self.known.title(failure['revision'])}"
        at = f"{place} is at {plan.listed(self.base.current())}"
        if failure["autocommit"]:
            invalid = self.base.invalid_indexes()
            left = f"; invalid indexes: {', '.join(invalid)}" if invalid else ""
            return MigrationError(
                f"{what} failed outside a transaction and may be half done: {message}{left}; {at}; "
                f"mend the cause, then run: {self.command}",
                invalid_indexes=list(invalid),
                **facts,
            )
        if failure["early"] and "already exists" in message:
            message += (
                f"; before its first revision env.py, or what it imports, ran: {failure['early']}"
            )
        after = f" after {tries + 1} tries" if tries else ""
        mend = "end what stands in its way" if failure["sqlstate"] in PASSING else "mend it"
        return MigrationError(
            f"{what} failed{after} and was rolled back: {message}; {at}, with {done} in this run; "
            f"{mend}, then run: {self.command}",
            **facts,
        )

    def lock_lost(self, under_way: ledger.Started | None, half_done: bool) -> MigrationError:
        """The lock's connection went away, and the worker was killed."""
        return MigrationError(
            f"the connection that holds the migration lock of {self._place} was lost, so "
            f"{self._stopped(under_way, half_done)}; run again: {self.command}"
        )

    def died(
        self, error: child.DiedError, under_way: ledger.Started | None, half_done: bool
    ) -> MigrationError:
        """The worker went away."""
        return MigrationError(
            f"{error.worker} {error.how}: {self._stopped(under_way, half_done)}; run again: "
            f"{self.command}{error.tail}",
            output=error.output,
        )

    def not_arrived(self, wanted: str) -> MigrationError:
        """The worker reported success, but the version row in our database says otherwise."""
        current = self.base.current()
        return MigrationError(
            f"the migration reported success, but {self._place} is at {plan.listed(current)} and "
            f"not at {wanted}; does env.py of app {self.app.name} migrate another database, or "
            "return before it is done?",
            current=list(current),
            wanted=wanted,
        )

    @property
    def _place(self) -> str:
        return self.base.target.identity

    def _refused(self, failure: Mapping[str, Any]) -> SettingsError | None:
        found = failure["message"]
        if failure["kind"] == "OtherDatabaseError":
            return SettingsError(
                f"env.py of app {self.app.name} was given {self._place}, but {found}; nothing was "
                "migrated. Let it take sqlalchemy.url from the configuration, or name the variable "
                f"that it reads: aliases.DATABASE_URL in {self.app.declared_in}"
            )
        if failure["message"] == "there is no 'connection'" and not self.app.connection:
            return SettingsError(
                f"env.py of app {self.app.name} takes what it works on from "
                "config.attributes['connection']; nothing was migrated. Say what it wants there: "
                f'connection = "connection", "engine" or "autocommit" in {self.app.declared_in}'
            )
        if failure["kind"] == "OtherVersionTableError":
            return SettingsError(
                f"env.py of app {self.app.name} keeps its version in {found!r}, but "
                f"{self.app.version_table!r} is declared; nothing was migrated. Set version_table "
                f"= {found!r} in {self.app.declared_in}"
            )
        return None

    def _stopped(self, under_way: ledger.Started | None, half_done: bool) -> str:
        """What became of the revision under way, whose session has ended."""
        if under_way is None:
            return "no revision was under way"
        revision = f"revision {self.known.title(under_way.revision)}"
        if half_done:
            return f"{revision} was stopped outside a transaction and may be half done"
        return f"{revision} was stopped and rolled back"
