"""The work behind the verbs that look at revisions or change them.

Each takes the settings, the record and the stop event, and returns the document that `--json`
prints. `run` and `serve` are in `pipeline` and `serve`.
"""

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bootstrap import (
    database,
    drift,
    edits,
    expected,
    history,
    journal,
    obstacles,
    opening,
    pin,
    pipeline,
    report,
    revisions,
    settings,
    target,
)
from bootstrap import place as places
from bootstrap import plan as planning
from bootstrap import validate as validating
from bootstrap.errors import DriftError
from bootstrap.place import Place

if TYPE_CHECKING:
    from bootstrap import child, migrate
    from bootstrap import seed as seeding
    from bootstrap.lint import stage as linting

Document = Mapping[str, Any]


def wait(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, revision: str | None
) -> Document:
    """Wait for the servers, and for a revision where one is named."""
    if not loaded.settings.enabled:
        pipeline.switched_off(loaded, record)
        return {"status": report.document(record.status)}
    if revision is None:
        _, waited = opening.await_servers(loaded, record, stop)
    else:
        with places.opened(loaded, record, stop, to_write=False) as place:
            wanted = planning.resolve(place.known, revision)
            goal = place.known.heads if wanted == "heads" else (wanted,)
            opening.wait_for_revision(place.opened, place.known, record, stop, goal)
            waited = place.opened.waited
    record.ready(f"{record.status.target} is ready after {waited.wait_s:.2f} s")
    return {"status": report.document(record.status)}


def upgrade(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    revision: str,
    *,
    retry: bool,
) -> Document:
    """Apply what is pending up to `revision`; without anything pending no lock is taken."""
    with places.opened(loaded, record, stop, to_write=True) as place:
        destination = planning.resolve(place.known, revision)
        sight = place.base.look()
        with record.stage("pin", f"checking the identity of {place.identity}"):
            pin.check(place.here, sight, record)
        wanted = place.plan(sight, destination)
        pipeline.note(record, sight, wanted)
        past = obstacles.in_history(place, wanted)
        done = None
        if wanted.pending:
            with _stage(place, wanted.message) as (stage, worker):
                sight = place.base.look()
                wanted = place.plan(sight, destination)
                past = obstacles.in_history(place, wanted)
                obstacles.in_revisions(place, sight, wanted)
                pin.remember(place.here, place.base.pin(), record)
                edits.keep(place.here, place.base, past, record)
                pipeline.rebuild_indexes(place, places.run_name())
                if wanted.pending:
                    obstacles.in_schema(place, place.base.look())
                    done = stage.upgrade(worker, wanted, destination, retry=retry)
                history.settle(place.base, place.known, place.base.current())
        elif not sight.read_only and place.base.invalid_indexes():
            with place.recording(), record.stage("migrate", "rebuilding invalid indexes"):
                pipeline.rebuild_indexes(place, places.run_name())
        elif (past.edited or past.reworded or past.unsettled) and not sight.read_only:
            _catch_up(place)
        return _changed(place, done)


def downgrade(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, revision: str
) -> Document:
    """Take back what lies above `revision`."""
    with places.opened(loaded, record, stop, to_write=True) as place:
        destination = planning.resolve(place.known, revision)
        with _stage(place, f"going back to {destination}") as (stage, worker):
            pin.check(place.here, place.base.look())
            current = _plan(place).current
            past = history.read(place.base, place.known, current)
            done = stage.downgrade(worker, current, destination)
            history.forget(place.base, place.known, done.after, past)
        return _changed(place, done)


def mark_applied(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, revision: str
) -> Document:
    """Record `revision` as applied without running it, after somebody finished it by hand."""
    with places.opened(loaded, record, stop, to_write=True) as place:
        destination = planning.resolve(place.known, revision)
        done = None
        with _stage(place, f"marking {destination} as applied") as (stage, worker):
            pin.check(place.here, place.base.look())
            current = _plan(place).current
            planning.check_markable(place.known, current, destination)
            if destination not in place.known.ancestors(current):
                done = stage.mark(worker, current, destination)
        return _changed(place, done)


def adopt(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, revision: str
) -> Document:
    """Give a database without a history one, if it is what `revision` makes."""
    from bootstrap import adopt as adopting

    with places.opened(loaded, record, stop, to_write=True) as place:
        destination = planning.resolve(place.known, revision)
        pin.check(place.here, place.base.look())
        done = adopting.adopt(place, destination)
        return _changed(place, done)


def snapshot(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    dialects: Sequence[target.Dialect],
    *,
    check: bool,
) -> Document:
    """Write what the revisions make of an empty database; with `check` only compare."""
    known = planning.graph(loaded, record, stop)
    planning.refuse_forks(loaded, known)
    written = expected.snapshot(loaded, known, record, stop, dialects, check=check)
    return {"changed": bool(written), "paths": [str(path) for path in written]}


def plan(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, revision: str
) -> Document:
    """The SQL that `upgrade` would run; nothing is written."""
    with places.opened(loaded, record, stop, to_write=False) as place:
        destination = planning.resolve(place.known, revision)
        sight = place.base.look()
        wanted = place.plan(sight, destination)
        obstacles.in_history(place, wanted)
        record.event("planned", wanted.message)
        text = ""
        if wanted.pending:
            from bootstrap import child, migrate, own

            text, left = own.remarks(place.here, place.known, sight, wanted)
            if left.pending:
                with child.Worker(place.here, record, run="plan", stop=stop, reads=True) as worker:
                    there = sight.revisions is not None
                    text += migrate.render(worker, left, destination, version_table=there)
        return {**wanted.document(), "sql": text}


def lint(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    revision: str,
    *,
    everything: bool,
) -> "linting.Report":
    """What the revisions would do to those who use the database; nothing is written."""
    from bootstrap.lint import scope
    from bootstrap.lint import stage as linting

    here, wanted = scope.choose(loaded, record, stop, revision, everything=everything)
    with record.stage("migrate", "linting revisions"):
        of = f"{len(wanted.pending)} of {len(wanted.known.revisions)} revisions"
        record.event("linting", f"linting {of}")
        return linting.check(here, record, stop, wanted)


def status(
    loaded: settings.Loaded, record: journal.Journal, stop: threading.Event, limit: int
) -> Document:
    """Where the database is, what is pending, and the latest attempts; no state is an error."""
    with places.opened(loaded, record, stop, to_write=False) as place:
        sight = place.base.look()
        past = history.read(place.base, place.known, sight.current)
        unknown = place.known.unknown(sight.current)
        standing = None
        if unknown:
            from bootstrap import ahead

            notes = tuple(past.notes.values())
            standing = ahead.look(place.here, place.known, notes, sight.current)
        # From a revision that is not known here, no way forward is known either.
        pending = () if unknown else place.known.pending(sight.current)
        return {
            "app": loaded.app.name,
            "target": place.identity,
            "server": f"{place.here.target.dialect} {sight.version}",
            "identity": sight.identity,
            "release": place.here.release,
            "state": standing.state if standing else _state(sight, pending),
            "unknown": list(unknown),
            "lacking": list(standing.lacking) if standing else [],
            "needs": standing.needs or None if standing else None,
            "current": list(sight.current),
            "heads": list(place.known.heads),
            "pending": [{"revision": each.id, "title": each.title} for each in pending],
            "edited": [edits.document(place.here, each) for each in past.edited],
            "reworded": [edits.document(place.here, each) for each in past.reworded],
            "attempts": [dataclasses.asdict(each) for each in place.base.ledger.attempts(limit)],
        }


def new(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    name: str,
    *,
    autogenerate: bool,
) -> Document:
    """Write a new revision file from the project's template."""
    from bootstrap import child, migrate

    with (
        opening.database(loaded, record, stop, to_write=False) as opened,
        child.Worker(opened.here, record, run="new", stop=stop) as worker,
    ):
        paths = migrate.write_new(opened.here, worker, name, autogenerate=autogenerate)
    return {"changed": True, "paths": list(paths)}


def validate(loaded: settings.Loaded, record: journal.Journal, stop: threading.Event) -> Document:
    """Compare revisions and models with the database; any difference is a DriftError."""
    with places.opened(loaded, record, stop, to_write=False) as place:
        wanted = _plan(place)
        edits.check(place.here, history.read(place.base, place.known, wanted.current))
        _require_head(wanted)
        with (
            record.stage("validate", "comparing the database with what is wanted"),
            contextlib.ExitStack() as stack,
        ):

            def worker() -> "child.Worker":
                from bootstrap import child

                return stack.enter_context(
                    child.Worker(place.here, record, run="validate", stop=stop)
                )

            found = validating.validate(
                place.here,
                place.base,
                place.known,
                worker,
                record,
                stop,
            )
            if found.findings:
                raise validating.drift(place.here, found.means, found.findings)
            record.event(
                "validated",
                f"{place.identity} is as this release wants it ({found.message})",
            )
        return {**wanted.document(), "validated": validating.document(found)}


def rehearse(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    revision: str,
    *,
    fresh: bool,
) -> Document:
    """What is pending, run on a restored backup; the live database is only read."""
    from bootstrap import rehearse as rehearsing

    with places.opened(loaded, record, stop, to_write=False) as place:
        destination = planning.resolve(place.known, revision)
        with record.stage("migrate", f"rehearsing what is pending of {loaded.app.name}"):
            report = rehearsing.rehearse(
                place.opened, place.known, record, stop, destination, fresh=fresh
            )
    return {"rehearsal": report.document(), "shown": report.shown(place.known)}


def parity(loaded: settings.Loaded, record: journal.Journal, stop: threading.Event) -> Document:
    """What the revisions make on SQLite and on PostgreSQL, compared; the target is left alone."""
    from bootstrap import parity as comparing

    known = planning.graph(loaded, record, stop)
    with record.stage("validate", "comparing SQLite with PostgreSQL"):
        found = comparing.report(loaded, known, record, stop)
    return {"parity": found}


def seed(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    demo: "seeding.Demo | None" = None,
) -> Document:
    """Insert the missing reference rows into a database that is at head; then demo rows."""
    from bootstrap import child
    from bootstrap import seed as seeding

    with places.opened(loaded, record, stop, to_write=True) as place:
        with place.recording():
            pin.check(place.here, place.base.look())
            _require_head(_plan(place))
            with (
                record.stage("seed", "inserting the reference rows that are missing"),
                child.Worker(
                    place.here, record, run=places.run_name(), stop=stop, base=place.base
                ) as worker,
            ):
                seeded = seeding.seed(place.here, worker, record)
                if demo is not None:
                    filled = seeding.fill(place.here, worker, record, demo, seeded)
                    return {"changed": True, "seeded": seeded.tables, "demo": filled}
                if not seeded.tables:
                    record.event("nothing_to_seed", seeded.message)
        return {"changed": seeded.inserted > 0, "seeded": seeded.tables}


def move(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    asked: Mapping[str, Any],
) -> Document:
    """Move the rows of a SQLite file into the target, which is PostgreSQL; or only scan them."""
    from bootstrap.move import request as requests
    from bootstrap.move import stage

    request = requests.read(loaded, **asked)
    with places.opened(loaded, record, stop, to_write=not request.dry_run) as place:
        return stage.move(place, request).document()


def unfence(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    source: str | None,
    accepted: str | None,
) -> Document:
    """Take back the fence around a SQLite file that was moved."""
    from bootstrap.move import goback
    from bootstrap.move import request as requests

    file = requests.file(loaded, source)
    return {"changed": goback.go_back(loaded, record, stop, file, accepted)}


@contextlib.contextmanager
def _stage(place: Place, doing: str) -> Iterator[tuple["migrate.Stage", "child.Worker"]]:
    """The migrate stage under the lock, with a worker to do it."""
    from bootstrap import child, migrate

    here, base, record, stop = place.here, place.base, place.record, place.stop
    with place.recording():
        run, started = places.run_name(), place.early.take(here)
        with (
            record.stage("migrate", doing),
            child.Worker(here, record, run=run, stop=stop, base=base, started=started) as worker,
        ):
            yield migrate.Stage(here, base, place.known, record, stop, run), worker
        drift.note(base, base.look())


def _plan(place: Place) -> planning.Plan:
    return place.plan(place.base.look(), or_ahead=False)


def _changed(place: Place, done: "migrate.Migrated | None") -> Document:
    steps = done.steps if done else ()
    left = place.plan(place.base.look())
    place.record.set(revisions=left.current, pending=len(left.pending))
    place.record.event("migrated", left.message)
    changed = done is not None and done.before != done.after
    return {"changed": changed, "steps": list(steps), **left.document()}


def _require_head(wanted: planning.Plan) -> None:
    if wanted.pending:
        raise DriftError(f"{wanted.message}; run: bootstrapd migrate", **wanted.document())


def _catch_up(place: Place) -> None:
    """With nothing to migrate: remember edits that are allowed, and that all is applied."""
    with (
        place.locked(),
        place.record.stage("migrate", "remembering the revisions as they are now"),
    ):
        wanted = place.plan(place.base.look())
        past = obstacles.in_history(place, wanted)
        if place.base.ledger.prepare():
            edits.keep(place.here, place.base, past, place.record)
            history.settle(place.base, place.known, wanted.current)


def _state(sight: database.Sight, pending: tuple[revisions.Revision, ...]) -> str:
    if not sight.current and sight.tables:
        return "unmanaged"
    if not pending:
        return "current"
    return "behind" if sight.current else "empty"
