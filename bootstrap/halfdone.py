"""A revision that was stopped outside its transaction: may it run again, or must a person look?"""

import json

from bootstrap import attempts, database, journal, retry, revisions, settings
from bootstrap.errors import MigrationError


class HalfDone:
    """Looks at the latest attempt; the caller holds the lock."""

    def __init__(
        self,
        base: database.Database,
        known: revisions.Graph,
        limits: settings.Settings,
        record: journal.Journal,
        pause: retry.Pauses,
    ) -> None:
        self._base = base
        self._known = known
        self._limits = limits
        self._record = record
        self._pause = pause

    def left(self) -> MigrationError | None:
        """None if nothing is left of it, so that it may run again by itself, else what to do.

        The invalid indexes that it was building are dropped first: often that is all there is.
        """
        attempt = attempts.last(self._base)
        if attempt is None or attempt.before is None or attempt.result == "done":
            return None
        before = json.loads(attempt.before)
        pending = {revision.id for revision in self._known.pending(self._base.current())}
        if attempt.direction != "upgrade" or attempt.revision not in pending:
            return None
        for name in self._base.invalid_indexes():
            if name not in before["invalid"]:
                self._drop(name, attempt.revision)
        if self._base.look().catalog == before["catalog"]:
            return None
        changed = "the schema" if before["catalog"] else "data"
        return MigrationError(
            f"revision {self._known.title(attempt.revision)} was stopped outside a transaction at "
            f"{attempt.ended_at} ({attempt.error}) and has changed {changed}; only you can tell "
            "how far it came. Finish it by hand and run: bootstrapd migrate --mark-applied "
            f"{attempt.revision}; or undo it by hand and run: bootstrapd migrate --retry",
            revision=attempt.revision,
        )

    def _drop(self, name: str, revision: str) -> None:
        index = (
            f"the invalid index {name}, which revision {self._known.title(revision)} left behind"
        )
        tries = 0
        while not self._base.drop_index(name, lock_timeout_ms=self._limits.lock_timeout_ms):
            tries += 1
            if tries > self._limits.migrate_retries:
                raise MigrationError(
                    f"{index}, cannot be dropped while others hold its table; end what stands in "
                    "the way, then run: bootstrapd migrate",
                    revision=revision,
                )
            self._pause("index_busy", f"{index}, cannot be dropped yet", tries)
        self._record.event("index_dropped", f"dropped {index}", level="warning")
