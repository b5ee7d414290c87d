"""bootstrapd's own record of a database: its identity, what was proven last, every attempt.

PostgreSQL keeps it in a schema of its own, SQLite in a file beside the app's, so that no app and no
autogenerate sees it.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bootstrap import database


@dataclass(frozen=True)
class Started:
    """An attempt that is to be recorded; `started_at` is in Unix seconds."""

    run: str
    direction: str
    revision: str
    release: str
    started_at: float


@dataclass(frozen=True)
class Attempt:
    """One attempt to apply or take back one revision. Times are ISO 8601 in UTC.

    `before` is kept where the revision left its transaction: JSON with the `catalog` digest (null
    where data were changed as well) and the `invalid` indexes from before it did.
    """

    id: int
    run: str
    direction: str
    revision: str
    actor: str
    host: str
    release: str
    started_at: str
    ended_at: str | None
    result: str
    error: str | None
    transactional: bool
    before: str | None


@dataclass(frozen=True)
class Schema:
    """A schema as it was left: at these revisions, with this digest, as a snapshot's text."""

    revisions: tuple[str, ...]
    digest: str
    text: str


Origin = Literal["applied", "marked", "seen"]


@dataclass(frozen=True)
class Note:
    """What is remembered of one revision, written before it is applied.

    `below` are the revisions that it builds on or depends on. `bytes` is a checksum
    of its files and `source` their text, packed; both are empty once it was taken back, or where
    there is only compiled code. `Ledger.notes` leaves the text out.
    `origin` says how it came into the database: applied, marked by hand, or seen, since it was
    there already. `release` is the one that did so, and `at` when, in ISO 8601; a None is now.
    `settled` tells that some release has since come to its end with nothing left to apply.
    """

    revision: str
    below: tuple[str, ...]
    bytes: str
    source: str
    origin: Origin
    release: str
    at: str | None = None
    compatible_with: str | None = None
    settled: bool = False

    @property
    def when(self) -> str:
        """The moment as messages show it, to the minute."""
        return f"{self.at[:10]} {self.at[11:16]} UTC" if self.at else "now"


class Ledger(Protocol):
    """The record of one app in one database. Whoever writes must hold the lock."""

    def prepare(self) -> bool:
        """Open the ledger, making it if it is not there; False where that is not allowed."""

    def begin(self, attempt: Started) -> int:
        """Record that an attempt has started; its number."""

    def done(self, attempts: Sequence[tuple[Started, float]]) -> None:
        """Record attempts that are done already, each with its end in Unix seconds."""

    def not_transactional(self, attempt: int, before: Mapping[str, Any]) -> None:
        """Record that this attempt is to leave its transaction; Attempt says what `before` is."""

    def not_comparable(self, attempt: int) -> None:
        """Record that it is to change data outside of it, which no comparison of schemas shows."""

    def end(self, attempt: int, result: str, error: str | None = None) -> None:
        """Record how an attempt ended: done, failed or interrupted."""

    def unfinished(self) -> Sequence[Attempt]:
        """Attempts without an end; under the lock they are those of killed runs."""

    def attempts(self, limit: int) -> Sequence[Attempt]:
        """The app's latest attempts, newest first; none where there is no ledger."""

    def note_schema(self, schema: Schema) -> None:
        """Keep the schema as it was left, in place of what was kept before."""

    def schema(self) -> Schema | None:
        """The schema as it was last left; None where nobody has kept it."""

    def notes(self) -> Sequence[Note]:
        """What is remembered of the app's revisions; none without a ledger that may be read."""

    def note(self, notes: Sequence[Note]) -> None:
        """Remember these, in the place of what was remembered of the same revisions."""

    def sources(self, revisions: Sequence[str]) -> Mapping[str, str] | None:
        """The packed texts of these revisions, by id; None for a role that may not read them."""

    def settle(self, revisions: Sequence[str]) -> None:
        """Remember that a release has come to its end with these revisions applied."""

    def prove(self, proof: database.Proof, release: str) -> None:
        """Remember what was proven."""


def actor() -> str:
    """Who runs this, where no database role says so. A container's user may have no name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.geteuid()}"
