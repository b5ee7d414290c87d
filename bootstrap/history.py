"""What the ledger remembers of the applied revisions, beside the files of this release.

A revision that was applied is not to change: another database would get another schema from it.
Its files are remembered with two checksums before it runs, so that no moment to be killed at lies
between the revision and its note. Where the bytes are others but the meaning is the same, somebody
has mended a comment: that is told once.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bootstrap import database, journal, ledger, revisions, settings
from bootstrap.errors import DriftError, MigrationError

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


def check(loaded: settings.Loaded, history: History) -> None:
    """Raise DriftError for edited revisions that nobody has allowed by name."""
    refused = [each for each in history.edited if each.revision.id not in _allowed(loaded)]
    if not refused:
        return
    one = len(refused) == 1
    lines = "".join(f"\n  {described(loaded, each)}" for each in refused)
    names = ",".join(each.revision.id for each in refused)
    raise DriftError(
        f"{len(refused)} applied revision{'s were' if not one else ' was'} edited since:{lines}\n"
        f"nothing was changed. Undo the edit{'s' * (not one)} and write a new revision for what is "
        f"to be different; or, if {loaded.target.identity} is already as the new text wants it: "
        f"BOOTSTRAPD_ALLOW_EDITED={names}",
        edited=[document(loaded, each) for each in refused],
    )


def keep(
    loaded: settings.Loaded, base: database.Database, history: History, record: journal.Journal
) -> None:
    """Remember what has changed harmlessly, by permission, or was not known; say each once.

    The caller holds the lock, and `check` has passed.
    """
    for each in history.reworded:
        record.event(
            "revision_reworded",
            f"{described(loaded, each)}; only comments, layout or the way back have changed "
            "since, which is remembered",
            level="warning",
            **document(loaded, each),
        )
    for each in history.edited:
        record.event(
            "edit_allowed",
            f"{described(loaded, each)}; it was edited since, and its new form is remembered, as "
            "BOOTSTRAPD_ALLOW_EDITED says",
            level="warning",
            **document(loaded, each),
        )
    if history.unseen:
        count = len(history.unseen)
        record.event(
            "first_seen",
            f"{count} applied revision{'s were' if count != 1 else ' was'} not known yet and "
            f"{'are' if count != 1 else 'is'} remembered as seen",
            level="debug",
        )
    # Whoever brought the database here without us had come to an end, as far as one can tell.
    seen = [replace(_noted(loaded, each, "seen"), settled=True) for each in history.unseen]
    edits = (each.now for each in (*history.reworded, *history.edited))
    noted = [*edits, *seen, *history.unread]
    if noted:
        base.ledger.note(noted)


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
                raise MigrationError(
                    f"revision {each.id} ({file_names(loaded, each)}) is compatible_with "
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
        notes = [replace(_noted(loaded, each, "marked"), settled=True) for each in marked]
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


def _noted(
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


def described(loaded: settings.Loaded, edit: Edit) -> str:
    """An edited revision with its files, and how it came into the database."""
    how = {"applied": "applied", "marked": "marked as applied", "seen": "first seen"}
    by = f" by release {edit.note.release}" if edit.note.release else ""
    title = f" ({edit.revision.title})" if edit.revision.title else ""
    return (
        f"revision {edit.revision.id}{title} in {file_names(loaded, edit.revision)} was "
        f"{how[edit.note.origin]} on {edit.note.when}{by}"
    )


def document(loaded: settings.Loaded, edit: Edit) -> dict[str, object]:
    """The same for machines."""
    return {
        "revision": edit.revision.id,
        "files": file_names(loaded, edit.revision),
        "origin": edit.note.origin,
        "at": edit.note.at,
        "release": edit.note.release,
    }


def file_names(loaded: settings.Loaded, revision: revisions.Revision) -> str:
    """A revision's files, as paths from the project's folder."""
    home = loaded.app.project
    paths = (revision.path, *revision.sql)
    return ", ".join(os.path.relpath(path, home) for path in paths)


def _allowed(loaded: settings.Loaded) -> set[str]:
    return {name.strip() for name in (loaded.settings.allow_edited or "").split(",")}


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
