"""Required stops: a release that must have come to its end before later revisions are applied.

Some changes take two releases: one begins to fill a column or to write both forms, and only when it
has run may the next take the old form away. A revision says so by naming the release that carries
it: `required_stop = "1.4.0"`.
"""

from bootstrap import history, plan, revisions, settings
from bootstrap.errors import AheadError


def check(
    loaded: settings.Loaded, known: revisions.Graph, wanted: plan.Plan, past: history.History
) -> None:
    """Raise AheadError where `wanted` goes past a stop at which no release has come to its end.

    A database that is being made has nothing to wait for.
    """
    if not wanted.pending or _is_new(past):
        return
    pending = {each.id for each in wanted.pending}
    skipped = {name.strip() for name in (loaded.settings.skip_stops or "").split(",")}
    for revision in known.pending(()):
        release = revision.required_stop
        if not release or release == loaded.release or revision.id in skipped:
            continue
        beyond = [each.id for each in wanted.pending if each.id in known.above(revision.id)]
        if beyond and not _is_over(revision, pending, past):
            raise _refused(loaded, known, wanted, revision, beyond)


def _is_new(past: history.History) -> bool:
    """Whether no release has come to its end on this database yet; a killed first run is none."""
    return all(
        id_ in past.notes and past.notes[id_].origin == "applied" and not past.notes[id_].settled
        for id_ in past.applied
    )


def _is_over(revision: revisions.Revision, pending: set[str], past: history.History) -> bool:
    if revision.id in pending:
        return False
    note = past.notes.get(revision.id)
    return note is None or not note.bytes or note.settled


def _refused(
    loaded: settings.Loaded,
    known: revisions.Graph,
    wanted: plan.Plan,
    revision: revisions.Revision,
    beyond: list[str],
) -> AheadError:
    release = revision.required_stop
    is_pending = any(each.id == revision.id for each in wanted.pending)
    reached = "is not applied yet" if is_pending else "is applied, but that release did not end"
    return AheadError(
        f"{loaded.target.identity} is at {plan.listed(wanted.current)} and would go on to "
        f"{beyond[0]}, past revision {known.title(revision.id)}, at which release {release} has to "
        f"come to its end: it {reached}; nothing was changed. Install release {release} first, run "
        f"it, then this one; or, if what it is to do is done: BOOTSTRAPD_SKIP_STOPS={revision.id}",
        stop=revision.id,
        needs=release,
        beyond=beyond,
    )
