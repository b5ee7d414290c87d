"""Rows on their way: looked at, and where nothing is wrong, sent and compared with what arrived."""

import contextlib
import hashlib
from collections.abc import Iterator

from bootstrap import catalog, libpq, postgres
from bootstrap.errors import DriftError
from bootstrap.move import asker, prepare, scan, source, verify
from bootstrap.move.load import Load
from bootstrap.move.logbook import Logbook
from bootstrap.move.mapping import Plan
from bootstrap.move.problems import Problem
from bootstrap.move.relations import Relations
from bootstrap.move.run import Counter, Run, Table


def look(run: Run) -> list[Table]:
    """Look at every value of the source; nothing is sent."""
    path = run.request.path
    run.findings.start()
    with (
        run.stage("scan", f"looking at every value of {path}"),
        prepare.schema(run.place) as here,
        contextlib.closing(libpq.reach(here.conninfo())) as connection,
        source.opened(path) as origin,
        run.integrity(),
        run.plans(origin, connection, here) as plans,
    ):
        relations = run.examine(origin, plans)
        counter = run.progress("rows looked at", sum(plan.rows for plan in plans))
        tables = []
        for plan in plans:
            table = Table(plan)
            for chunk in _chunks(run, origin, table, counter):
                table.digest.add(chunk.rows, chunk.compared)
            _after(run, relations, table)
            tables.append(table)
        # A row that is left out may take others along, and these others again.
        while any(table.seen.skipped for table in tables) and relations.follow():
            pass
        return tables


def bring(run: Run, logbook: Logbook) -> tuple[Load, list[Table]]:
    """Everything in the target, compared, and not yet committed.

    The transaction is open then, unless this raises.
    """
    base = run.place.base
    assert isinstance(base, postgres.Postgres)
    before = base.catalog()
    run.findings.start()
    with (
        source.opened(run.request.path) as origin,
        run.plans(origin, base.connection, run.place.here.target) as plans,
    ):
        load = Load(base.connection, plans)
        try:
            with run.integrity():
                tables = _send_all(run, logbook, origin, load)
                _finish(run, origin, load)
                with run.stage("verify", "comparing every row with its source"):
                    for table in tables:
                        _compare(run, origin, load, table)
            _refuse_changed_schema(run, before)
        except BaseException:
            load.rollback()
            raise
        return load, tables


def _send_all(run: Run, logbook: Logbook, origin: source.Source, load: Load) -> list[Table]:
    plans = load.plans
    scanned = run.amended.scanned
    load.begin()
    prepare.check_empty(run.place, logbook, load.occupied())
    with run.stage("copy", "copying rows"):
        relations = run.relations(origin, plans)
        if not scanned:
            relations = run.examine(origin, plans)
        load.clear()
        counter = run.progress("rows copied", sum(plan.rows for plan in plans))
        return [_send(run, origin, load, relations, counter, plan) for plan in plans]


def _send(
    run: Run,
    origin: source.Source,
    load: Load,
    relations: Relations,
    counter: Counter,
    plan: Plan,
) -> Table:
    """One table. From the first problem on that stops the move nothing more is sent."""
    table = Table(plan)
    sending = not run.findings.stopping
    if sending:
        load.open(plan)
    for chunk in _chunks(run, origin, table, counter):
        if sending and run.findings.stopping:
            load.abandon()
            sending = False
        if not sending:
            continue
        try:
            for piece in chunk.pieces():
                load.put(piece)
        except libpq.Error as error:
            raise refused(run, plan.name, error) from error
        table.digest.add(chunk.rows, chunk.compared)
    if not run.amended.scanned:
        _after(run, relations, table)
    if sending:
        try:
            load.close()
        except libpq.Error as error:
            raise refused(run, plan.name, error) from error
    return table


def _finish(run: Run, origin: source.Source, load: Load) -> None:
    """Put back what was taken away, and let numbers go on where they were."""
    if run.findings.stopping:
        return
    with run.stage("index", "building indexes and keys"):
        try:
            load.restore(run.progress("indexes, keys and triggers", load.steps))
            load.restart_sequences(origin)
        except libpq.Error as error:
            raise refused(run, "", error) from error


def _compare(run: Run, origin: source.Source, load: Load, table: Table) -> None:
    if run.findings.stopping:
        return
    counter = run.progress(f"rows of {table.plan.name} compared", table.digest.rows)
    if verify.same(load.lines(table.plan, table.seen.huge), table.digest, counter.add):
        return
    run.record.event(
        "compared_by_row",
        f"{table.plan.name} does not come back as the same stream; comparing row by row",
        level="debug",
    )
    found = differences(run, origin, load, table)
    if found:
        raise unequal(run, found)


def differences(
    run: Run, origin: source.Source, load: Load, table: Table
) -> list[verify.Difference]:
    """What is not the same, row by row."""
    amends = run.amended.of(table.plan.name)
    silent = run.findings.silent()
    chunks = scan.chunks(origin, table.plan, silent, amends, scan.Seen())
    ours = (chunk.compared for chunk in chunks)
    return verify.differences(table.plan, ours, load.lines(table.plan, table.seen.huge))


def unequal(run: Run, found: list[verify.Difference]) -> DriftError:
    """The error that names what is not the same on both sides."""
    listed = "".join(f"\n  {each}" for each in found[:20])
    more = f"\n  and {len(found) - 20} more" if len(found) > 20 else ""
    return DriftError(
        f"{run.place.identity} does not hold what {run.request.path} does; "
        f"{len(found)} difference{'s' * (len(found) != 1)}:{listed}{more}",
        differences=[vars(each) for each in found],
    )


def refused(run: Run, table: str, error: libpq.Error) -> DriftError | libpq.Error:
    """What the server will not take although nothing was found wrong with it; other errors stay."""
    if not asker.bad_data(error):
        return error
    rows = f"rows of {table}" if table else "these rows"
    return DriftError(
        f"{run.place.identity} does not take {rows}: {error.message}; nothing was moved; mend them "
        f"in {run.request.path}, then run again",
        sqlstate=error.sqlstate,
    )


def _chunks(
    run: Run, origin: source.Source, table: Table, counter: Counter
) -> Iterator[scan.Chunk]:
    plan = table.plan
    amends = run.amended.of(plan.name)
    for chunk in scan.chunks(origin, plan, run.findings, amends, table.seen):
        table.read += chunk.read
        counter.add(chunk.read, plan.name)
        yield chunk
    # What was never read would be missing on both sides of the comparison.
    if table.read != plan.rows:
        found, wanted = f"{table.read} rows by their keys", f"{plan.rows}, as are counted"
        run.findings.add(Problem("damaged", plan.name, value=found, wanted=wanted))


def _after(run: Run, relations: Relations, table: Table) -> None:
    relations.odd_keys(table.plan, table.seen.odd)
    for key in table.seen.skipped:
        run.amended.leave_out(table.plan.name, key)


def _refuse_changed_schema(run: Run, before: catalog.Catalog) -> None:
    """What was taken away and put back must be what it was."""
    if run.findings.stopping:
        return
    base = run.place.base
    assert isinstance(base, postgres.Postgres)
    found = catalog.compare(before, base.catalog(within=True))
    if found:
        raise DriftError(
            f"the schema of {run.place.identity} would not be what it was before the move: "
            f"{found[0]}; nothing was moved"
        )


def digest_of(tables: list[Table]) -> str:
    """One digest for all tables."""
    lines = (f"{table.plan.name} {table.digest.rows} {table.digest.text}\n" for table in tables)
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
