"""What the ledger remembers of the applied revisions, beside the files of this release.

A revision that was applied is not to change: another database would get another schema from it.
Its files are remembered with two checksums before it runs, so that no moment to be killed at lies
between the revision and its note. Where the bytes are others but the meaning is the same, somebody
has mended a comment: that is told once.
"""

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

    `unseen` were there before bootstrapd knew them; of the `unread` only the bytes are known, since
    the run that applied them was killed. `notes` is all that the ledger has, by id.
    """

    applied: frozenset[str]
    notes: Mapping[str, ledger.Note]
    edited: tuple[Edit, ...] = ()
    reworded: tuple[Edit, ...] = ()
    unseen: tuple[revisions.Revision, ...] = ()
    unread: tuple[ledger.Note, ...] = ()

    @property
    def unsettled(self) -> bool:
        """Whether no release has come to its end since the latest of them was applied."""
        return any(not self.notes[id_].settled for id_ in self.applied & self.notes.keys())


def read(base: database.Database, known: revisions.Graph, current: Iterable[str]) -> History:
    """Compare files and ledger; reads every applied revision's files."""
    notes = {note.revision: note for note in base.ledger.notes()}
    applied = known.ancestors(current)
    edited: list[Edit] = []
    reworded: list[Edit] = []
    unseen: list[revisions.Revision] = []
    unread: list[ledger.Note] = []
    for revision in known.pending(()):
        if revision.id not in applied:
            continue
        note = notes.get(revision.id)
        contents = _contents(revision)
        bytes_ = _bytes(contents)
        if note is not None and bytes_ == note.bytes:
            if contents and not note.meaning:
                unread.append(replace(note, meaning=_meaning(contents)))
            continue
        if note is None or not note.bytes:
            unseen.append(revision)
            continue
        meaning = _meaning(contents)
        now = replace(
            note,
            below=(*revision.down, *revision.needs),
            bytes=bytes_,
            meaning=meaning,
            compatible_with=revision.compatible_with,
        )
        same = meaning and meaning == note.meaning
        (reworded if same else edited).append(Edit(revision, note, now))
    return History(
        frozenset(applied), notes, tuple(edited), tuple(reworded), tuple(unseen), tuple(unread)
    )


@contextlib.contextmanager
def remembered(
    loaded: settings.Loaded, base: database.Database, pending: Sequence[revisions.Revision]
) -> Iterator[None]:
    """Remember the bytes of revisions that the block is to apply, and with its end their meaning.

    What they mean is found out while the worker works. Raises MigrationError for a
    `compatible_with` that no release could be compared with.
    """
    _check_comparable(loaded, pending)
    contents = [_contents(each) for each in pending]
    notes = [
        _note(loaded, each, "applied", content, "")
        for each, content in zip(pending, contents, strict=True)
    ]
    if notes:
        base.ledger.note(notes)
    read: list[ledger.Note] = []

    def understand() -> None:
        for each, content in zip(notes, contents, strict=True):
            read.append(replace(each, meaning=_meaning(content)))

    understanding = threading.Thread(target=understand, daemon=True)
    understanding.start()
    try:
        yield
    except BaseException:
        # The failure is what matters; what is missing then is found out by the next run.
        with contextlib.suppress(*base.errors):
            if read and not base.lost():
                base.ledger.note(read)
        raise
    understanding.join()
    if read:
        base.ledger.note(read)


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
        base.ledger.note([replace(each, bytes="", meaning="", settled=False) for each in notes])


def settle(base: database.Database, known: revisions.Graph, current: Sequence[str]) -> None:
    """Remember that this release has come to its end, if nothing is pending any more."""
    if not known.pending(current):
        base.ledger.settle(sorted(known.ancestors(current)))


def noted(
    loaded: settings.Loaded, revision: revisions.Revision, origin: ledger.Origin
) -> ledger.Note:
    """A revision's files as they are now."""
    contents = _contents(revision)
    return _note(loaded, revision, origin, contents, _meaning(contents))


def _note(
    loaded: settings.Loaded,
    revision: revisions.Revision,
    origin: ledger.Origin,
    contents: Sequence[str],
    meaning: str,
) -> ledger.Note:
    return ledger.Note(
        revision=revision.id,
        below=(*revision.down, *revision.needs),
        bytes=_bytes(contents),
        meaning=meaning,
        origin=origin,
        release=loaded.release,
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


def _meaning(contents: Sequence[str]) -> str:
    if not contents:
        return ""
    from bootstrap import meaning

    return meaning.checksum(contents[0], contents[1:]) or ""
