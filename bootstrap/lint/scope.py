"""Which revisions to lint: what is pending, what lies between two of them, or all."""

import threading

from bootstrap import database, journal, opening, plan, revisions, settings
from bootstrap.errors import SettingsError, WaitTimeoutError
from bootstrap.lint.stage import Wanted


def choose(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    revision: str,
    *,
    everything: bool,
) -> tuple[settings.Loaded, Wanted]:
    """The settings with the target that was chosen, and the revisions.

    `revision` is where to stop, or FROM:TO. A range and `everything` need no database; the pending
    revisions need one that answers at once, else it is all of them.
    """
    known = plan.graph(loaded, record, stop)
    start, colon, end = revision.rpartition(":")
    destination = plan.resolve(known, end or "heads")
    sight = None
    if not colon and not everything:
        loaded, sight = _glance(loaded, known, record, stop)
    current = sight.current if sight else ()
    if start not in ("", "base"):
        # A range may start at several heads, as `heads` does.
        first = plan.resolve(known, start)
        current = known.heads if first == "heads" else (first,)
    ends = known.heads if destination == "heads" else (destination,)
    below = known.ancestors(ends)
    if colon and not below.issuperset(current):
        raise SettingsError(
            f"wanted FROM:TO, where TO builds on FROM; found {revision!r}, and "
            f"{plan.listed(ends)} does not build on {plan.listed(current)}"
        )
    between = below - known.ancestors(current)
    pending = tuple(each for each in known.pending(current) if each.id in between)
    server = sight.version if sight else ""
    fresh = sight is None
    return loaded, Wanted(known, current, destination, pending, fresh=fresh, server=server)


def _glance(
    loaded: settings.Loaded,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
) -> tuple[settings.Loaded, database.Sight | None]:
    """One look at the database, which need not be there."""
    once = loaded
    if "BOOTSTRAPD_WAIT_TIMEOUT_S" not in loaded.given:
        hasty = loaded.settings.replace(wait_timeout_s=0.0)
        once = loaded._replace(settings=hasty)
    try:
        with opening.database(once, record, stop, to_write=False) as opened:
            sight = opened.base.look()
            # Heads that fork are for lint itself to tell.
            if not known.forks():
                plan.make(opened.here, known, sight, opened.base)
            return opened.here, sight
    except WaitTimeoutError as error:
        record.event(
            "no_database",
            f"{loaded.target.identity} does not answer, so all revisions are linted: "
            f"{error.message}",
            level="warning",
        )
        return loaded, None
