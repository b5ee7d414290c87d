"""The record of every attempt to apply or take back a revision, kept while the worker works."""

import time

from bootstrap import database, journal, ledger

# Quick revisions are recorded together; a killed run forgets at most those of so many seconds.
WRITE_EVERY_S = 0.5
# The direction of what is recorded beside revisions: an invalid index was rebuilt, or dropped.
REBUILD = "rebuild"
_LOOKED_BACK = 100


class Attempts:
    """Writes the attempts of one run of `release` into the ledger of `base`."""

    def __init__(
        self, base: database.Database, record: journal.Journal, run: str, release: str
    ) -> None:
        self._base = base
        self._record = record
        self._run = run
        self._release = release
        self._number: int | None = None
        self._done: list[tuple[ledger.Started, float]] = []
        self.under_way: ledger.Started | None = None
        self.half_done = False

    def started(self, direction: str, revision: str) -> None:
        """An attempt has begun; it is written once it takes longer than a moment."""
        self.half_done = False
        self.under_way = ledger.Started(
            self._run, direction, revision, self._release, started_at=time.time()
        )

    def leaves_transaction(self) -> None:
        """From here on the attempt cannot be rolled back, so this must be known before."""
        number = self._written()
        before = {
            "catalog": self._base.look().catalog,
            "invalid": list(self._base.invalid_indexes()),
        }
        self._base.ledger.not_transactional(number, before)
        self.half_done = True

    def changes_data(self) -> None:
        """It is about to change data which cannot be rolled back."""
        self._base.ledger.not_comparable(self._written())

    def done(self) -> None:
        """The attempt under way has ended well."""
        assert self.under_way is not None
        if self._number is not None:
            self._base.ledger.end(self._number, "done")
        else:
            self._done.append((self.under_way, time.time()))
        self._number = self.under_way = None
        if self._done and time.time() - self._done[0][1] > WRITE_EVERY_S:
            self.write()

    def failed(self, error: str, result: str = "failed") -> None:
        """The attempt under way, if there is one, has ended badly; `result` may be interrupted.

        Should that not be recordable, it is only told: it must not hide the failure itself.
        """
        try:
            self.write()
            if self._number is not None:
                self._base.ledger.end(self._number, result, error)
        except self._base.errors as failure:
            self._record.event(
                "not_recorded",
                f"the attempt could not be recorded: {' '.join(str(failure).split())}",
                level="warning",
            )
        self._number = self.under_way = None

    def write(self) -> None:
        """Write what has happened since the last time; quick revisions share one statement."""
        if self._done:
            self._base.ledger.done(self._done)
            self._done = []
        if self.under_way is not None and self._number is None:
            self._number = self._base.ledger.begin(self.under_way)

    def settle(self) -> None:
        """Under the lock: end what killed runs left behind, sessions at work and open attempts."""
        ended = self._base.end_leftovers()
        if ended:
            self._record.event(
                "leftovers_ended",
                f"ended {ended} session{'s' * (ended != 1)} of a killed run",
                level="warning",
            )
        for attempt in self._base.ledger.unfinished():
            self._base.ledger.end(attempt.id, "interrupted", "the run was killed")

    def _written(self) -> int:
        self.write()
        assert self._number is not None
        return self._number


def last(base: database.Database) -> ledger.Attempt | None:
    """The latest attempt to apply or take back a revision."""
    latest = base.ledger.attempts(_LOOKED_BACK)
    return next((each for each in latest if each.direction != REBUILD), None)
