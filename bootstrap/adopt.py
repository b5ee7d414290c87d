"""The verb adopt: a database that was made without a history gets one, after a proof.

Stamping alone believes whoever stamps. Here the live schema is compared with what the revisions
make of an empty database, and only a schema that is the same is stamped.
"""

import threading
from collections.abc import Sequence

from bootstrap import (
    catalog,
    child,
    drift,
    expected,
    findings,
    journal,
    migrate,
    opening,
    pin,
    pipeline,
    revisions,
)
from bootstrap.errors import DriftError, SettingsError


def adopt(
    opened: opening.Opened,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
    revision: str,
) -> migrate.Migrated | None:
    """Stamp `revision` (or `heads`) if the live schema is what it makes; None if it is stamped.

    Raises SettingsError where there is nothing to adopt and DriftError where the schema differs.
    """
    here, base = opened.here, opened.base
    goal = known.heads if revision == "heads" else (revision,)
    if set(base.look().current) == set(goal):
        return None
    _check(opened)
    with record.stage("validate", f"comparing {here.target.identity} with revision {_named(goal)}"):
        wanted = _expected(opened, known, record, stop, goal)
        _prove(opened, wanted, goal)
    with pipeline.locked(opened, record, stop):
        pin.check(here, base.look())
        # It may have been changed while nobody held the lock.
        _check(opened)
        _prove(opened, wanted, goal)
        pin.remember(here, base.pin(), record)
        run = pipeline.run_name()
        with (
            record.stage("migrate", f"stamping {here.target.identity} with {_named(goal)}"),
            child.Worker(here, record, run=run, stop=stop, base=base) as worker,
        ):
            stage = migrate.Stage(here, base, known, record, stop, run)
            for head in goal:
                done = stage.mark(worker, base.current(), head)
        drift.note(base, base.look())
        return done


def _check(opened: opening.Opened) -> None:
    sight, place = opened.base.look(), opened.here.target.identity
    if sight.current:
        raise SettingsError(
            f"{place} has a history already and is at {_named(sight.current)}; only a database "
            "without one can be adopted"
        )
    if not sight.tables:
        raise SettingsError(f"{place} is empty, there is nothing to adopt; run: bootstrapd migrate")


def _expected(
    opened: opening.Opened,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
    goal: Sequence[str],
) -> catalog.Catalog:
    here = opened.here
    if tuple(goal) == known.heads:
        found = expected.from_snapshot(here, known, record)
        if found is not None:
            return found.catalog
    revision = goal[0] if len(goal) == 1 else "heads"
    return expected.replay(here, known, record, stop, revision=revision)


def _prove(opened: opening.Opened, wanted: catalog.Catalog, goal: Sequence[str]) -> None:
    here = opened.here
    found = [
        each
        for each in findings.of(catalog.compare(wanted, opened.base.catalog()))
        if findings.severity(here, "replay", each) != "ignore"
    ]
    if found:
        raise DriftError(
            f"{here.target.identity} is not what revision {_named(goal)} of app {here.app.name} "
            f"makes, so nothing was stamped; {findings.count(found)}{findings.listed(found)}\n"
            "adopt the revision that it equals, or mend it first (the statements are in --json)",
            findings=[each.document() for each in found],
        )


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids) or "base"
