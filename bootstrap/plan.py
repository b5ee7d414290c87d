"""What is pending: the database's revisions beside the release's.

A start with nothing to do goes no further than this, so it imports nothing that does the work.
"""

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

from bootstrap import database, journal, revisions, settings
from bootstrap.errors import DriftError, MigrationError, SettingsError


class Plan(NamedTuple):
    """Where the database is, what this release wants, and the revisions in between."""

    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[revisions.Revision, ...]
    # Where the database is ahead, and this release can run on it all the same: that in a sentence.
    ahead: str = ""

    @property
    def message(self) -> str:
        """The state in one sentence."""
        if self.ahead:
            return self.ahead
        if not self.pending:
            return f"schema is at {listed(self.current)}, nothing is pending"
        at = f"schema is at {listed(self.current)}" if self.current else "schema is empty"
        return f"{at}, this release wants {listed(self.heads)}: {len(self.pending)} pending"

    def up_to(self, known: revisions.Graph, destination: str) -> "Plan":
        """The same plan, going no further than `destination`."""
        wanted = known.ancestors([destination])
        pending = tuple(revision for revision in self.pending if revision.id in wanted)
        return self._replace(heads=(destination,), pending=pending)

    def document(self) -> dict[str, Any]:
        """The plan as JSON shows it."""
        return {
            "current": list(self.current),
            "heads": list(self.heads),
            "pending": [revision.id for revision in self.pending],
        }


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
    except revisions.MisdeclaredError as error:
        raise _misdeclared(loaded, error) from error
    except revisions.NotPlainError as reason:
        record.event("asking_alembic", f"revisions are read by Alembic: {reason}", level="debug")
    from bootstrap import child

    try:
        with child.Worker(loaded, record, run="describe", stop=stop) as worker:
            return revisions.described(worker.call("describe"))
    except revisions.MisdeclaredError as error:
        raise _misdeclared(loaded, error) from error
    except child.WorkerError as error:
        raise MigrationError(
            f"the revisions of app {loaded.app.name} ({loaded.app.alembic}) cannot be read: "
            f"{error.failure['message']}; mend the revision files or `alembic` in "
            f"{loaded.app.declared_in}"
        ) from error


def _misdeclared(loaded: settings.Loaded, error: Exception) -> MigrationError:
    return MigrationError(
        f"the revisions of app {loaded.app.name} cannot be read: {error}; nothing was changed"
    )


def make(
    loaded: settings.Loaded,
    known: revisions.Graph,
    sight: database.Sight,
    base: database.Database,
    *,
    or_ahead: bool = False,
) -> Plan:
    """Compare database and release.

    Raises AheadError for revisions that this release does not have, MigrationError for heads that
    fork by accident, and DriftError for tables that no history explains. With `or_ahead` a database
    that is ahead, but that this release can run on, is no error: nothing is pending then.
    """
    place = loaded.target.identity
    if known.unknown(sight.current):
        from bootstrap import ahead

        standing = ahead.look(loaded, known, base.ledger.notes(), sight.current)
        if standing.state != "compatible" or not or_ahead:
            raise ahead.error(loaded, known, standing)
        return Plan(sight.current, known.heads, (), ahead.message(loaded, known, standing))
    refuse_forks(loaded, known)
    if not sight.current and sight.tables and sight.identity is None:
        raise DriftError(
            f"{place} holds {sight.tables} table{'s' * (sight.tables != 1)} but no record of "
            f"revisions; nothing was changed. If it is another application's database, point the "
            "settings elsewhere; if it is this one's, record where it is: bootstrapd adopt REV",
            tables=sight.tables,
        )
    return Plan(sight.current, known.heads, known.pending(sight.current))


def refuse_forks(loaded: settings.Loaded, known: revisions.Graph) -> None:
    """Raise MigrationError for heads that fork by accident."""
    forks = known.forks()
    if forks:
        raise MigrationError(
            f"the revisions of {loaded.app.name} have {len(forks)} heads that fork from one "
            f"parent: {listed(forks)}; join them: alembic merge -m join {' '.join(forks)}",
            heads=list(forks),
        )


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
            f"revision {revision} builds on {listed(sorted(missing))}, not applied yet; "
            f"apply or mark {first} first"
        )


def counted(pending: Sequence[revisions.Revision]) -> str:
    """How many revisions there are, with the verb that follows."""
    return "1 revision is" if len(pending) == 1 else f"{len(pending)} revisions are"


def listed(ids: Sequence[str]) -> str:
    """Revisions as messages name them."""
    return ", ".join(ids) or "base"
