"""Edits of applied revisions: which stop a release, which are only told, and in which words."""

from dataclasses import replace

from bootstrap import database, history, journal, settings
from bootstrap.errors import DriftError


def check(loaded: settings.Loaded, past: history.History) -> None:
    """Raise DriftError for edited revisions that nobody has allowed by name."""
    refused = [each for each in past.edited if each.revision.id not in _allowed(loaded)]
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
    loaded: settings.Loaded, base: database.Database, past: history.History, record: journal.Journal
) -> None:
    """Remember what has changed harmlessly, by permission, or was not known; say each once.

    The caller holds the lock, and `check` has passed.
    """
    for each in past.reworded:
        record.event(
            "revision_reworded",
            f"{described(loaded, each)}; only comments, layout or the way back have changed "
            "since, which is remembered",
            level="warning",
            **document(loaded, each),
        )
    for each in past.edited:
        record.event(
            "edit_allowed",
            f"{described(loaded, each)}; it was edited since, and its new form is remembered, as "
            "BOOTSTRAPD_ALLOW_EDITED says",
            level="warning",
            **document(loaded, each),
        )
    if past.unseen:
        count = len(past.unseen)
        record.event(
            "first_seen",
            f"{count} applied revision{'s were' if count != 1 else ' was'} not known yet and "
            f"{'are' if count != 1 else 'is'} remembered as seen",
            level="debug",
        )
    # Whoever brought the database here without us had come to an end, as far as one can tell.
    seen = [replace(history.noted(loaded, each, "seen"), settled=True) for each in past.unseen]
    changed = (each.now for each in (*past.reworded, *past.edited))
    noted = [*changed, *seen]
    if noted:
        base.ledger.note(noted)


def described(loaded: settings.Loaded, edit: history.Edit) -> str:
    """An edited revision with its files, and how it came into the database."""
    how = {"applied": "applied", "marked": "marked as applied", "seen": "first seen"}
    by = f" by release {edit.note.release}" if edit.note.release else ""
    title = f" ({edit.revision.title})" if edit.revision.title else ""
    return (
        f"revision {edit.revision.id}{title} in {edit.revision.file_names(loaded.app.project)} was "
        f"{how[edit.note.origin]} on {edit.note.when}{by}"
    )


def document(loaded: settings.Loaded, edit: history.Edit) -> dict[str, object]:
    """The same for machines."""
    return {
        "revision": edit.revision.id,
        "files": edit.revision.file_names(loaded.app.project),
        "origin": edit.note.origin,
        "at": edit.note.at,
        "release": edit.note.release,
    }


def _allowed(loaded: settings.Loaded) -> set[str]:
    return {name.strip() for name in (loaded.settings.allow_edited or "").split(",")}
