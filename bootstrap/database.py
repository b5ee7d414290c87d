"""What the engine asks of a database itself, without SQLAlchemy: a look, a lock and a ledger."""

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bootstrap import app
from bootstrap import target as targets

if TYPE_CHECKING:
    from bootstrap import catalog as catalogs
    from bootstrap import ledger


# The catalog digest of a database in which nothing is.
EMPTY = "empty"


class Proof(NamedTuple):
    """What was proven when this database was last brought up.

    `code` is the digest of the release's revisions, models and seeds; `catalog` that of the live
    schema. While both are the same, nothing needs to be proven again. `findings` counts the
    differences that were tolerated.
    """

    code: str
    catalog: str
    findings: int


class Sight(NamedTuple):
    """One look at a database.

    `revisions` is None where there is no version table. `tables` counts the app's tables, the
    version table left out. `pooled` tells that a pooler stands between.
    """

    revisions: tuple[str, ...] | None
    tables: int
    catalog: str
    identity: str | None
    proof: Proof | None
    version: str
    read_only: bool = False
    pooled: bool = False

    @property
    def current(self) -> tuple[str, ...]:
        """The applied revisions, none where there is no version table."""
        return self.revisions or ()


class Database(Protocol):
    """A database as the stages see it. Whoever writes must hold the lock."""

    target: targets.Target
    # What it raises when it cannot be worked on.
    errors: tuple[type[Exception], ...]

    @property
    def ledger(self) -> "ledger.Ledger":
        """bootstrapd's own record of it."""

    def look(self, before: Sight | None = None) -> Sight:
        """The state now, in few queries.

        With an earlier look, `before`: if another run has proven the schema since then, its digest
        of the catalog may be taken for ours.
        """

    def current(self) -> tuple[str, ...]:
        """The applied revisions alone, which is cheaper to ask than the whole state."""

    def identity(self) -> str | None:
        """Its identity alone; None where it has none, or none that may be read."""

    def close(self) -> None:
        """Give everything back, the lock included."""

    def try_lock(self) -> bool:
        """Take the migration lock if it is free."""

    def lock_is_free(self) -> bool:
        """Whether nobody holds the migration lock at this moment."""

    def await_unlock(self, timeout_s: float, stop: threading.Event) -> None:
        """Sleep for `timeout_s`, less if the holder gives the lock back or `stop` is set."""

    def unlock(self) -> bool:
        """Give the lock back; False means that it was lost in the meantime."""

    def holder(self) -> str:
        """Who holds the lock, as one clause for an error message."""

    def shared_descriptors(self) -> tuple[int, ...]:
        """Descriptors that keep the lock for as long as a child has them open."""

    def witness(self) -> Mapping[str, Any] | None:
        """What a worker's connection must see to prove that it is in the same database."""

    def lost(self) -> bool:
        """Whether the lock went away, as when the server restarted."""

    def end_leftovers(self) -> int:
        """End what a killed run left working on the server; how many there were."""

    def pin(self) -> str:
        """This database's identity, given now if it has none."""

    def catalog(self) -> "catalogs.Catalog":
        """All that the app's schema consists of now."""

    def flaws(
        self, wanted: "catalogs.Catalog | None", *, app_role: str | None
    ) -> "Sequence[catalogs.Finding]":
        """What is wrong with the database itself although its schema may be as `wanted`.

        `app_role` is the role that is expected to run no DDL.
        """

    def invalid_indexes(self) -> Sequence[str]:
        """Indexes that a failed concurrent build left behind, quoted and with their schema."""

    def drop_index(self, name: str, *, lock_timeout_ms: int) -> bool:
        """Drop one of those; False where others have held its table for so long."""


def version_table(declared: app.App) -> tuple[str | None, str]:
    """Schema and name of the app's version table."""
    schema, _, name = declared.version_table.rpartition(".")
    return schema or None, name
