"""The way: settings -> target -> wait -> pin -> lock -> migrate -> validate -> seed -> ready.

This is the one place that knows the order. Each stage is a module of its own.
"""

import contextlib
import functools
import threading
from typing import TYPE_CHECKING, NamedTuple

from bootstrap import (
    database,
    journal,
    opening,
    pin,
    release,
    settings,
)
from bootstrap import place as places
from bootstrap import plan as planning
from bootstrap.errors import RefusedError
from bootstrap.place import Place

if TYPE_CHECKING:
    from bootstrap import migrate, seed, validate


class Outcome(NamedTuple):
    """What a bring-up did. A stage that had nothing to do is None."""

    loaded: settings.Loaded
    identity: str | None
    revisions: tuple[str, ...]
    migrated: "migrate.Migrated | None" = None
    validated: "validate.Validated | None" = None
    seeded: "seed.Seeded | None" = None

    @property
    def changed(self) -> bool:
        """Whether revisions or rows were applied."""
        return bool(self.migrated and self.migrated.steps) or bool(
            self.seeded and self.seeded.inserted
        )


def bring_up(loaded: settings.Loaded, record: journal.Journal, stop: threading.Event) -> Outcome:
    """Take the database from whatever it is to ready, or raise the error that says why not."""
    if not loaded.settings.enabled:
        switched_off(loaded, record)
        return Outcome(loaded, None, ())
    with places.opened(loaded, record, stop, to_write=loaded.settings.migrate) as place:
        code = release.digest(place.here, place.known)
        sight = place.base.look()
        with record.stage("pin", f"checking the identity of {place.identity}"):
            pin.check(place.here, sight, record)
        wanted = place.plan(sight)
        note(record, sight, wanted)
        if not place.here.settings.migrate:
            heads = place.known.heads
            sight = opening.wait_for_revision(place.opened, place.known, record, stop, heads)
            outcome = _as_it_is(place, sight)
        elif _done(sight, wanted, code):
            outcome = _as_it_is(place, sight)
        elif sight.read_only:
            outcome = _only_read(place, sight, wanted)
        else:
            outcome = _work(place, sight, wanted, code)
        if outcome.identity is not None:
            pin.remember(place.here, outcome.identity, record)
    done = "nothing was pending"
    if record.status.ahead:
        done = "ahead of this release"
    elif outcome.migrated:
        done = f"{len(outcome.migrated.steps)} applied"
    at = planning.listed(outcome.revisions)
    record.set(revisions=outcome.revisions, pending=0, identity=outcome.identity)
    record.ready(f"{place.identity} is ready at {at} ({done})", changed=outcome.changed)
    return outcome._replace(loaded=place.opened.chosen)


def switched_off(loaded: settings.Loaded, record: journal.Journal) -> None:
    """The app does without its database, so it may start."""
    (source,) = {each.source for each in loaded.values if each.name == "BOOTSTRAPD_ENABLED"}
    record.ready(f"{loaded.target.identity} is switched off by {source} and left alone")


def rebuild_indexes(place: Place, run: str) -> bool:
    """Rebuild invalid indexes, after a killed run has been cleared away; the ledger is open.

    False where others stood in the way of one, so that the next start is to try again.
    """
    from bootstrap import attempts

    attempts.Attempts(place.base, place.record, run, place.here.release).settle()
    if not place.base.invalid_indexes():
        return True
    from bootstrap import rebuild

    return rebuild.invalid(place, run)


def note(record: journal.Journal, sight: database.Sight, wanted: planning.Plan) -> None:
    """Write into the status where the database is."""
    record.set(
        revisions=sight.current,
        heads=wanted.heads,
        pending=len(wanted.pending),
        identity=sight.identity,
        ahead=bool(wanted.ahead),
    )
    level: journal.Level = "info" if wanted.pending else "debug"
    record.event("planned", wanted.message, level="warning" if wanted.ahead else level)


def _done(sight: database.Sight, wanted: planning.Plan, code: str | None) -> bool:
    """Whether nothing is to be done: this very release was already proven on this very schema.

    Or a newer one was, and this one can run on it.
    """
    return bool(wanted.ahead) or (
        not wanted.pending
        and sight.identity is not None
        and sight.proof is not None
        and code is not None
        and (sight.proof.code, sight.proof.catalog) == (code, sight.catalog)
    )


def _as_it_is(place: Place, sight: database.Sight) -> Outcome:
    return Outcome(place.here, sight.identity, sight.current)


def _work(place: Place, sight: database.Sight, wanted: planning.Plan, code: str | None) -> Outcome:
    """Do what is to be done under the lock, unless another run does it in the meantime."""
    opening.refuse_pooler(place.here, place.base, sight)
    seen: list[database.Sight] = []

    def settled() -> bool:
        seen[:] = [place.base.look(sight)]
        return _done(seen[0], place.plan(seen[0]), code)

    with place.locked(settled) as is_held:
        if is_held and wanted.pending:
            place.early.start(place.here)
        sight = place.base.look() if is_held else seen[0]
        pin.check(place.here, sight)
        wanted = place.plan(sight)
        if _done(sight, wanted, code):
            note(place.record, sight, wanted)
            return _as_it_is(place, sight)
        return _through(place, sight, wanted, code)


def _through(
    place: Place, sight: database.Sight, wanted: planning.Plan, code: str | None
) -> Outcome:
    """Migrate, validate and seed, and remember what was proven."""
    from bootstrap import child, drift, edits, history, migrate, obstacles, seed, validate

    here, base, known, record, stop = (
        place.here,
        place.base,
        place.known,
        place.record,
        place.stop,
    )
    run, sound = places.run_name(), True
    with record.stage("migrate", "comparing what was applied with its files"):
        past = obstacles.in_history(place, wanted)
        obstacles.in_revisions(place, sight, wanted)
        keeps_ledger = _prepare(place, wanted)
        identity = base.pin() if keeps_ledger else sight.identity
        if keeps_ledger:
            edits.keep(here, base, past, record)
            sound = rebuild_indexes(place, run)
            sight = base.look()
    migrated = validated = seeded = None
    with contextlib.ExitStack() as stack:

        @functools.cache
        def worker() -> child.Worker:
            """Started by the first stage that needs one."""
            started = place.early.take(here)
            return stack.enter_context(
                child.Worker(here, record, run=run, stop=stop, base=base, started=started)
            )

        if wanted.pending:
            with record.stage("migrate", wanted.message):
                obstacles.in_schema(place, sight)
                stage = migrate.Stage(here, base, known, record, stop, run)
                migrated = stage.upgrade(worker(), wanted)
                record.set(revisions=migrated.after, pending=0)
        if here.settings.validate != "none":
            with record.stage("validate", "comparing the database with what is wanted"):
                validated = validate.validate(here, base, known, worker, record, stop)
                validate.judge(here, validated, record)
        if here.settings.seed and here.app.seeds:
            with record.stage("seed", "inserting the reference rows that are missing"):
                seeded = seed.seed(here, worker(), record)
    sight = base.look()
    if keeps_ledger:
        if sound:
            drift.note(base, sight)
        history.settle(base, known, sight.current)
        if code is not None and sound:
            findings = len(validated.findings) if validated else 0
            base.ledger.prove(database.Proof(code, sight.catalog, findings), here.release)
    return Outcome(here, identity, sight.current, migrated, validated, seeded)


def _prepare(place: Place, wanted: planning.Plan) -> bool:
    """Open the ledger; a role that may not write it can still start an app that needs nothing."""
    if place.base.ledger.prepare():
        return True
    who = f"the role {place.here.target.user!r} may not write bootstrapd's record in"
    if wanted.pending:
        raise RefusedError(
            f"{who} {place.identity}, and {planning.counted(wanted.pending)} pending; migrate with "
            "the role that owns the schema, or give it one: CREATE SCHEMA bootstrapd AUTHORIZATION "
            "that role"
        )
    place.record.event(
        "no_ledger",
        f"{who} {place.identity}; going on without it, so that every start compares models and "
        "seeds anew",
        level="warning",
    )
    return False


def _only_read(place: Place, sight: database.Sight, wanted: planning.Plan) -> Outcome:
    """What can only be read is ready if nothing is pending."""
    if wanted.pending:
        place.require_writable(sight)
    place.record.event(
        "read_only",
        f"{place.identity} can only be read; its revisions are at head, models and seeds were not "
        "checked",
        level="warning",
    )
    return _as_it_is(place, sight)
