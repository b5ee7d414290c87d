"""The verb adopt: a database that was made without a history gets one, after a proof.

Stamping alone believes whoever stamps. Here the live schema is compared with what the revisions
make of an empty database, and only a schema that is the same is stamped.
"""

from collections.abc import Sequence

from bootstrap import catalog, child, drift, expected, findings, migrate, pin, plan
from bootstrap import place as places
from bootstrap.errors import DriftError, SettingsError
from bootstrap.place import Place


def adopt(place: Place, revision: str) -> migrate.Migrated | None:
    """Stamp `revision` (or `heads`) if the live schema is what it makes; None if it is stamped.

    Raises SettingsError where there is nothing to adopt and DriftError where the schema differs.
    """
    here, base, known, record = place.here, place.base, place.known, place.record
    goal = known.heads if revision == "heads" else (revision,)
    if set(base.look().current) == set(goal):
        return None
    _check(place)
    with record.stage("validate", f"comparing {place.identity} with revision {plan.listed(goal)}"):
        wanted = _expected(place, goal)
        _prove(place, wanted, goal)
    with place.recording():
        pin.check(here, base.look())
        # It may have been changed while nobody held the lock.
        _check(place)
        _prove(place, wanted, goal)
        pin.remember(here, base.pin(), record)
        run = places.run_name()
        with (
            record.stage("migrate", f"stamping {place.identity} with {plan.listed(goal)}"),
            child.Worker(here, record, run=run, stop=place.stop, base=base) as worker,
        ):
            stage = migrate.Stage(here, base, known, record, place.stop, run)
            for head in goal:
                done = stage.mark(worker, base.current(), head)
        drift.note(base, base.look())
        return done


def _check(place: Place) -> None:
    sight = place.base.look()
    if sight.current:
        raise SettingsError(
            f"{place.identity} has a history already and is at {plan.listed(sight.current)}; only "
            "a database without one can be adopted"
        )
    if not sight.tables:
        raise SettingsError(
            f"{place.identity} is empty, there is nothing to adopt; run: bootstrapd migrate"
        )


def _expected(place: Place, goal: Sequence[str]) -> catalog.Catalog:
    here, known, record = place.here, place.known, place.record
    if tuple(goal) == known.heads:
        found = expected.from_snapshot(here, known, record)
        if found is not None:
            return found.catalog
    revision = goal[0] if len(goal) == 1 else "heads"
    return expected.replay(here, known, record, place.stop, revision=revision)


def _prove(place: Place, wanted: catalog.Catalog, goal: Sequence[str]) -> None:
    live = place.base.catalog()
    differences = findings.placed(catalog.compare(wanted, live), live.schema)
    stopping, reported = findings.by_severity(place.here, "replay", differences)
    found = (*stopping, *reported)
    if found:
        raise DriftError(
            f"{place.identity} is not what revision {plan.listed(goal)} of app "
            f"{place.here.app.name} makes, so nothing was stamped; {findings.count(found)}"
            f"{findings.listed(found)}\n"
            "adopt the revision that it equals, or mend it first (the statements are in --json)",
            findings=[each.document() for each in found],
        )
