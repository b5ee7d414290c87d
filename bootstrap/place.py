"""An open database with all that the stages need to work on it."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from bootstrap import database, journal, lock, opening, plan, revisions, settings
from bootstrap.early import Early
from bootstrap.errors import RefusedError


class Place(NamedTuple):
    """Where a run works: the open database, the revisions that this release has for it, the record.

    `here` are the settings with the road that bootstrapd takes to the database.
    """

    opened: opening.Opened
    known: revisions.Graph
    record: journal.Journal
    stop: threading.Event
    early: Early

    @property
    def here(self) -> settings.Loaded:
        """The settings, with the target that is worked on."""
        return self.opened.here

    @property
    def base(self) -> database.Database:
        """The database itself."""
        return self.opened.base

    @property
    def identity(self) -> str:
        """The database as messages name it."""
        return self.here.target.identity

    def plan(
        self, sight: database.Sight, destination: str = "heads", *, or_ahead: bool = True
    ) -> plan.Plan:
        """What is pending up to `destination`, by this look at the database.

        Without `or_ahead` a database that is ahead of this release is an AheadError, even if this
        release can run on it.
        """
        wanted = plan.make(self.here, self.known, sight, self.base, or_ahead=or_ahead)
        return wanted if destination == "heads" else wanted.up_to(self.known, destination)

    @contextlib.contextmanager
    def locked(self, settled: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Hold the migration lock for the length of the block; False if it was settled without."""
        wait_s = self.here.settings.lock_wait_s
        with lock.held(
            self.base, self.record, wait_s=wait_s, stop=self.stop, settled=settled
        ) as held:
            yield held

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Hold the lock, with the ledger open, for work that must be recorded.

        Raises RefusedError where the database or the record in it cannot be written.
        """
        sight = self.base.look()
        opening.refuse_pooler(self.here, self.base, sight)
        self.require_writable(sight)
        with self.locked():
            if not self.base.ledger.prepare():
                raise RefusedError(
                    f"the role {self.here.target.user!r} may not write bootstrapd's record in "
                    f"{self.identity}; use the role that owns the schema, or give it one: "
                    "CREATE SCHEMA bootstrapd AUTHORIZATION that role"
                )
            yield

    def require_writable(self, sight: database.Sight) -> None:
        """Raise RefusedError where the database can only be read."""
        if not sight.read_only:
            return
        hint = (
            f"it is not writable for user {os.geteuid()}"
            if self.here.target.path is not None
            else "it is a standby or its role is set to read-only; point the settings at the "
            "primary"
        )
        raise RefusedError(f"{self.identity} can only be read, and there is work to do: {hint}")


@contextlib.contextmanager
def opened(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, *, to_write: bool
) -> Iterator[Place]:
    """Wait for the database and open it for the length of the block."""
    with (
        contextlib.closing(Early()) as early,
        opening.database(
            loaded, record, stop, to_write=to_write, early=early if to_write else None
        ) as found,
    ):
        yield Place(found, plan.graph(found.here, record, stop), record, stop, early)


def run_name() -> str:
    """A short random name for one run, seen in application_name and in the ledger."""
    return os.urandom(6).hex()
