"""The folder where backups are kept: their names, their manifests, and which of them go.

A backup is two files, `APP-TIME-IDENTITY.dump` (or `.sqlite`) and the same with `.json`, the
manifest. Names sort by time. Nothing is touched here but backups of the one app and database, and
of those only the ones that have their manifest.
"""

import itertools
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

PART = ".part"
_STAMP = "%Y%m%dT%H%M%S.%f"


@dataclass(frozen=True)
class Manifest:
    """What a backup is of. `size` is in bytes, `taken_at` ISO 8601 in UTC.

    `server` and `tool` are the versions of the database and of what copied it.
    """

    file: str
    app: str
    identity: str
    target: str
    revisions: tuple[str, ...]
    release: str
    bootstrapd: str
    server: str
    tool: str
    size: int
    sha256: str
    taken_at: str


@dataclass(frozen=True)
class Shelf:
    """The backups of one app's one database in a folder; `identity` None is of any database."""

    folder: Path
    app: str
    identity: str | None

    def good(self) -> list[Manifest]:
        """The backups that are whole by their manifests, the oldest first."""
        found = (_read(path) for path in sorted(self.folder.glob("*.json")))
        return [each for each in found if each is not None and self._is_ours(each)]

    def name(self, suffix: str, now: datetime) -> str:
        """A name for a backup taken now, after those that are there: a clock may step back."""
        assert self.identity is not None
        stamp = _stamp(now)
        for earlier in self.good()[-1:]:
            newest = datetime.strptime(_stamp_of(earlier.file), _STAMP).replace(tzinfo=UTC)
            stamp = max(stamp, _stamp(newest + timedelta(milliseconds=1)))
        return f"{self.app}-{stamp}Z-{self.identity[:8]}{suffix}"

    def keep(self, count: int) -> list[Manifest]:
        """Delete what is older than the `count` latest states of the schema; what was deleted.

        A start that fails again and again takes one backup after the other at the same revisions:
        of such a row only the first and the last stay, and they count as one. Else the last good
        state would soon be gone. 0 keeps all.
        """
        good = self.good()
        states = [
            list(row) for _, row in itertools.groupby(good, lambda each: sorted(each.revisions))
        ]
        kept = {each.file for row in states[-count:] for each in (row[0], row[-1])}
        gone = [each for each in good if count and each.file not in kept]
        for each in gone:
            # The manifest last: without it nobody would know the file for ours.
            (self.folder / each.file).unlink(missing_ok=True)
            _manifest_path(self.folder / each.file).unlink(missing_ok=True)
        return gone

    def clear(self) -> int:
        """Delete what a killed run left unfinished, which the caller's lock proves; how much."""
        assert self.identity is not None
        mark = f"Z-{self.identity[:8]}."
        # SQLite may have put a journal beside its file.
        unfinished = [
            path
            for path in self.folder.glob(f".*{PART}*")
            if mark in path.name and _stamp_of(path.name[1:], self.app)
        ]
        for path in unfinished:
            path.unlink(missing_ok=True)
        for each in self.folder.glob("*.json"):
            manifest = _parsed(each)
            lone = manifest is not None and not (self.folder / manifest.file).exists()
            if lone and manifest is not None and self._is_ours(manifest):
                each.unlink(missing_ok=True)
        return len(unfinished)

    def put(self, part: Path, manifest: Manifest) -> None:
        """Give a finished file its name, with its manifest beside it; both outlast a power cut."""
        path = _manifest_path(self.folder / manifest.file)
        written = path.with_name(f".{path.name}{PART}")
        try:
            with written.open("x", encoding="utf-8") as file:
                written.chmod(0o600)
                file.write(json.dumps(asdict(manifest), indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            written.replace(path)
        except OSError:
            written.unlink(missing_ok=True)
            raise
        part.replace(self.folder / manifest.file)
        sync(self.folder)

    def _is_ours(self, manifest: Manifest) -> bool:
        return manifest.app == self.app and self.identity in (None, manifest.identity)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def of(path: Path) -> Manifest | None:
    """The manifest of one backup, by its own path; None where there is none that fits."""
    return _read(_manifest_path(path))


def newest(backups: Sequence[Manifest]) -> Manifest | None:
    """The latest of these."""
    return backups[-1] if backups else None


def _manifest_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _read(path: Path) -> Manifest | None:
    """A manifest whose backup is there, under its name and with its size."""
    manifest = _parsed(path)
    if manifest is None or _manifest_path(path.with_name(manifest.file)) != path:
        return None
    try:
        whole = path.with_name(manifest.file).stat().st_size == manifest.size
    except OSError:
        return None
    return manifest if whole and _stamp_of(manifest.file, manifest.app) else None


def _parsed(path: Path) -> Manifest | None:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        values = {each.name: document[each.name] for each in fields(Manifest)}
        return Manifest(**{**values, "revisions": tuple(values["revisions"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stamp(moment: datetime) -> str:
    return moment.strftime(_STAMP)[:-3]


def _stamp_of(name: str, app: str | None = None) -> str:
    """The time in a backup's name, of this app if one is given; empty where it has none."""
    prefix = re.escape(app) if app is not None else ".+"
    found = re.match(rf"{prefix}-(\d{{8}}T\d{{6}}\.\d{{3}})Z-[0-9a-f]{{8}}\.", name)
    return found[1] if found else ""
