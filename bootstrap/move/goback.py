"""The way back from a move: the fence around the old file is lifted, unless rows would be lost."""

import hashlib
import json
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from bootstrap import database, fence, journal, opening, pin, postgres, settings, sqlite
from bootstrap import target as targets
from bootstrap.errors import IdentityError, SettingsError
from bootstrap.move import contents

# What to accept where the server cannot be asked any more.
UNSEEN = "unseen"


def go_back(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    source: targets.Target,
    accepted: str | None,
) -> bool:
    """Lift the fence around the file of `source`; False where there is none.

    Raises IdentityError where the settings lead to another database than the one that the rows were
    moved to, and where that was written to since: what was written would stay behind. That state of
    it has a name in the error, which is to be `accepted` then.
    """
    assert source.path is not None
    with closing(sqlite.connect(source.path, "ro")) as file:
        mark = fence.read(file)
    if mark is None:
        record.event("not_fenced", f"{source.path} is not fenced; there is nothing to take back")
        return False
    if accepted != UNSEEN:
        _check(loaded, record, stop, mark, source.path, accepted)
    with record.stage("pin", f"going back to {source.path}"):
        # First: killed in between, the file is still fenced and this can be said again.
        identity = fence.identity(source.path)
        if identity is not None:
            pin.remember(loaded._replace(target=source), identity, record)
        fence.lift(source.path)
        record.event(
            "lifted",
            f"{source.path} can be written again and is as it was; start the app with "
            f"DATABASE_URL=sqlite:///{source.path}",
        )
    return True


def _check(
    loaded: settings.Loaded,
    record: journal.Journal,
    stop: threading.Event,
    mark: fence.Mark,
    path: Path,
    accepted: str | None,
) -> None:
    if not loaded.target.is_postgres:
        raise SettingsError(
            f"the rows of {path} were moved to {mark.target}, and the settings lead to "
            f"{loaded.target.identity}: what was written there since cannot be seen; name it: "
            f"--to postgresql://USER@{mark.target} (or where it is gone for good, "
            f"--accept-loss {UNSEEN})"
        )
    loaded = loaded._replace(fallback=None)
    with opening.database(loaded, record, stop, to_write=False) as opened:
        base = opened.base
        assert isinstance(base, postgres.Postgres)
        identity = base.identity()
        if identity != mark.identity:
            raise IdentityError(
                f"the rows of {path} were moved to database {mark.identity} (at {mark.target}), "
                f"and {loaded.target.identity} is {identity or 'without an identity'}; lead the "
                "settings to the right one",
                expected=mark.identity,
                found=identity,
            )
        _, version_table = database.version_table(loaded.app)
        _compare(contents.digests(base, version_table), mark, path, accepted, record)


def _compare(
    now: Mapping[str, str],
    mark: fence.Mark,
    path: Path,
    accepted: str | None,
    record: journal.Journal,
) -> None:
    then: dict[str, str] = json.loads(mark.rows)
    changed = [table for table in sorted({*then, *now}) if then.get(table) != now.get(table)]
    if not changed:
        return
    lines = "".join(
        f"\n  {table}: {_shown(then, table)}, now {_shown(now, table)}" for table in changed
    )
    name = hashlib.sha256(json.dumps(sorted(now.items())).encode()).hexdigest()[:12]
    what = f"{mark.target} was written to since {path} was moved there{lines}"
    if accepted != name:
        raise IdentityError(
            f"{what}\nthis would stay behind; to go back without it: --accept-loss {name}",
            changed_tables=changed,
            accept_loss=name,
        )
    record.event(
        "left_behind", f"{what}\nthis stays behind, as accepted", level="warning", tables=changed
    )


def _shown(tables: Mapping[str, str], table: str) -> str:
    if table not in tables:
        return "no such table"
    count = tables[table].partition(" ")[0]
    return "1 row" if count == "1" else f"{count} rows"
