"""The way: settings -> target -> wait -> pin -> lock -> migrate -> validate -> seed -> ready.

This is the one place that knows the order. Each stage is a module of its own.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bootstrap import (
    database,
    journal,
    lock,
    opening,
    pin,
    release,
    revisions,
    settings,
)
from bootstrap import plan as planning
from bootstrap.errors import RefusedError

if TYPE_CHECKING:
    from bootstrap import migrate, seed, validate


@dataclass(frozen=True)
class Outcome:
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
    with opening.database(loaded, record, stop, to_write=loaded.settings.migrate) as opened:
        here, base = opened.here, opened.base
        known = planning.graph(here, record, stop)
        code = release.digest(here, known)
        sight = base.look()
        with record.stage("pin", f"checking the identity of {here.target.identity}"):
            pin.check(here, sight, record)
        wanted = planning.make(here, known, sight, base, or_ahead=True)
        note(record, sight, wanted)
        if not here.settings.migrate:
            sight = opening.wait_for_revision(opened, known, record, stop, known.heads)
            outcome = Outcome(opened.chosen, sight.identity, sight.current)
        elif _done(sight, wanted, code):
            outcome = Outcome(opened.chosen, sight.identity, sight.current)
        elif sight.read_only:
            outcome = _only_read(here, sight, wanted, record)
        else:
            opening.refuse_pooler(here, base, sight)
            outcome = replace(_work(here, base, known, code, record, stop), loaded=opened.chosen)
        if outcome.identity is not None:
            pin.remember(here, outcome.identity, record)
    if record.status.ahead:
        done = "ahead of this release"
    else:
        done = (
            f"{len(outcome.migrated.steps)} applied" if outcome.migrated else "nothing was pending"
        )
    at = ", ".join(outcome.revisions) or "base"
    record.set(revisions=outcome.revisions, pending=0, identity=outcome.identity)
    record.ready(f"{here.target.identity} is ready at {at} ({done})", changed=outcome.changed)
    return outcome


def switched_off(loaded: settings.Loaded, record: journal.Journal) -> None:
    """The app does without its database, so it may start."""
    (source,) = {each.source for each in loaded.values if each.name == "BOOTSTRAPD_ENABLED"}
    record.ready(f"{loaded.target.identity} is switched off by {source} and left alone")


@contextlib.contextmanager
def locked(
    opened: opening.Opened, record: journal.Journal, stop: threading.Event
) -> Iterator[None]:
    """Hold the migration lock, with the ledger open, for one piece of work."""
    here, base = opened.here, opened.base
    sight = base.look()
    opening.refuse_pooler(here, base, sight)
    _require_writable(here, sight)
    with lock.held(base, record, wait_s=here.settings.lock_wait_s, stop=stop):
        if not base.ledger.prepare():
            raise RefusedError(
                f"the role {here.target.user!r} may not write bootstrapd's record in "
                f"{here.target.identity}; use the role that owns the schema, or give it one: "
                "CREATE SCHEMA bootstrapd AUTHORIZATION that role"
            )
        yield


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


def require_lint(
    here: settings.Loaded,
    known: revisions.Graph,
    sight: database.Sight,
    wanted: planning.Plan,
    record: journal.Journal,
    stop: threading.Event,
) -> None:
    """Have the pending revisions linted before anything runs, where the settings ask for it.

    An empty database has nobody to keep waiting and nothing to lose: a new deployment of an old app
    need not consent to the app's whole history.
    """
    if here.settings.lint == "off" or not wanted.pending or not (sight.current or sight.tables):
        return
    from bootstrap.lint import stage as linting

    linting.demand(here, record, stop, known, wanted, sight.version)


def run_name() -> str:
    """A short random name for one run, seen in application_name and in the ledger."""
    return os.urandom(6).hex()


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


def _work(
    here: settings.Loaded,
    base: database.Database,
    known: revisions.Graph,
    code: str | None,
    record: journal.Journal,
    stop: threading.Event,
) -> Outcome:
    """Do what is to be done under the lock, unless another run does it in the meantime."""
    seen: list[database.Sight] = []

    def settled() -> bool:
        seen[:] = [base.look()]
        return _done(seen[0], planning.make(here, known, seen[0], base, or_ahead=True), code)

    wait_s = here.settings.lock_wait_s
    with lock.held(base, record, wait_s=wait_s, stop=stop, settled=settled) as is_held:
        sight = base.look() if is_held else seen[0]
        pin.check(here, sight)
        wanted = planning.make(here, known, sight, base, or_ahead=True)
        if _done(sight, wanted, code):
            note(record, sight, wanted)
            return Outcome(here, sight.identity, sight.current)
        return _through(here, base, known, code, sight, wanted, record, stop)


def _through(
    here: settings.Loaded,
    base: database.Database,
    known: revisions.Graph,
    code: str | None,
    sight: database.Sight,
    wanted: planning.Plan,
    record: journal.Journal,
    stop: threading.Event,
) -> Outcome:
    """Migrate, validate and seed in one worker, and remember what was proven."""
    from bootstrap import child, drift, history, migrate, seed, stops, validate

    with record.stage("migrate", "comparing what was applied with its files"):
        past = history.read(base, known, sight.current)
        history.check(here, past)
        stops.check(here, known, wanted, past)
        require_lint(here, known, sight, wanted, record, stop)
        keeps_ledger = _prepare(here, base, wanted, record)
        identity = base.pin() if keeps_ledger else sight.identity
        if keeps_ledger:
            history.keep(here, base, past, record)
    run = run_name()
    migrated = validated = seeded = None
    with contextlib.ExitStack() as stack:

        @functools.cache
        def worker() -> child.Worker:
            """Started by the first stage that needs one."""
            return stack.enter_context(child.Worker(here, record, run=run, stop=stop, base=base))

        if wanted.pending:
            with record.stage("migrate", wanted.message):
                drift.check(here, base, sight, record)
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
        drift.note(base, sight)
        history.settle(base, known, sight.current)
    if code is not None and keeps_ledger:
        findings = len(validated.findings) if validated else 0
        base.ledger.prove(database.Proof(code, sight.catalog, findings), here.release)
    return Outcome(here, identity, sight.current, migrated, validated, seeded)


def _prepare(
    here: settings.Loaded,
    base: database.Database,
    wanted: planning.Plan,
    record: journal.Journal,
) -> bool:
    """Open the ledger; a role that may not write it can still start an app that needs nothing."""
    if base.ledger.prepare():
        return True
    place = here.target.identity
    if wanted.pending:
        raise RefusedError(
            f"the role {here.target.user!r} may not write bootstrapd's record in {place}, and "
            f"{planning.counted(wanted.pending)} pending; migrate with the role that owns the "
            "schema, or give it one: CREATE SCHEMA bootstrapd AUTHORIZATION that role"
        )
    record.event(
        "no_ledger",
        f"the role {here.target.user!r} may not write bootstrapd's record in {place}; going on "
        "without it, so that every start compares models and seeds anew",
        level="warning",
    )
    return False


def _only_read(
    here: settings.Loaded,
    sight: database.Sight,
    wanted: planning.Plan,
    record: journal.Journal,
) -> Outcome:
    """What can only be read is ready if nothing is pending."""
    if wanted.pending:
        _require_writable(here, sight)
    record.event(
        "read_only",
        f"{here.target.identity} can only be read; its revisions are at head, models and seeds "
        "were not checked",
        level="warning",
    )
    return Outcome(here, sight.identity, sight.current)


def _require_writable(here: settings.Loaded, sight: database.Sight) -> None:
    if not sight.read_only:
        return
    hint = (
        f"it is not writable for user {os.geteuid()}"
        if here.target.path is not None
        else "it is a standby or its role is set to read-only; point the settings at the primary"
    )
    raise RefusedError(f"{here.target.identity} can only be read, and there is work to do: {hint}")
