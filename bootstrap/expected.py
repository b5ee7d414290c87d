"""The schema that this release expects, as a catalog: from its snapshot, or by replaying revisions.

A snapshot is a file beside the revisions, one a dialect, made by `bootstrapd snapshot`.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bootstrap import (
    catalog,
    database,
    findings,
    journal,
    libpq,
    plan,
    revisions,
    settings,
)
from bootstrap import target as targets
from bootstrap.errors import DriftError, MigrationError, RefusedError, SettingsError


@dataclass(frozen=True)
class Expected:
    """A schema to compare with, and where it is known from."""

    means: Literal["snapshot", "replay"]
    catalog: catalog.Catalog


def find(
    loaded: settings.Loaded,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
) -> Expected | None:
    """What the release's heads make of an empty database; None where only the models can tell.

    The snapshot counts if it was made at these heads. Revisions are replayed only where
    BOOTSTRAPD_REPLAY allows it.
    """
    found = from_snapshot(loaded, known, record)
    if found is None and loaded.settings.replay:
        return Expected("replay", replay(loaded, known, record, stop))
    return found


def from_snapshot(
    loaded: settings.Loaded, known: revisions.Graph, record: journal.Journal
) -> Expected | None:
    """The snapshot of the target's dialect; None, and a warning, where it is of other heads."""
    file = known.snapshot(loaded.target.dialect)
    snapshot = read(file) if file is not None else None
    if snapshot is None:
        return None
    if snapshot.heads != known.heads:
        record.event(
            "snapshot_stale",
            f"{file} is of {plan.listed(snapshot.heads)}, and this release's heads are "
            f"{', '.join(known.heads)}: it is not used; run: bootstrapd snapshot",
            level="warning",
        )
        return None
    return Expected("snapshot", snapshot.catalog)


def read(file: Path) -> catalog.Snapshot | None:
    """A snapshot file; None where there is none. Raises DriftError where it cannot be used."""
    try:
        return catalog.load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, catalog.SnapshotError) as error:
        raise DriftError(
            f"the snapshot {file} cannot be used: {error}; make it anew: bootstrapd snapshot"
        ) from error


def snapshot(
    loaded: settings.Loaded,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
    dialects: Sequence[targets.Dialect],
    *,
    check: bool,
) -> list[Path]:
    """Replay the revisions and write what comes of it; the files that were not so already.

    Without `dialects` it is those that have a snapshot, or else the target's. With `check` nothing
    is written, and a snapshot that would be is a DriftError.
    """
    written = []
    for dialect in dialects or _dialects(loaded, known):
        file = _place(loaded, known, dialect)
        made = catalog.Snapshot(known.heads, replay(loaded, known, record, stop, dialect=dialect))
        before = None if not check and not file.exists() else read(file)
        if before == made:
            record.event("snapshot_same", f"{file} is what the revisions make")
            continue
        if check:
            raise _stale(loaded, file, before, made)
        _write(file, catalog.dump(made.catalog, made.heads))
        record.event("snapshot_written", f"{file}: {len(made.catalog.objects)} objects")
        written.append(file)
    return written


def _dialects(loaded: settings.Loaded, known: revisions.Graph) -> Sequence[targets.Dialect]:
    there = [each for each in targets.DIALECTS if _place(loaded, known, each).exists()]
    return there or (loaded.target.dialect,)


def _place(loaded: settings.Loaded, known: revisions.Graph, dialect: targets.Dialect) -> Path:
    file = known.snapshot(dialect)
    if file is None:
        raise SettingsError(f"app {loaded.app.name} has no revisions yet, so no schema to expect")
    return file


def _stale(
    loaded: settings.Loaded,
    file: Path,
    before: catalog.Snapshot | None,
    made: catalog.Snapshot,
) -> DriftError:
    run = f"run: bootstrapd snapshot --app {loaded.app.name}, and commit what it writes"
    if before is None:
        return DriftError(f"there is no snapshot {file}; {run}")
    if before.heads != made.heads:
        return DriftError(
            f"{file} is of {plan.listed(before.heads)}, and the revisions' heads are "
            f"{', '.join(made.heads)}; {run}"
        )
    found = catalog.compare(made.catalog, before.catalog)
    return DriftError(
        f"{findings.count(found)} between the revisions of app {loaded.app.name} and {file}"
        f"{findings.listed(found)}\nwas an applied revision edited? if this is as it should be, "
        f"{run}",
        findings=[each.document() for each in found],
    )


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    whole = file.with_name(f".{file.name}.new")
    whole.write_text(text, encoding="utf-8")
    whole.replace(file)


def replay(
    loaded: settings.Loaded,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
    *,
    revision: str = "heads",
    dialect: targets.Dialect | None = None,
) -> catalog.Catalog:
    """What an empty database becomes by the revisions up to `revision`, tried out on a scratch one.

    Raises MigrationError where a revision needs more than the revisions before it.
    """
    with replayed(loaded, known, record, stop, dialect, revision=revision) as place:
        return _read(loaded, place)


@contextlib.contextmanager
def replayed(
    loaded: settings.Loaded,
    known: revisions.Graph,
    record: journal.Journal,
    stop: threading.Event,
    dialect: targets.Dialect | None,
    *,
    revision: str = "heads",
) -> Iterator[targets.Target]:
    """A scratch database, the target's kind by default, with the revisions up to `revision`.

    Raises MigrationError where a revision needs more than the revisions before it, RefusedError
    where the server goes away.
    """
    from bootstrap import child, scratch

    goal: Sequence[str] = known.heads if revision == "heads" else (revision,)
    total = len(known.ancestors(goal))
    with scratch.database(loaded, record, dialect) as place:
        record.event(
            "replaying", f"replaying {total} revision{'s' * (total != 1)} on {place.identity}"
        )
        here = loaded._replace(target=place, direct=None, fallback=None)
        with child.Worker(here, record, run="replay", stop=stop) as worker:
            try:
                if here.app.initialise:
                    from bootstrap import own

                    own.replay_base(here, known, worker, record, stop, goal)
                worker.call("upgrade", revision=revision, total=total)
            except child.WorkerError as error:
                if error.failure["disconnected"]:
                    raise RefusedError(
                        f"{place.identity} failed while revisions were tried on it: "
                        f"{error.failure['message']}; nothing half done is left, run again when "
                        "the cause is mended",
                        sqlstate=error.failure["sqlstate"],
                    ) from error
                raise MigrationError(
                    f"revision {known.title(error.failure['revision'] or revision)} cannot be "
                    f"replayed on {place.identity} ({place.dialect}): {error.failure['message']}; "
                    "on an empty database the revisions must need nothing but each other, and what "
                    "only one dialect has stands under if dialect.name == ...",
                    revision=error.failure["revision"],
                ) from error
        yield place


def _read(loaded: settings.Loaded, place: targets.Target) -> catalog.Catalog:
    version_table = database.version_table(loaded.app)
    if place.path is not None:
        return catalog.read_sqlite(str(place.path), version_table=version_table)
    connection = libpq.reach(place.conninfo())
    try:
        return catalog.read_postgres(connection, version_table=version_table)
    finally:
        connection.close()
