"""The target before its rows come: at this release's revisions, valid, and empty."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from bootstrap import (
    child,
    database,
    drift,
    edits,
    expected,
    fence,
    history,
    libpq,
    migrate,
    obstacles,
    opening,
    pin,
    postgres,
    validate,
)
from bootstrap import place as places
from bootstrap import plan as planning
from bootstrap import sqlite as files
from bootstrap import target as targets
from bootstrap.errors import AheadError, DriftError
from bootstrap.move import described, wanted
from bootstrap.move.logbook import Logbook
from bootstrap.move.request import Request
from bootstrap.place import Place


def source_revisions(place: Place, request: Request) -> tuple[str, ...]:
    """The revisions of the source, which are to be those of this release.

    A file without a record of revisions is taken as it is: what does not fit will be found.
    """
    sight = files.Sqlite(request.source, place.here.app).look()
    current, heads = sight.current, place.known.heads
    if unknown := place.known.unknown(current):
        raise AheadError(
            f"{request.path} is at {planning.listed(unknown)}, which this release does not have; "
            "move it with the release that wrote it"
        )
    if not current:
        place.record.event(
            "no_revisions",
            f"{request.path} holds no record of revisions; its tables are taken as they are",
            level="warning",
        )
    elif set(current) != set(heads):
        raise DriftError(
            f"{request.path} is at {planning.listed(current)}, this release wants "
            f"{', '.join(heads)}; bring the file there first: "
            f"DATABASE_URL=sqlite:///{request.path} bootstrapd migrate"
        )
    return current


def check_identity(place: Place, request: Request) -> None:
    """The target is the one that is known, or the source is and the target takes its place.

    A source that is fenced can only be looked at again, for the database that it was moved to.
    """
    with contextlib.closing(files.connect(request.path, "ro")) as file:
        mark = fence.read(file)
        if mark is not None and mark.identity != place.base.identity():
            fence.refuse(file, request.path)
    known = place.here.settings.expect_identity or pin.known(place.here).get("identity")
    identity = fence.identity(request.path)
    if known is None or identity is None or known != identity:
        pin.check(place.here, place.base.look(), place.record)


def check_way(place: Place, logbook: Logbook) -> None:
    """Raise before a long look at the file what would only stop the move after it."""
    sight = place.base.look()
    opening.refuse_pooler(place.here, place.base, sight)
    place.require_writable(sight)
    # A move that was killed may have left what the revisions put in.
    if not logbook.begun():
        check_empty(place, logbook, _rows_there(place))


@contextlib.contextmanager
def schema(place: Place) -> Iterator[targets.Target]:
    """A database with the schema of this release, which need not be the target.

    Where revisions are pending there, they are tried out on a scratch database.
    """
    plan = place.plan(place.base.look(), or_ahead=False)
    with contextlib.ExitStack() as stack:
        here = place.here.target
        if plan.pending:
            here = stack.enter_context(
                expected.replayed(place.here, place.known, place.record, place.stop, "postgresql")
            )
        yield here


def target(place: Place, logbook: Logbook, source: str) -> None:
    """Bring the target's schema up; the lock is held, the ledger is open."""
    base, record = place.base, place.record
    sight = base.look()
    plan = place.plan(sight, or_ahead=False)
    past = obstacles.in_history(place, plan)
    obstacles.in_revisions(place, sight, plan)
    base.pin()
    edits.keep(place.here, base, past, record)
    if plan.pending and not sight.tables and not sight.current:
        logbook.write("begun", source, {})
    run = places.run_name()
    with contextlib.ExitStack() as stack:

        def worker() -> child.Worker:
            return stack.enter_context(
                child.Worker(place.here, record, run=run, stop=place.stop, base=base)
            )

        if plan.pending:
            with record.stage("migrate", plan.message):
                obstacles.in_schema(place, base.look())
                stage = migrate.Stage(place.here, base, place.known, record, place.stop, run)
                stage.upgrade(worker(), plan)
            drift.note(base, base.look())
        with record.stage("validate", "comparing the target with what is wanted"):
            found = validate.validate(place.here, base, place.known, worker, record, place.stop)
            validate.judge(place.here, found, record)
    history.settle(base, place.known, base.current())
    if logbook.begun() and logbook.prepared() is None:
        logbook.write("prepared", source, _rows_there(place))


def _rows_there(place: Place) -> dict[str, int]:
    """How many rows there are in the target's tables that have any."""
    assert isinstance(place.base, postgres.Postgres)
    _, version = database.version_table(place.here.app)
    return rows(place.base.connection, described.tables(place.base.connection, version).values())


def rows(connection: libpq.Connection, tables: Iterable[wanted.Table]) -> dict[str, int]:
    """How many rows there are in tables that have any."""
    found = {}
    for table in tables:
        (some,) = connection.row(f"select exists (select from {table.sql})")
        if some:
            (number,) = connection.row(f"select count(*) from {table.sql}")
            found[table.name] = int(number)
    return found


def check_empty(place: Place, logbook: Logbook, occupied: Mapping[str, int]) -> None:
    """Raise DriftError for rows that were there before; what revisions put in gives way."""
    if not occupied or logbook.prepared() == occupied:
        return
    listed = ", ".join(f"{name} ({count})" for name, count in list(occupied.items())[:10])
    more = f" and {len(occupied) - 10} more" if len(occupied) > 10 else ""
    raise DriftError(
        f"{place.identity} holds rows already, in {listed}{more}; rows are moved into an empty "
        "database only, nothing was changed: name another target, or empty this one",
        occupied=dict(occupied),
    )
