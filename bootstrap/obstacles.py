"""What stands in the way of pending revisions, in the order in which it is looked for.

Nothing has been changed when one of these is found.
"""

from bootstrap import database, drift, edits, history, plan, stops
from bootstrap.place import Place


def in_history(place: Place, wanted: plan.Plan) -> history.History:
    """What the ledger remembers of the applied revisions.

    Raises DriftError for one that was edited, AheadError for a required stop that is skipped.
    """
    past = history.read(place.base, place.known, wanted.current)
    edits.check(place.here, past)
    stops.check(place.here, place.known, wanted, past)
    return past


def in_revisions(place: Place, sight: database.Sight, wanted: plan.Plan) -> None:
    """Have the pending revisions linted, where the settings demand it; raises MigrationError.

    An empty database has nobody to keep waiting and nothing to lose: a new deployment of an old app
    need not consent to the app's whole history.
    """
    lint = place.here.settings.lint
    if lint == "off" or not wanted.pending or not (sight.current or sight.tables):
        return
    from bootstrap.lint import stage as linting

    linting.demand(place.here, place.record, place.stop, place.known, wanted, sight.version)


def in_schema(place: Place, sight: database.Sight) -> None:
    """Compare the schema with how it was left; raises DriftError for changes by hand."""
    drift.check(place.here, place.base, sight, place.record)
