"""What the ledger remembers of the applied revisions, beside the files of this release.

A revision that was applied is not to change: another database would get another schema from it.
Its files are remembered before it runs, so that no moment to be killed at lies between the revision
and its note. Where the bytes are others but the meaning is the same, somebody has mended a comment:
that is told once. The text itself is kept, since to understand a revision takes longer than to
apply it, and hardly any is ever edited.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bootstrap import database, ledger, revisions, settings
from bootstrap.errors import MigrationError

# Bytes that are no UTF-8 count as they are.
_ERRORS = "surrogateescape"


@dataclass(frozen=True)
class Edit:
    """A revision whose files are others than when it was applied."""

    revision: revisions.Revision
    note: ledger.Note
    now: ledger.Note


@dataclass(frozen=True)
class History:
    """The applied revisions: those that mean something else now, those that only read otherwise.

    `unseen` were there before bootstrapd knew them. `notes` is all that the ledger has, by id.
    """

    applied: frozenset[str]
    notes: Mapping[str, ledger.Note]
    edited: tuple[Edit, ...] = ()
    reworded: tuple[Edit, ...] = ()
    unseen: tuple[revisions.Revision, ...] = ()

    @property
    def unsettled(self) -> bool:
        """Whether no release has come to its end since the latest of them was applied."""
        return any(not self.notes[id_].settled for id_ in self.applied & self.notes.keys())


def read(base: database.Database, known: revisions.Graph, current: Iterable[str]) -> History:
    """Compare files and ledger; reads every applied revision's files."""
    notes = {note.revision: note for note in base.ledger.notes()}
    applied = known.ancestors(current)
    changed: list[Edit] = []
    unseen: list[revisions.Revision] = []
    for revision in known.pending(()):
        if revision.id not in applied:
            continue
        note, contents = notes.get(revision.id), _contents(revision)
        if note is not None and _bytes(contents) == note.bytes:
            continue
        if note is None or not note.bytes:
            unseen.append(revision)
        else:
            now = _note(revision, contents, note.origin, note.release)
            changed.append(Edit(revision, note, replace(now, at=note.at, settled=note.settled)))
    edited, reworded = _sorted(base, changed)
    return History(frozenset(applied), notes, edited, reworded, tuple(unseen))


def _sorted(
    base: database.Database, changed: Sequence[Edit]
) -> tuple[tuple[Edit, ...], tuple[Edit, ...]]:
    """Those that mean something else now, and those that only read otherwise.

    A role that may not read the texts cannot tell, and cannot migrate either: to it none is edited.
    """
    sources = base.ledger.sources([each.revision.id for each in changed]) if changed else {}
    if sources is None:
        return (), tuple(changed)
    edited: list[Edit] = []
    reworded: list[Edit] = []
    for each in changed:
        meaning = _meaning(_unpacked(each.now.source))
        before = _meaning(_unpacked(sources.get(each.revision.id, "")))
        (reworded if meaning and meaning == before else edited).append(each)
    return tuple(edited), tuple(reworded)


def begin(
    loaded: settings.Loaded, base: database.Database, pending: Sequence[revisions.Revision]
) -> None:
    """Remember revisions that are about to be applied.

    Raises MigrationError for a `compatible_with` that no release could be compared with.
    """
    _check_comparable(loaded, pending)
    if pending:
        base.ledger.note([noted(loaded, each, "applied") for each in pending])


def _check_comparable(loaded: settings.Loaded, pending: Sequence[revisions.Revision]) -> None:
    if any(each.compatible_with for each in pending):
        from bootstrap import releases

        for each in pending:
            if each.compatible_with and not releases.is_version(each.compatible_with):
                files = each.file_names(loaded.app.project)
                raise MigrationError(
                    f"revision {each.id} ({files}) is compatible_with "
                    f"{each.compatible_with!r}, which no release can be compared with: wanted a "
                    "version such as '1.4.0'; nothing was changed",
                    revision=each.id,
                )


def mark(
    loaded: settings.Loaded,
    base: database.Database,
    known: revisions.Graph,
    current: Iterable[str],
    revision: str,
) -> None:
    """Remember what is about to be recorded as applied, up to `revision` or to the heads.

    Whoever does so answers for all that was to be done at it.
    """
    goal = known.ancestors(known.heads if revision == "heads" else [revision])
    marked = [known.revisions[id_] for id_ in sorted(goal - known.ancestors(current))]
    if marked:
        notes = [replace(noted(loaded, each, "marked"), settled=True) for each in marked]
        base.ledger.note(notes)


def forget(
    base: database.Database, known: revisions.Graph, current: Iterable[str], history: History
) -> None:
    """After a way back: what is no longer applied may be edited."""
    gone = history.applied - known.ancestors(current)
    notes = [history.notes[id_] for id_ in sorted(gone) if id_ in history.notes]
    if notes:
        base.ledger.note([replace(each, bytes="", source="", settled=False) for each in notes])


def settle(base: database.Database, known: revisions.Graph, current: Sequence[str]) -> None:
    """Remember that this release has come to its end, if nothing is pending any more."""
    if not known.pending(current):
        base.ledger.settle(sorted(known.ancestors(current)))


def noted(
    loaded: settings.Loaded, revision: revisions.Revision, origin: ledger.Origin
) -> ledger.Note:
    """A revision's files as they are now."""
    return _note(revision, _contents(revision), origin, loaded.release)


def _note(
    revision: revisions.Revision, contents: Sequence[str], origin: ledger.Origin, release: str
) -> ledger.Note:
    return ledger.Note(
        revision=revision.id,
        below=(*revision.down, *revision.needs),
        bytes=_bytes(contents),
        source=_packed(contents),
        origin=origin,
        release=release,
        compatible_with=revision.compatible_with,
    )


def _contents(revision: revisions.Revision) -> list[str]:
    """The files' texts; none of what is compiled. Which line endings a checkout has is no edit."""
    if not revision.path.endswith(".py"):
        return []
    paths = (revision.path, *revision.sql)
    texts = [Path(path).read_text(encoding="utf-8", errors=_ERRORS) for path in paths]
    return [text.removeprefix("\ufeff") for text in texts]


def _bytes(contents: Sequence[str]) -> str:
    if not contents:
        return ""
    return hashlib.sha256("\0".join(contents).encode(errors=_ERRORS)).hexdigest()


def _packed(contents: Sequence[str]) -> str:
    text = "\0".join(contents).encode(errors=_ERRORS)
    return base64.b64encode(zlib.compress(text)).decode() if contents else ""


def _unpacked(source: str) -> list[str]:
    if not source:
        return []
    return zlib.decompress(base64.b64decode(source)).decode(errors=_ERRORS).split("\0")


def _meaning(contents: Sequence[str]) -> str:
    if not contents:
        return ""
    from bootstrap import meaning

    return meaning.checksum(contents[0], contents[1:]) or ""
