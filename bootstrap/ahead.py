"""A database at revisions that this release does not have: ahead of it, or on another line.

The ledger knows more than the files: which release applied them, what they build on, and which is
the oldest release that each of them can do with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bootstrap import ledger, releases, revisions, settings
from bootstrap.errors import AheadError

State = Literal["ahead", "diverged", "compatible"]


@dataclass(frozen=True)
class Standing:
    """Where such a database stands.

    `unknown` are its heads that this release does not have, `lacking` what it in turn lacks of this
    release. `floor` is the oldest release that can run on it, None where some unknown revision does
    not say so; `obstacle` why this one cannot. `note` is that of the latest unknown revision.
    """

    state: State
    unknown: tuple[str, ...]
    lacking: tuple[str, ...] = ()
    floor: str | None = None
    obstacle: str = ""
    note: ledger.Note | None = None

    @property
    def needs(self) -> str:
        """The oldest release that is known to do; empty where none is known."""
        return self.floor or (self.note.release if self.note else "")


def look(
    loaded: settings.Loaded,
    known: revisions.Graph,
    notes: Sequence[ledger.Note],
    current: Sequence[str],
) -> Standing:
    """Judge a database that is at revisions which `known` does not have."""
    unknown = known.unknown(current)
    noted = {note.revision: note for note in notes}
    applied, complete = _applied(known, noted, current)
    beyond = [noted[id_] for id_ in applied - known.revisions.keys() if id_ in noted]
    heads = [noted[id_] for id_ in unknown if id_ in noted]
    latest = max(heads or beyond, key=lambda note: note.at or "", default=None)
    lacking = tuple(each.id for each in known.pending(()) if each.id not in applied)
    if complete and lacking:
        return Standing("diverged", unknown, lacking, note=latest)
    floors = [note.compatible_with for note in beyond]
    if not complete or None in floors:
        return Standing("ahead", unknown, note=latest)
    try:
        floor = releases.newest([each for each in floors if each is not None])
    except ValueError as reason:
        return Standing("ahead", unknown, obstacle=str(reason), note=latest)
    obstacle = _obstacle(loaded.release, floor)
    return Standing("ahead" if obstacle else "compatible", unknown, (), floor, obstacle, latest)


def error(loaded: settings.Loaded, known: revisions.Graph, standing: Standing) -> AheadError:
    """What to say where this release cannot go on."""
    place, app = loaded.target.identity, loaded.app.name
    unknown = ", ".join(standing.unknown)
    newest = ", ".join(known.heads) or "base"
    by = _by(standing.note)
    if standing.state == "diverged":
        message = (
            f"{place} has diverged from this release of {app}: it is at {unknown}, which this "
            f"release does not have{by}, and lacks {', '.join(standing.lacking)} of this release; "
            f"start {_named(standing.needs)}, or release both lines joined: "
            f"alembic merge -m join {' '.join((*standing.unknown, *known.heads))}"
        )
    elif standing.state == "compatible":
        message = (
            f"{place} is at {unknown}, which this release of {app} does not have (its newest is "
            f"{newest}){by}; it can run on that but not work on it: use "
            f"{_named(standing.note.release if standing.note else '')}"
        )
    else:
        obstacle = f"; {standing.obstacle}" if standing.obstacle else ""
        message = (
            f"{place} is at {unknown}, which this release of {app} does not have (its newest is "
            f"{newest}){by}{obstacle}; start {_named(standing.needs)}, or restore the backup from "
            "before"
        )
    return AheadError(
        message,
        unknown=list(standing.unknown),
        heads=list(known.heads),
        lacking=list(standing.lacking),
        needs=standing.needs or None,
    )


def message(loaded: settings.Loaded, known: revisions.Graph, standing: Standing) -> str:
    """What to say where it can."""
    return (
        f"schema is at {', '.join(standing.unknown)}, ahead of this release (its newest is "
        f"{', '.join(known.heads)}){_by(standing.note)}; {loaded.release} can run on it, which "
        f"{standing.floor} and newer can, so nothing is migrated"
    )


def _applied(
    known: revisions.Graph, noted: Mapping[str, ledger.Note], current: Iterable[str]
) -> tuple[set[str], bool]:
    """All revisions that are applied, by files and ledger, and whether none is in neither."""
    found: set[str] = set()
    queue = list(current)
    complete = True
    while queue:
        id_ = queue.pop()
        if id_ in found:
            continue
        found.add(id_)
        if id_ in known.revisions:
            queue += [*known.revisions[id_].down, *known.revisions[id_].needs]
        elif id_ in noted:
            queue += noted[id_].below
        else:
            complete = False
    return found, complete


def _obstacle(release: str, floor: str) -> str:
    """Why `release` may not run where `floor` and newer may; empty where it may."""
    if not release:
        return (
            f"release {floor} and newer can run on it, but nobody has named this one: set "
            "BOOTSTRAPD_RELEASE"
        )
    try:
        is_recent = releases.at_least(release, floor)
    except ValueError:
        return (
            f"release {floor} and newer can run on it, and this one, {release!r}, cannot be "
            "compared with that: wanted a version such as '1.4.0'"
        )
    return "" if is_recent else f"release {floor} and newer can run on it, this one is {release}"


def _by(note: ledger.Note | None) -> str:
    if note is None:
        return ""
    by = f" by release {note.release}" if note.release else ""
    return f", applied on {note.when}{by}"


def _named(release: str) -> str:
    return f"release {release} or newer" if release else "the release that brought it"
