"""The cut over: the app is to write to the new database and to the old file no more."""

import json
from collections.abc import Mapping
from typing import Any

from bootstrap import database, fence, pin, postgres
from bootstrap.move import contents
from bootstrap.move.request import Request
from bootstrap.move.result import Moved
from bootstrap.place import Place


def guard(request: Request) -> fence.Guard:
    """To be entered around the whole move, before the source's snapshot is taken.

    With `--fence`, LockError says at once that the app still has the file open.
    """
    return fence.Guard(request.path, to_fence=request.fence and not request.dry_run)


def before_commit(request: Request, watching: fence.Guard) -> None:
    """Called when source and target are equal, just before that is committed.

    By then all connections to the source must be closed. With `--fence` nobody else can open it
    from here to the end; IdentityError where somebody has written to it, so that nothing is
    committed and the next move begins anew.
    """
    if request.fence:
        watching.seal()


def cut_over(
    place: Place, request: Request, moved: Moved, watching: fence.Guard
) -> Mapping[str, Any]:
    """Called once, after the move is committed and verified, under the migration lock."""
    if not request.fence:
        return _left_open(place, request, watching)
    base = place.base
    assert isinstance(base, postgres.Postgres)
    identity = base.pin()
    _, version_table = database.version_table(place.here.app)
    rows = json.dumps(contents.digests(base, version_table))
    mark = watching.fence(identity, place.identity, moved.digest, rows)
    pin.remember(place.here, identity, place.record)
    place.record.event(
        "fenced",
        f"{request.path} is fenced: it can be read, but not written any more; start the app with "
        f"DATABASE_URL=postgresql://USER@{place.identity} (and where it is set, "
        f"BOOTSTRAPD_EXPECT_IDENTITY={identity})",
    )
    return {"fenced": True, "identity": identity, "at": mark.moved_at}


def _left_open(place: Place, request: Request, watching: fence.Guard) -> Mapping[str, Any]:
    changed = watching.changed()
    if changed:
        place.record.event(
            "source_changed",
            f"{request.path} was written to while it was moved: what came after the move began is "
            "not in the target, and a second move does not add it; stop the app, empty the target "
            "and move again",
            level="warning",
        )
    return {"fenced": False, "changed_since": changed}
