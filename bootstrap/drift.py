"""What was done to a schema by hand since it was last brought up, found before it is migrated.

At the end of each bring-up the ledger keeps the schema as it was left. Before the next revisions
run, the live schema is compared with that: a revision that meets what nobody expected fails half of
the time, and the other half does harm.
"""

import hashlib
from collections.abc import Sequence

from bootstrap import catalog, database, findings, journal, ledger, settings
from bootstrap.errors import DriftError


def note(base: database.Database, sight: database.Sight) -> None:
    """Keep the schema as it is now; `sight` is a look at the same moment."""
    text = catalog.dump(base.catalog(), sight.current)
    base.ledger.note_schema(ledger.Schema(sight.current, sight.catalog, text))


def check(
    loaded: settings.Loaded,
    base: database.Database,
    sight: database.Sight,
    record: journal.Journal,
) -> None:
    """Raise DriftError for changes by hand that the settings do not tolerate.

    Only what was left at the very revisions where the database is can be compared: after a run that
    was killed half-way there is nothing to compare with, and that is said at debug level.
    """
    left = base.ledger.schema()
    if left is None or left.revisions != sight.current:
        record.event(
            "drift_unknown",
            "how the schema was left at these revisions is not known, so it is not compared",
            level="debug",
        )
        return
    if left.digest == sight.catalog:
        return
    live = base.catalog()
    found = findings.placed(catalog.compare(catalog.load(left.text).catalog, live), live.schema)
    stopping, reported = findings.by_severity(loaded, "snapshot", found)
    name = _name(stopping)
    place = loaded.target.identity
    if stopping and loaded.settings.accept_drift != name:
        raise DriftError(
            f"{place} was changed by hand since it was last brought up, and revisions are pending; "
            f"nothing was migrated; {findings.count(stopping)}{findings.listed(stopping)}\n"
            "undo what was changed (the statements for it are in --json), or let the revisions run "
            f"on it as it is: BOOTSTRAPD_ACCEPT_DRIFT={name}",
            findings=[each.document() for each in stopping],
            accept_drift=name,
        )
    tolerated = (*stopping, *reported)
    if tolerated:
        said = "accepted" if stopping else "tolerated"
        record.event(
            "drift",
            f"{place} was changed by hand since it was last brought up ({said}); "
            f"{findings.count(tolerated)}{findings.listed(tolerated)}",
            level="warning",
            findings=[each.document() for each in tolerated],
        )


def _name(found: Sequence[catalog.Finding]) -> str:
    """A short name of exactly these findings: accepting them accepts no others."""
    return hashlib.sha256("\n".join(sorted(map(str, found))).encode()).hexdigest()[:12]
