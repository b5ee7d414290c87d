"""The move as a whole: what is scanned, copied and verified is committed at once, or not at all."""

import contextlib
from dataclasses import replace

from bootstrap import drift, fence, postgres
from bootstrap.errors import DriftError
from bootstrap.move import cutover, prepare, reports, source, transfer
from bootstrap.move.findings import Findings
from bootstrap.move.load import Load
from bootstrap.move.logbook import Logbook
from bootstrap.move.request import Request
from bootstrap.move.result import Moved
from bootstrap.move.run import Run, Table
from bootstrap.place import Place

_LISTED = 20


def move(place: Place, request: Request) -> Moved:
    """Move all rows of the source to the database of `place`, under its migration lock.

    Raises DriftError, with the report among its facts, where a value or the file itself stands in
    the way; nothing is left of the move then.
    """
    # What cannot even be read says so here.
    with source.opened(request.path):
        pass
    with (
        cutover.guard(request) as watching,
        contextlib.closing(Findings(request.policy, request.rejects)) as findings,
    ):
        run = Run(place, request, findings)
        if request.dry_run:
            return _scan(run)
        prepare.check_identity(place, request)
        if _is_new(run):
            prepare.check_way(place, _logbook(run))
            _scan_first(run)
        with place.recording():
            moved = _moved_before(run, watching) or _move(run, watching)
            moved = replace(moved, cut_over=cutover.cut_over(place, request, moved, watching))
        reports.write(request, moved)
        return moved


def _scan(run: Run) -> Moved:
    """Only look; the target is asked for its schema, and for what it makes of rare types."""
    revisions = prepare.source_revisions(run.place, run.request)
    tables = transfer.look(run)
    moved = _result(run, tables, revisions)
    _judge(run, moved)
    reports.write(run.request, moved)
    run.record.event(
        "scanned",
        f"{reports.fitting(moved)}; nothing was written to {run.place.identity}",
    )
    return moved


def _scan_first(run: Run) -> None:
    """Look at all rows before any is sent, where looking on the way would be too late.

    Nothing is to be written before all is known to fit, a schema neither; and a row that is left
    out takes others along, which is to be known before they are sent.
    """
    place = run.place
    pending = place.plan(place.base.look(), or_ahead=False).pending
    changing = any(action != "stop" for action in run.request.policy.values())
    if pending or changing or not _logbook(run).is_there():
        revisions = prepare.source_revisions(place, run.request)
        _judge(run, _result(run, transfer.look(run), revisions))
        run.amended.scanned = True


def _move(run: Run, watching: fence.Guard) -> Moved:
    place, request, told = run.place, run.request, run.findings
    logbook = _logbook(run)
    revisions = prepare.source_revisions(place, request)
    if run.amended.scanned:
        run.findings = told.silent()
    with run.stage("prepare", f"bringing {place.identity} up"):
        prepare.target(place, logbook, str(request.path))
    load, tables = transfer.bring(run, logbook)
    try:
        run.findings = told
        moved = _result(run, tables, revisions)
        _judge(run, moved)
        logbook.write("moved", str(request.path), moved.document())
        cutover.before_commit(request, watching)
        with run.stage("commit", "keeping everything"):
            load.commit()
    except BaseException:
        load.rollback()
        raise
    drift.note(place.base, place.base.look())
    run.record.event("moved", reports.done(moved))
    return replace(moved, durations_s=run.durations_s)


def _moved_before(run: Run, watching: fence.Guard) -> Moved | None:
    """The report on a move of this file that is committed already; None where there is none.

    A file that is not fenced may have been written to since: its rows are looked at again. With
    --resume so are those of the target.
    """
    request = run.request
    found = _logbook(run).moved()
    if found is None or _is_new(run):
        return None
    moved = reports.loaded(found[1])
    if watching.fenced() is None or request.resume:
        _compare_again(run, moved)
    run.record.event(
        "moved_before",
        f"{moved.source} was moved to {moved.target} before: {moved.rows} rows of "
        f"{len(moved.tables)} tables, and the file holds the same",
    )
    return replace(moved, repeated=True)


def _compare_again(run: Run, moved: Moved) -> None:
    # What was done about values then is done again, whatever is asked for now.
    run.request = replace(run.request, policy={**run.request.policy, **moved.actions})
    run.findings.policy = run.request.policy
    tables = transfer.look(run)
    now = {table.plan.name: table.digest.text for table in tables}
    changed = [table.name for table in moved.tables if now.get(table.name) != table.digest]
    if changed:
        raise DriftError(
            f"{run.request.path} was moved to {run.place.identity} before and was written to "
            f"since, in {', '.join(changed[:_LISTED])}; what was written later is not in the "
            "target, and a second move does not add it: empty the target and move again, or go on "
            "with the file",
            changed_tables=changed,
        )
    if not run.request.resume:
        return
    base = run.place.base
    assert isinstance(base, postgres.Postgres)
    connection = base.connection
    with (
        source.opened(run.request.path) as origin,
        run.plans(origin, connection, run.place.here.target) as plans,
    ):
        load = Load(connection, plans)
        load.begin()
        try:
            for table in tables:
                found = transfer.differences(run, origin, load, table)
                if found:
                    raise transfer.unequal(run, found)
        finally:
            load.rollback()


def _logbook(run: Run) -> Logbook:
    base = run.place.base
    assert isinstance(base, postgres.Postgres)
    return Logbook(base.connection, run.place.here.app.name)


def _is_new(run: Run) -> bool:
    """Whether this file was not moved to this database before."""
    found = _logbook(run).moved()
    return found is None or found[0] != str(run.request.path)


def _judge(run: Run, moved: Moved) -> None:
    """Raise DriftError for problems that stop the move."""
    run.findings.flush()
    if not run.findings.stopping:
        return
    reports.write(run.request, moved)
    problems = [problem for problem in moved.problems if problem.action == "stop"]
    listed = "".join(f"\n  {problem}" for problem in problems[:_LISTED])
    count = run.findings.stopping
    more = f"\n  and {count - _LISTED} more" if count > _LISTED else ""
    where = f" (all in {moved.rejects})" if moved.rejects else ""
    raise DriftError(
        f"{run.request.path} cannot be moved to {run.place.identity} as it is; "
        f"{count} problem{'s' * (count != 1)}{where}:{listed}{more}\n"
        "nothing was moved; mend them in the file, or say what to do with them: "
        "--policy CLASS=ACTION",
        move=moved.document(),
    )


def _result(run: Run, tables: list[Table], revisions: tuple[str, ...]) -> Moved:
    return reports.of(run, tables, revisions, transfer.digest_of(tables))
